//! What changed in an account since a moment, by `change_status`: the ids alone; what became of them is asked for after that.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::{
    GoogleAds,
    query::{Gaql, quoted},
    request::Ask,
};
use crate::{
    error::Error,
    platform::{Caller, EntityQuery, EntityType},
};

/// Google tells changes of the last 90 days; one of them is for the account's clock, which may be behind ours.
pub(super) const MOST_DAYS: i64 = 88;

/// Most changes that one query gives; it has to name how many it wants.
const MOST_CHANGES: usize = 10_000;

/// How far an account's clock can be from UTC, by which the moment is known.
const FARTHEST_ZONE: TimeDelta = TimeDelta::hours(14);

/// What of a sort `change_status` calls it.
pub(super) struct Changed {
    /// The word for its resource.
    resource_type: &'static str,
    /// The field that names it, and where it stands in a row.
    field: &'static str,
    name: &'static str,
}

impl Changed {
    /// `None` for what changes are not told of, or not all of them.
    pub(super) fn of(kind: EntityType) -> Option<Self> {
        match kind {
            EntityType::AdSet => Some(Self {
                resource_type: "AD_GROUP",
                field: "change_status.ad_group",
                name: "/changeStatus/adGroup",
            }),
            EntityType::Ad => Some(Self {
                resource_type: "AD_GROUP_AD",
                field: "change_status.ad_group_ad",
                name: "/changeStatus/adGroupAd",
            }),
            EntityType::Campaign
            | EntityType::Creative
            | EntityType::Audience
            | EntityType::LeadForm
            | EntityType::Pixel
            | EntityType::Page
            | EntityType::InstagramAccount => None,
        }
    }
}

impl GoogleAds {
    /// The ids of what changed, each once; `None`: more than can be told.
    pub(super) async fn changed(
        &self,
        caller: Caller<'_>,
        customer: &str,
        query: &EntityQuery,
        since: DateTime<Utc>,
    ) -> Result<Option<Vec<String>>, Error> {
        let Some(changed) = Changed::of(query.kind) else {
            return Ok(None);
        };
        let text = question(&changed, since, Utc::now());
        let ask = Ask {
            customer,
            query: &text,
        };
        let found = self.search(caller, &ask, None).await?;
        if found.results.len() >= MOST_CHANGES || !found.next_page_token.is_empty() {
            return Ok(None);
        }
        let names = found.results.iter().filter_map(|row| {
            let name = row.pointer(changed.name).and_then(Value::as_str)?;
            id_in(name)
        });
        let mut ids: Vec<String> = names.collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }
}

fn question(changed: &Changed, since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let at = |moment: DateTime<Utc>| quoted(&moment.format("%Y-%m-%d %H:%M:%S").to_string());
    let fields = [
        "change_status.resource_type",
        "change_status.resource_status",
        "change_status.last_change_date_time",
        changed.field,
    ];
    Gaql::of("change_status", &fields)
        .only(format!(
            "change_status.last_change_date_time BETWEEN {} AND {}",
            at(since - FARTHEST_ZONE),
            at(now + FARTHEST_ZONE)
        ))
        .only(format!(
            "change_status.resource_type = {}",
            quoted(changed.resource_type)
        ))
        .text("ORDER BY change_status.last_change_date_time ASC LIMIT 10000")
}

/// The id in `customers/1/adGroups/5` or `customers/1/adGroupAds/5~77`.
fn id_in(resource_name: &str) -> Option<String> {
    let last = resource_name.rsplit(['/', '~']).next()?;
    let is_id = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_asked_for_around_the_moment_by_every_accounts_clock() {
        let changed = Changed::of(EntityType::AdSet).expect("told of");
        let at = |text: &str| text.parse().expect("a time");

        let text = question(
            &changed,
            at("2026-11-20T12:00:00Z"),
            at("2026-11-21T12:00:00Z"),
        );

        assert_eq!(
            text,
            "SELECT change_status.resource_type, change_status.resource_status, \
             change_status.last_change_date_time, change_status.ad_group FROM change_status \
             WHERE change_status.last_change_date_time BETWEEN '2026-11-19 22:00:00' AND '2026-11-22 02:00:00' \
             AND change_status.resource_type = 'AD_GROUP' \
             ORDER BY change_status.last_change_date_time ASC LIMIT 10000"
        );
    }

    #[test]
    fn an_id_is_the_last_part_of_a_resources_name() {
        assert_eq!(id_in("customers/1/adGroups/5").as_deref(), Some("5"));
        assert_eq!(id_in("customers/1/adGroupAds/5~77").as_deref(), Some("77"));
        assert_eq!(id_in("customers/1/adGroups/"), None);
        assert_eq!(id_in("x') OR 1"), None);
    }
}
