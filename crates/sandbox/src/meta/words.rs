//! The world in Meta's words.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::world::{AccountStatus, Currency, Effective, Objective, Status};

/// What somebody set a thing to.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        Status::Paused => "PAUSED",
        Status::Archived => "ARCHIVED",
        Status::Deleted => "DELETED",
        Status::Active | Status::Disapproved | Status::InReview | Status::WithIssues => "ACTIVE",
    }
}

/// What becomes of it. A campaign whose time is over is still active to Meta.
pub(super) fn effective(effective: Effective) -> &'static str {
    match effective {
        Effective::Active | Effective::Ended => "ACTIVE",
        Effective::Paused => "PAUSED",
        Effective::CampaignPaused => "CAMPAIGN_PAUSED",
        Effective::AdSetPaused => "ADSET_PAUSED",
        Effective::Archived => "ARCHIVED",
        Effective::Deleted => "DELETED",
        Effective::Disapproved => "DISAPPROVED",
        Effective::InReview => "PENDING_REVIEW",
        Effective::WithIssues => "WITH_ISSUES",
    }
}

/// An account's state and the reason why it is disabled.
pub(super) fn account_status(status: AccountStatus) -> (u32, u32) {
    match status {
        AccountStatus::Active => (1, 0),
        AccountStatus::Disabled => (2, 1),
        AccountStatus::Closed => (101, 0),
    }
}

/// What a campaign is for; campaigns of long ago have the names of then.
pub(super) fn objective(objective: Objective, is_old: bool) -> &'static str {
    match (objective, is_old) {
        (Objective::Awareness, _) => "OUTCOME_AWARENESS",
        (Objective::Traffic, false) => "OUTCOME_TRAFFIC",
        (Objective::Traffic, true) => "LINK_CLICKS",
        (Objective::Engagement, _) => "OUTCOME_ENGAGEMENT",
        (Objective::Leads, _) => "OUTCOME_LEADS",
        (Objective::Sales, false) => "OUTCOME_SALES",
        (Objective::Sales, true) => "CONVERSIONS",
    }
}

/// A time in the account's zone, with an offset that has no colon.
pub(super) fn time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone)
        .format("%Y-%m-%dT%H:%M:%S%z")
        .to_string()
}

/// An amount in the currency's minor unit, as budgets are told: cents, or whole yen.
pub(super) fn minor(micros: i64, currency: Currency) -> String {
    (micros / currency.minor_micros()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_zones_offset_without_a_colon() {
        let at = "2026-11-02T11:10:05Z".parse().expect("a time");

        let time = time(at, Tz::America__Los_Angeles);

        assert_eq!(time, "2026-11-02T03:10:05-0800");
    }

    #[test]
    fn budgets_are_cents_or_whole_yen() {
        assert_eq!(minor(50_000_000, Currency::Usd), "5000");
        assert_eq!(minor(50_000_000, Currency::Jpy), "50");
    }
}
