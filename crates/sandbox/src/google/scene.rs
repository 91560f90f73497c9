//! What one row of an answer is made from: a thing with all that stands above it, and figures.

use std::rc::Rc;

use super::{changes::ChangeRow, customer::Customer};
use crate::world::{Bucket, Entity, Figures, Key, Kind, Objective, Status, World};

/// What the names of Performance Max campaigns begin with: a campaign becomes one when somebody names it so.
const PERFORMANCE_MAX: &str = "PMax";

/// What a row is made from.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) customer: Rc<Customer>,
    pub(super) lineage: Rc<Lineage>,
    pub(super) figures: Figures,
    /// The time that the figures are of, where the query tells times apart.
    pub(super) bucket: Option<Bucket>,
}

/// A thing and what it stands below; what it has nothing to do with is missing.
#[derive(Default)]
pub(super) struct Lineage {
    pub(super) client: Option<Client>,
    pub(super) campaign: Option<Campaign>,
    /// An ad group, or an asset group.
    pub(super) ad_group: Option<Entity>,
    pub(super) ad: Option<Entity>,
    /// A user list, or a conversion action.
    pub(super) other: Option<Entity>,
    pub(super) change: Option<ChangeRow>,
}

/// A customer as its manager sees it.
pub(super) struct Client {
    pub(super) customer: Customer,
    /// 0 for the customer that is asked, 1 for what it manages.
    pub(super) level: i64,
}

/// A campaign with what only Google's have.
pub(super) struct Campaign {
    pub(super) entity: Entity,
    pub(super) channel: Channel,
    /// A day, where it has a budget for the day.
    pub(super) daily_micros: Option<i64>,
    /// For its whole life, where it has a budget for that.
    pub(super) total_micros: Option<i64>,
}

/// Where a campaign's ads are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Search,
    Display,
    Video,
    PerformanceMax,
}

impl Lineage {
    /// Of anything but an account.
    pub(super) fn of(world: &World, key: Key) -> Self {
        let entity = |kind| ancestor(key, kind).and_then(|key| world.entity(key));
        let mut lineage = Self {
            campaign: entity(Kind::Campaign).map(|campaign| Campaign::of(world, campaign)),
            ad_group: entity(Kind::AdSet),
            ad: entity(Kind::Ad),
            ..Self::default()
        };
        if lineage.campaign.is_none() {
            lineage.other = world.entity(key);
        }
        lineage
    }
}

impl Campaign {
    fn of(world: &World, entity: Entity) -> Self {
        let mut daily_micros = entity.daily_budget_micros;
        let total_micros = entity.lifetime_budget_micros;
        if daily_micros.is_none() && total_micros.is_none() {
            // Google knows no budgets of ad groups: theirs are their campaign's.
            let ad_groups = world.list(entity.key, Kind::AdSet);
            let of_a_day = ad_groups
                .filter(|one| one.status != Status::Deleted)
                .filter_map(|one| one.daily_budget_micros);
            daily_micros = Some(of_a_day.sum());
        }
        Self {
            channel: Channel::of(world, &entity),
            entity,
            daily_micros,
            total_micros,
        }
    }

    pub(super) fn bidding(&self) -> &'static str {
        match self.entity.objective {
            Objective::Awareness => "MANUAL_CPM",
            Objective::Traffic => "TARGET_SPEND",
            Objective::Engagement => "MANUAL_CPC",
            Objective::Leads => "MAXIMIZE_CONVERSIONS",
            Objective::Sales => "MAXIMIZE_CONVERSION_VALUE",
        }
    }
}

impl Channel {
    pub(super) fn of(world: &World, campaign: &Entity) -> Self {
        if campaign.name.starts_with(PERFORMANCE_MAX) {
            return Self::PerformanceMax;
        }
        let dice = world.dice(campaign.key, "channel");
        dice.pick(&[Self::Search, Self::Search, Self::Display, Self::Video])
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Search => "SEARCH",
            Self::Display => "DISPLAY",
            Self::Video => "VIDEO",
            Self::PerformanceMax => "PERFORMANCE_MAX",
        }
    }

    pub(super) fn ad_group_type(self) -> &'static str {
        match self {
            Self::Search => "SEARCH_STANDARD",
            Self::Display => "DISPLAY_STANDARD",
            Self::Video => "VIDEO_RESPONSIVE",
            Self::PerformanceMax => "UNSPECIFIED",
        }
    }

    pub(super) fn ad_type(self) -> &'static str {
        match self {
            Self::Search => "RESPONSIVE_SEARCH_AD",
            Self::Display => "RESPONSIVE_DISPLAY_AD",
            Self::Video => "VIDEO_RESPONSIVE_AD",
            Self::PerformanceMax => "UNSPECIFIED",
        }
    }
}

/// The thing itself, or what it stands below, of that sort.
fn ancestor(key: Key, kind: Kind) -> Option<Key> {
    if key.kind == kind {
        return Some(key);
    }
    ancestor(key.parent()?, kind)
}
