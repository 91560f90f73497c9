//! Insights: figures of an account, its campaigns, ad sets or ads, by days or hours of the account's clock. Every figure is
//! text, and what is missing is none. Here is what is asked for and how a row is read; `reports` asks in the background.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{
    Meta,
    actions::{self, Counting},
    call::GraphCall,
    entities::{account_node, conditions, words},
    paging,
};
use crate::{
    error::Error,
    platform::{
        Caller, Cursor, Figures, Granularity, InsightQuery, InsightRow, Level, Page, members,
    },
};

/// For how many days after a day its figures still change.
pub(super) const RESTATED_DAYS: u32 = 28;

/// Longest span of one query. Meta takes more, and refuses then what has too many rows.
pub(super) const LONGEST_DAYS: u32 = 90;
pub(super) const LONGEST_HOURS_DAYS: u32 = 7;

/// The breakdown by hours of the account's day, and the member that tells them.
const BY_HOUR: &str = "hourly_stats_aggregated_by_advertiser_time_zone";

/// The usual number of rows of a page.
pub(super) const LIMIT: u32 = 500;

const FIELDS: &str = "account_id,account_currency,impressions,clicks,inline_link_clicks,spend,\
    actions,action_values";

impl Meta {
    /// A page of figures, at once.
    pub(super) async fn figures(
        &self,
        caller: Caller<'_>,
        query: &InsightQuery,
        after: Option<&Cursor>,
    ) -> Result<Page<InsightRow>, Error> {
        let counting = Counting::new(&query.conversion, &query.attribution)?;
        let node = account_node(&query.account_id);
        let call = GraphCall::get("GET act_{id}/insights", &[&node, "insights"]);
        let call = paging::at(asked(call, query), query.page_size, LIMIT, after);
        let body = self.graph(caller, call).await?;
        paging::read(&body, |raw| row(raw, query, &counting))
    }
}

/// A call with the question in its parameters. Days are those of the account, and both ends belong to them.
pub(super) fn asked(call: GraphCall, query: &InsightQuery) -> GraphCall {
    let range = json!({"since": query.from.to_string(), "until": query.to.to_string()});
    let mut call = call
        .with("level", words(query.level).0)
        .with("fields", fields(query))
        .with("time_range", range.to_string())
        .with("time_increment", "1");
    let breakdowns = breakdowns(query);
    if !breakdowns.is_empty() {
        call = call.with("breakdowns", breakdowns.join(","));
    }
    if !query.attribution.is_empty() {
        let windows = json!(query.attribution);
        call = call.with("action_attribution_windows", windows.to_string());
    }
    if query.level != Level::Account {
        call = call.with("filtering", conditions(query.level, None, &query.entities));
    }
    call
}

fn fields(query: &InsightQuery) -> String {
    let mut fields = FIELDS.to_owned();
    let ids = match query.level {
        Level::Account => "",
        Level::Campaign => ",campaign_id",
        Level::AdSet => ",campaign_id,adset_id",
        Level::Ad => ",campaign_id,adset_id,ad_id",
    };
    fields.push_str(ids);
    // People who were reached are not counted by the hour, and only for thirteen months where rows are broken down.
    if query.granularity == Granularity::Day && query.breakdowns.is_empty() {
        fields.push_str(",reach");
    }
    fields
}

fn breakdowns(query: &InsightQuery) -> Vec<&str> {
    let by_hour = (query.granularity == Granularity::Hour).then_some(BY_HOUR);
    let others = query.breakdowns.iter().map(String::as_str);
    by_hour.into_iter().chain(others).collect()
}

/// A row; `None` for one that cannot be read.
pub(super) fn row(
    raw: &Value,
    query: &InsightQuery,
    counting: &Counting<'_>,
) -> Option<InsightRow> {
    let id = match query.level {
        Level::Account => "account_id",
        Level::Campaign => "campaign_id",
        Level::AdSet => "adset_id",
        Level::Ad => "ad_id",
    };
    let date = members::text(raw, "date_start")?;
    let reach = members::number(raw.get("reach")).ok()?;
    Some(InsightRow {
        entity_id: raw.get(id).and_then(members::id)?,
        date: NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?,
        hour: match query.granularity {
            Granularity::Hour => Some(hour(members::text(raw, BY_HOUR)?)?),
            Granularity::Day => None,
        },
        breakdown: breakdown(raw, &query.breakdowns),
        currency: members::text(raw, "account_currency").map(str::to_uppercase),
        figures: figures(raw, counting)?,
        reach: reach.map(|reach| members::count(Some(reach))),
    })
}

fn figures(raw: &Value, counting: &Counting<'_>) -> Option<Figures> {
    let number = |name: &str| members::number(raw.get(name)).ok();
    let converted = counting.converted(raw)?;
    Some(Figures {
        impressions: members::count(number("impressions")?),
        clicks: members::count(number("clicks")?),
        link_clicks: members::count(number("inline_link_clicks")?),
        views: actions::count(raw, "video_view")?,
        likes: actions::count(raw, "post_reaction")?,
        comments: actions::count(raw, "comment")?,
        shares: actions::count(raw, "post")?,
        // In major units, whatever budgets are in.
        spend: number("spend")?.unwrap_or_default(),
        conversions: converted.conversions,
        revenue: converted.revenue,
        leads: converted.leads,
    })
}

/// The hour of `14:00:00 - 14:59:59`.
fn hour(text: &str) -> Option<u8> {
    let (hour, _) = text.split_once(':')?;
    hour.parse().ok().filter(|hour| *hour < 24)
}

fn breakdown(raw: &Value, keys: &[String]) -> String {
    let part = |key: &String| {
        let value = raw.get(key).and_then(members::id).unwrap_or_default();
        format!("{key}={value}")
    };
    keys.iter().map(part).collect::<Vec<_>>().join("&")
}
