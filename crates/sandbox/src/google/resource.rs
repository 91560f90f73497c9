//! What a query can be from, and which fields go with it.

use crate::world::Kind;

/// What stands behind FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Customer,
    CustomerClient,
    Campaign,
    CampaignBudget,
    AdGroup,
    AdGroupAd,
    AssetGroup,
    UserList,
    ConversionAction,
    ChangeStatus,
}

impl Resource {
    const ALL: [Self; 10] = [
        Self::Customer,
        Self::CustomerClient,
        Self::Campaign,
        Self::CampaignBudget,
        Self::AdGroup,
        Self::AdGroupAd,
        Self::AssetGroup,
        Self::UserList,
        Self::ConversionAction,
        Self::ChangeStatus,
    ];

    /// The resource of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        self.roots()[0]
    }

    /// What its fields begin with: its own name, then those of the resources that come with it.
    pub(super) fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Customer => &["customer"],
            Self::CustomerClient => &["customer_client", "customer"],
            Self::Campaign => &["campaign", "campaign_budget", "customer"],
            Self::CampaignBudget => &["campaign_budget", "customer"],
            Self::AdGroup => &["ad_group", "campaign", "customer"],
            Self::AdGroupAd => &["ad_group_ad", "ad_group", "campaign", "customer"],
            Self::AssetGroup => &["asset_group", "campaign", "customer"],
            Self::UserList => &["user_list", "customer"],
            Self::ConversionAction => &["conversion_action", "customer"],
            Self::ChangeStatus => &["change_status", "customer"],
        }
    }

    /// What of the world it is.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Customer => Some(Kind::Account),
            Self::Campaign | Self::CampaignBudget => Some(Kind::Campaign),
            // Performance Max has asset groups where others have ad groups.
            Self::AdGroup | Self::AssetGroup => Some(Kind::AdSet),
            Self::AdGroupAd => Some(Kind::Ad),
            Self::UserList => Some(Kind::Audience),
            Self::ConversionAction => Some(Kind::Pixel),
            Self::CustomerClient | Self::ChangeStatus => None,
        }
    }

    /// Whether figures are told of it.
    pub(super) fn has_figures(self) -> bool {
        match self {
            Self::Customer
            | Self::Campaign
            | Self::AdGroup
            | Self::AdGroupAd
            | Self::AssetGroup => true,
            Self::CustomerClient
            | Self::CampaignBudget
            | Self::UserList
            | Self::ConversionAction
            | Self::ChangeStatus => false,
        }
    }
}
