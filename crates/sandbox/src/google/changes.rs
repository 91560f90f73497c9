//! `change_status`: which resources were changed, and when last.

use chrono::{DateTime, TimeDelta, Utc};

use super::{customer::Customer, error::AdsError};
use crate::world::{Entity, Key, Kind, Status, World, day_of};

/// How far back changes are told, in days.
const DAYS: i64 = 90;
/// Most rows of one query.
const MOST_ROWS: usize = 10_000;

/// That something was changed.
pub(super) struct ChangeRow {
    pub(super) id: String,
    kind: Kind,
    pub(super) resource_status: &'static str,
    pub(super) at: DateTime<Utc>,
    pub(super) campaign: Option<String>,
    pub(super) ad_group: Option<String>,
    /// `{ad group}~{ad}`.
    pub(super) ad: Option<String>,
}

impl ChangeRow {
    fn of(world: &World, entity: &Entity) -> Self {
        let key = entity.key;
        let id = |key: Option<Key>| key.map(|key| world.id(key));
        let (ad_group, ad) = match key.kind {
            Kind::AdSet => (Some(key), None),
            Kind::Ad => (key.parent(), Some(key)),
            _ => (None, None),
        };
        let at = entity.updated_at;
        let (ad_group, ad) = (id(ad_group), id(ad));
        Self {
            id: format!("{}-{}", at.timestamp_micros(), entity.id),
            kind: key.kind,
            resource_status: match entity.status {
                Status::Deleted => "REMOVED",
                _ if at == entity.created_at => "ADDED",
                _ => "CHANGED",
            },
            at,
            campaign: id(key.campaign()),
            ad: ad_group
                .as_ref()
                .zip(ad)
                .map(|(ad_group, ad)| format!("{ad_group}~{ad}")),
            ad_group,
        }
    }

    pub(super) fn resource_type(&self) -> &'static str {
        match self.kind {
            Kind::AdSet => "AD_GROUP",
            Kind::Ad => "AD_GROUP_AD",
            _ => "CAMPAIGN",
        }
    }
}

/// The last change of everything that an account holds.
pub(super) fn all(world: &World, account: Key) -> impl Iterator<Item = ChangeRow> {
    [Kind::Campaign, Kind::AdSet, Kind::Ad]
        .into_iter()
        .flat_map(move |kind| world.list(account, kind))
        .map(move |entity| ChangeRow::of(world, &entity))
}

/// The time of a change as Google writes it, by the account's clock.
pub(super) fn of_last_change(customer: &Customer, at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&customer.zone);
    local.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Lets a query for the changes between two moments pass.
///
/// # Errors
/// `changeStatusError` when it has no limit or too high a one, and when its time has no two ends, ends before it begins,
/// or begins too long ago.
pub(super) fn check(
    between: (Option<&str>, Option<&str>),
    limit: Option<usize>,
    customer: &Customer,
    now: DateTime<Utc>,
) -> Result<(), AdsError> {
    let (name, message) = match (between, limit) {
        (_, None) => (
            "LIMIT_NOT_SPECIFIED",
            "The change_status search request must specify a LIMIT.",
        ),
        (_, Some(limit)) if limit > MOST_ROWS => (
            "INVALID_LIMIT_CLAUSE",
            "The LIMIT specified by change_status request should be less than or equal to 10K.",
        ),
        ((Some(from), Some(to)), _) if from > to => (
            "CHANGE_DATE_RANGE_NEGATIVE",
            "The change status search request has specified invalid date time filters that can never logically produce any \
             valid results.",
        ),
        ((Some(from), Some(_)), _) if from < earliest(customer, now).as_str() => {
            ("START_DATE_TOO_OLD", "The requested start date is too old.")
        }
        ((Some(_), Some(_)), _) => return Ok(()),
        _ => (
            "CHANGE_DATE_RANGE_INFINITE",
            "The change_status search request must specify a finite range filter on last_change_date_time.",
        ),
    };
    Err(AdsError::change_status(name, message))
}

/// The first day that can be asked for.
fn earliest(customer: &Customer, now: DateTime<Utc>) -> String {
    let day = day_of(customer.zone, now - TimeDelta::days(DAYS));
    day.to_string()
}
