//! A row as Graph shows it: every figure is text, and what there is none of is missing.

use std::iter;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::{
    actions,
    breakdown::{BY_HOUR, BY_PUBLISHER},
    query::Query,
};
use crate::{
    meta::{Context, words},
    world::{Account, Entity, Figures, Kind, MICROS, Row, day_of, decimal},
};

/// Everything that can be asked for.
const KNOWN: &[&str] = &[
    "account_id",
    "account_name",
    "account_currency",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
    "objective",
    "date_start",
    "date_stop",
    "impressions",
    "reach",
    "frequency",
    "clicks",
    "inline_link_clicks",
    "inline_post_engagement",
    "outbound_clicks",
    "unique_clicks",
    "spend",
    "ctr",
    "cpc",
    "cpm",
    "cpp",
    "actions",
    "action_values",
    "conversions",
    "conversion_values",
    "cost_per_action_type",
    "purchase_roas",
    "video_play_actions",
    "video_30_sec_watched_actions",
    "created_time",
    "updated_time",
];

/// What a row is told from.
struct Told<'r> {
    query: &'r Query,
    account: Account,
    /// The thing itself and what it stands below, up to its campaign.
    above: Vec<Entity>,
    row: &'r Row,
    figures: Figures,
}

/// Whether there is such a field.
pub(super) fn is_known(field: &str) -> bool {
    KNOWN.contains(&field)
}

/// The rows that a breakdown makes of one.
pub(super) fn shown(ctx: &Context<'_>, query: &Query, row: &Row) -> Vec<Value> {
    let world = &ctx.shared.world;
    let account = world.account_of(query.account);
    let above: Vec<Entity> = iter::successors(Some(row.key), |key| key.parent())
        .filter_map(|key| world.entity(key))
        .collect();
    let parts = query.breakdown.split(row.figures, account.currency);
    let rows = parts.into_iter().map(|(publisher, figures)| {
        let told = Told {
            query,
            account: account.clone(),
            above: above.clone(),
            row,
            figures,
        };
        let mut shown = told.asked();
        if let Some(publisher) = publisher {
            shown.insert(BY_PUBLISHER.to_owned(), json!(publisher));
        }
        if let Some(hour) = row.bucket.hour {
            let hour = format!("{hour:02}:00:00 - {hour:02}:59:59");
            shown.insert(BY_HOUR.to_owned(), json!(hour));
        }
        Value::Object(shown)
    });
    rows.collect()
}

impl Told<'_> {
    /// What is asked for, and the days, which nobody has to ask for.
    fn asked(&self) -> Map<String, Value> {
        let fields = self.query.fields.names().chain(["date_start", "date_stop"]);
        fields
            .filter_map(|field| Some((field.to_owned(), self.member(field)?)))
            .collect()
    }

    fn member(&self, field: &str) -> Option<Value> {
        let identity = self.identity(field);
        let text = identity.or_else(|| self.figure(field));
        text.map(Value::String).or_else(|| self.list(field))
    }

    fn identity(&self, field: &str) -> Option<String> {
        let of = |kind: Kind| {
            self.above
                .iter()
                .find(move |entity| entity.key.kind == kind)
        };
        let id = |kind| of(kind).map(|entity| entity.id.clone());
        let name = |kind| of(kind).map(|entity| entity.name.clone());
        match field {
            "account_id" => Some(self.account.id.clone()),
            "account_name" => Some(self.account.name.clone()),
            "account_currency" => Some(self.account.currency.code().to_owned()),
            "campaign_id" => id(Kind::Campaign),
            "campaign_name" => name(Kind::Campaign),
            "adset_id" => id(Kind::AdSet),
            "adset_name" => name(Kind::AdSet),
            "ad_id" => id(Kind::Ad),
            "ad_name" => name(Kind::Ad),
            "objective" => {
                let campaign = of(Kind::Campaign)?;
                Some(words::objective(campaign.objective, false).to_owned())
            }
            "date_start" => Some(self.row.bucket.from.to_string()),
            "date_stop" => Some(self.row.bucket.to.to_string()),
            "created_time" => self.above.first().map(|one| self.day(one.created_at)),
            "updated_time" => self.above.first().map(|one| self.day(one.updated_at)),
            _ => None,
        }
    }

    fn day(&self, at: DateTime<Utc>) -> String {
        day_of(self.account.zone, at).to_string()
    }

    fn figure(&self, field: &str) -> Option<String> {
        let figures = &self.figures;
        let engagement = figures.likes + figures.comments + figures.shares;
        match field {
            "impressions" => Some(figures.impressions.to_string()),
            "clicks" => Some(figures.clicks.to_string()),
            "inline_link_clicks" => counted(figures.link_clicks),
            "inline_post_engagement" => counted(engagement + figures.link_clicks),
            "spend" => {
                let places = self.account.currency.decimals();
                Some(decimal(figures.spend_micros, places))
            }
            "ctr" => ratio(figures.clicks * 100 * MICROS, figures.impressions),
            "cpc" => ratio(figures.spend_micros, figures.clicks),
            "cpm" => ratio(figures.spend_micros * 1_000, figures.impressions),
            _ => self.of_people(field),
        }
    }

    /// Figures of people, who are not known by the hour.
    fn of_people(&self, field: &str) -> Option<String> {
        if self.row.bucket.hour.is_some() {
            return None;
        }
        let figures = &self.figures;
        let reach = figures.reach();
        match field {
            "reach" => Some(reach.to_string()),
            "frequency" => ratio(figures.impressions * MICROS, reach),
            "unique_clicks" => counted(figures.clicks * 9 / 10),
            "cpp" => ratio(figures.spend_micros * 1_000, reach),
            _ => None,
        }
    }

    fn list(&self, field: &str) -> Option<Value> {
        let (figures, windows) = (&self.figures, self.query.windows.as_slice());
        match field {
            "actions" => actions::counts(figures, windows),
            "action_values" => actions::values(figures, windows),
            "cost_per_action_type" => actions::costs(figures),
            "purchase_roas" => actions::roas(figures),
            "outbound_clicks" => actions::single("outbound_click", figures.link_clicks),
            "video_play_actions" => actions::single("video_view", figures.video_views),
            "video_30_sec_watched_actions" => {
                actions::single("video_view", figures.video_views / 3)
            }
            _ => None,
        }
    }
}

fn counted(count: i64) -> Option<String> {
    (count > 0).then(|| count.to_string())
}

/// A ratio with six places; `numerator` is in millionths.
fn ratio(numerator: i64, denominator: i64) -> Option<String> {
    (denominator > 0).then(|| decimal(numerator / denominator, 6))
}
