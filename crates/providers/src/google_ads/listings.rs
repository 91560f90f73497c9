//! What of an account is listed as which resource, and where in its rows what stands.

use serde_json::Value;

use super::refused;
use crate::{
    error::Error,
    platform::{EntityStatus, EntityType, StatusRule},
};

const STATUSES: [StatusRule; 7] = [
    ("ENABLED", EntityStatus::Active),
    ("PAUSED", EntityStatus::Paused),
    ("REMOVED", EntityStatus::Deleted),
    ("OPEN", EntityStatus::Active),
    ("CLOSED", EntityStatus::Ended),
    ("HIDDEN", EntityStatus::Archived),
    ("PENDING", EntityStatus::Pending),
];

/// A word, where it stands, and what becomes of what is switched on by it.
type Refinement = (&'static str, &'static str, EntityStatus);

/// A resource that is listed, and where in its rows what stands. No field that versions rename is asked for.
pub(super) struct Listing {
    pub(super) resource: &'static str,
    pub(super) fields: &'static [&'static str],
    pub(super) id_field: &'static str,
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    status: &'static str,
    /// Why what is switched on does not deliver all the same.
    refined: &'static [Refinement],
    pub(super) parent: Option<&'static str>,
    /// The campaign of what belongs to one.
    pub(super) campaign: Option<&'static str>,
}

impl Listing {
    /// The state of a row, and the word that decided it.
    pub(super) fn status(&self, row: &Value) -> (EntityStatus, String) {
        let word_at = |pointer: &str| row.pointer(pointer).and_then(Value::as_str);
        let word = word_at(self.status).unwrap_or_default();
        let rule = STATUSES.iter().find(|(known, _)| *known == word);
        let status = rule.map_or(EntityStatus::Unknown, |(_, status)| *status);
        if status == EntityStatus::Active {
            let mut refined = self.refined.iter();
            let refinement = refined.find(|(pointer, word, _)| word_at(pointer) == Some(*word));
            if let Some((_, word, status)) = refinement {
                return (*status, (*word).to_owned());
            }
        }
        (status, word.to_owned())
    }
}

const CAMPAIGNS: Listing = Listing {
    resource: "campaign",
    fields: &[
        "campaign.id",
        "campaign.name",
        "campaign.status",
        "campaign.serving_status",
        "campaign.advertising_channel_type",
        "campaign.bidding_strategy_type",
        "campaign_budget.amount_micros",
        "campaign_budget.total_amount_micros",
    ],
    id_field: "campaign.id",
    id: "/campaign/id",
    name: "/campaign/name",
    status: "/campaign/status",
    refined: &[
        ("/campaign/servingStatus", "ENDED", EntityStatus::Ended),
        ("/campaign/servingStatus", "PENDING", EntityStatus::Pending),
        (
            "/campaign/servingStatus",
            "SUSPENDED",
            EntityStatus::Rejected,
        ),
    ],
    parent: None,
    campaign: None,
};

const AD_GROUPS: Listing = Listing {
    resource: "ad_group",
    fields: &[
        "ad_group.id",
        "ad_group.name",
        "ad_group.status",
        "ad_group.type",
        "campaign.id",
    ],
    id_field: "ad_group.id",
    id: "/adGroup/id",
    name: "/adGroup/name",
    status: "/adGroup/status",
    refined: &[],
    parent: Some("/campaign/id"),
    campaign: Some("/campaign/id"),
};

const ADS: Listing = Listing {
    resource: "ad_group_ad",
    fields: &[
        "ad_group_ad.ad.id",
        "ad_group_ad.ad.name",
        "ad_group_ad.ad.type",
        "ad_group_ad.status",
        "ad_group_ad.policy_summary.approval_status",
        "ad_group_ad.policy_summary.review_status",
        "ad_group.id",
        "campaign.id",
    ],
    id_field: "ad_group_ad.ad.id",
    id: "/adGroupAd/ad/id",
    name: "/adGroupAd/ad/name",
    status: "/adGroupAd/status",
    refined: &[
        (
            "/adGroupAd/policySummary/approvalStatus",
            "DISAPPROVED",
            EntityStatus::Rejected,
        ),
        (
            "/adGroupAd/policySummary/reviewStatus",
            "REVIEW_IN_PROGRESS",
            EntityStatus::Pending,
        ),
    ],
    parent: Some("/adGroup/id"),
    campaign: Some("/campaign/id"),
};

/// They have no ad group: their campaign is their parent.
const ASSET_GROUPS: Listing = Listing {
    resource: "asset_group",
    fields: &[
        "asset_group.id",
        "asset_group.name",
        "asset_group.status",
        "campaign.id",
    ],
    id_field: "asset_group.id",
    id: "/assetGroup/id",
    name: "/assetGroup/name",
    status: "/assetGroup/status",
    refined: &[],
    parent: Some("/campaign/id"),
    campaign: Some("/campaign/id"),
};

const USER_LISTS: Listing = Listing {
    resource: "user_list",
    fields: &[
        "user_list.id",
        "user_list.name",
        "user_list.type",
        "user_list.membership_status",
    ],
    id_field: "user_list.id",
    id: "/userList/id",
    name: "/userList/name",
    status: "/userList/membershipStatus",
    refined: &[],
    parent: None,
    campaign: None,
};

const CONVERSION_ACTIONS: Listing = Listing {
    resource: "conversion_action",
    fields: &[
        "conversion_action.id",
        "conversion_action.name",
        "conversion_action.status",
        "conversion_action.type",
        "conversion_action.category",
    ],
    id_field: "conversion_action.id",
    id: "/conversionAction/id",
    name: "/conversionAction/name",
    status: "/conversionAction/status",
    refined: &[],
    parent: None,
    campaign: None,
};

/// The resources of a sort.
pub(super) fn listings(kind: EntityType) -> Result<&'static [&'static Listing], Error> {
    let listings: &'static [&'static Listing] = match kind {
        EntityType::Campaign => &[&CAMPAIGNS],
        EntityType::AdSet => &[&AD_GROUPS],
        EntityType::Ad => &[&ADS, &ASSET_GROUPS],
        EntityType::Audience => &[&USER_LISTS],
        EntityType::Pixel => &[&CONVERSION_ACTIONS],
        EntityType::Creative
        | EntityType::LeadForm
        | EntityType::Page
        | EntityType::InstagramAccount => {
            return Err(refused("google ads does not list this sort"));
        }
    };
    Ok(listings)
}
