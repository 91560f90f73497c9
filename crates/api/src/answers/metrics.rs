//! What accounts have achieved. Money is decimal text, as everywhere; ratios and what may be fractional are numbers with all
//! their digits.

use std::{collections::BTreeMap, num::NonZero, panic::resume_unwind, thread};

use chrono::NaiveDate;
use marketing::performance::{self, Answer, Before, Item, Question};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;
use uuid::Uuid;

/// Fewest items that are worth a thread.
const FEWEST_SHARED: usize = 500;

/// A decimal number as JSON writes it, without a detour over binary fractions.
struct Number(Decimal);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.to_string();
        let written: &RawValue = serde_json::from_str(&text).map_err(S::Error::custom)?;
        written.serialize(serializer)
    }
}

impl From<Decimal> for Number {
    fn from(decimal: Decimal) -> Self {
        Self(decimal)
    }
}

/// Figures in one form for all platforms.
#[derive(Serialize, ToSchema)]
pub(crate) struct NormalForm {
    impressions: i64,
    /// People who were reached in exactly this time, of one entity; null where there are several: people are not added up.
    reach: Option<i64>,
    /// All clicks.
    clicks: i64,
    /// Clicks that led to the advertiser's own pages.
    link_clicks: i64,
    /// Views of videos.
    views: i64,
    /// Likes and other reactions.
    likes: i64,
    comments: i64,
    shares: i64,
    /// May be fractional.
    #[schema(value_type = f64)]
    conversions: Number,
    /// Where the platform counts them apart.
    #[schema(value_type = f64)]
    leads: Number,
    /// Of the money here: the accounts', or the reporting currency where they have several; null: unknown.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// In major units; null: of several currencies, and a rate is missing.
    #[schema(value_type = Option<String>, example = "12.34")]
    spend: Option<Decimal>,
    /// What conversions were worth.
    #[schema(value_type = Option<String>)]
    revenue: Option<Decimal>,
    /// The same in the reporting currency, each day at its rate; null: a rate is missing.
    #[schema(value_type = Option<String>)]
    reporting_spend: Option<Decimal>,
    #[schema(value_type = Option<String>)]
    reporting_revenue: Option<Decimal>,
    /// Clicks a hundred impressions.
    #[schema(value_type = Option<f64>, example = 1.25)]
    ctr_pct: Option<Number>,
    /// Spend a click.
    #[schema(value_type = Option<String>)]
    cpc: Option<Decimal>,
    /// Spend a thousand impressions.
    #[schema(value_type = Option<String>)]
    cpm: Option<Decimal>,
    /// Revenue a unit of spend.
    #[schema(value_type = Option<f64>)]
    roas: Option<Number>,
    /// Conversions a hundred clicks.
    #[schema(value_type = Option<f64>)]
    conversion_rate_pct: Option<Number>,
    /// Spend a conversion.
    #[schema(value_type = Option<String>)]
    cost_per_conversion: Option<Decimal>,
    /// Likes, comments and shares a hundred impressions.
    #[schema(value_type = Option<f64>)]
    engagement_rate_pct: Option<Number>,
    /// The metrics of `[kpis]` in jobs.toml, by name; null: a divisor is zero.
    #[schema(value_type = BTreeMap<String, Option<f64>>)]
    kpis: BTreeMap<String, Option<Number>>,
}

impl From<performance::Metrics> for NormalForm {
    fn from(metrics: performance::Metrics) -> Self {
        Self {
            impressions: metrics.impressions,
            reach: metrics.reach,
            clicks: metrics.clicks,
            link_clicks: metrics.link_clicks,
            views: metrics.views,
            likes: metrics.likes,
            comments: metrics.comments,
            shares: metrics.shares,
            conversions: metrics.conversions.into(),
            leads: metrics.leads.into(),
            currency: metrics.currency,
            spend: metrics.spend,
            revenue: metrics.revenue,
            reporting_spend: metrics.reporting_spend,
            reporting_revenue: metrics.reporting_revenue,
            ctr_pct: metrics.ctr_pct.map(Number::from),
            cpc: metrics.cpc,
            cpm: metrics.cpm,
            roas: metrics.roas.map(Number::from),
            conversion_rate_pct: metrics.conversion_rate_pct.map(Number::from),
            cost_per_conversion: metrics.cost_per_conversion,
            engagement_rate_pct: metrics.engagement_rate_pct.map(Number::from),
            kpis: numbers(metrics.kpis),
        }
    }
}

fn numbers(named: BTreeMap<String, Option<Decimal>>) -> BTreeMap<String, Option<Number>> {
    let named = named.into_iter();
    named
        .map(|(name, it)| (name, it.map(Number::from)))
        .collect()
}

/// The figures of a group in a stretch of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsItem {
    /// When the stretch begins by the account's clock: a day, or a day and an hour such as `2026-10-01T05`.
    #[schema(example = "2026-10-01")]
    period: String,
    /// Whose accounts; null where they are not told apart, or are nobody's.
    tenant: Option<String>,
    platform: Option<String>,
    account_id: Option<Uuid>,
    account_name: Option<String>,
    /// The platform's id of the campaign, ad set or ad.
    entity_id: Option<String>,
    entity_name: Option<String>,
    #[serde(flatten)]
    metrics: NormalForm,
    /// The figures of the same group in the stretch of the same number of the period before.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<NormalForm>,
    /// How much more these are than those, per cent; null: there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Option<f64>>>)]
    change_pct: Option<BTreeMap<String, Option<Number>>>,
}

/// The period before.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsBefore {
    #[schema(value_type = String, example = "2026-09-01")]
    from: NaiveDate,
    #[schema(value_type = String, example = "2026-09-30")]
    to: NaiveDate,
    totals: NormalForm,
    /// How much more the totals are now, per cent; null: there was nothing.
    #[schema(value_type = BTreeMap<String, Option<f64>>)]
    change_pct: BTreeMap<String, Option<Number>>,
}

/// What was asked for, and the figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsReport {
    /// The first day, by each account's clock.
    #[schema(value_type = String, example = "2026-10-01")]
    from: NaiveDate,
    /// The last day.
    #[schema(value_type = String, example = "2026-10-31")]
    to: NaiveDate,
    #[schema(value_type = String, example = "account")]
    level: &'static str,
    #[schema(value_type = String, example = "day")]
    granularity: &'static str,
    /// Where the rates lead that operators have loaded; null: there are none.
    reporting_currency: Option<String>,
    /// Currencies that lack the rate of a day: what needs it is null in the reporting currency.
    rates_missing: Vec<String>,
    /// By time and group; what had no figures is left out.
    #[schema(value_type = Vec<MetricsItem>)]
    items: Vec<Box<RawValue>>,
    /// All of it together.
    totals: NormalForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<MetricsBefore>,
}

impl MetricsReport {
    pub(crate) fn new(
        form: &performance::NormalForm,
        question: &Question,
        answer: Answer,
        before: Option<Before>,
    ) -> Self {
        let total = form.of(&answer.total);
        let items = written(form, answer.items, before.as_ref());
        let previous = before.map(|before| {
            let then = form.of(&before.total);
            MetricsBefore {
                from: before.period.from,
                to: before.period.to,
                change_pct: numbers(total.change_since(&then)),
                totals: then.into(),
            }
        });
        // Where nobody has loaded rates, nobody misses any.
        let unrated = form.reporting_currency().map(|_| answer.unrated);
        let rates_missing = unrated.into_iter().flatten();
        Self {
            from: question.period.from,
            to: question.period.to,
            level: question.level.as_str(),
            granularity: question.grain.as_str(),
            reporting_currency: form.reporting_currency().map(str::to_owned),
            rates_missing: rates_missing.collect(),
            items,
            totals: total.into(),
            previous,
        }
    }
}

/// Items as text. Thousands of them are most of the work of an answer, so that all processors take their shares.
fn written(
    form: &performance::NormalForm,
    mut items: Vec<Item>,
    before: Option<&Before>,
) -> Vec<Box<RawValue>> {
    let write = |first: usize, items: Vec<Item>| -> Vec<Box<RawValue>> {
        let items = items.into_iter().enumerate().map(|(place, found)| {
            let previous = before.and_then(|before| before.items.get(first + place)?.as_ref());
            let written = to_raw_value(&item(form, found, previous));
            written.expect("names are texts, and decimals are written as JSON writes numbers")
        });
        items.collect()
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(FEWEST_SHARED);
    thread::scope(|scope| {
        let mut others = Vec::new();
        while items.len() > share {
            let first = items.len() - share;
            let shared = items.split_off(first);
            others.push(scope.spawn(move || write(first, shared)));
        }
        let mut written = write(0, items);
        for other in others.into_iter().rev() {
            written.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        written
    })
}

fn item(
    form: &performance::NormalForm,
    found: Item,
    previous: Option<&performance::Sums>,
) -> MetricsItem {
    let metrics = form.of(&found.sums);
    let previous = previous.map(|sums| form.of(sums));
    let change = previous
        .as_ref()
        .map(|before| numbers(metrics.change_since(before)));
    MetricsItem {
        period: found.start.to_string(),
        tenant: found.group.tenant,
        platform: found.group.platform,
        account_id: found.group.account,
        account_name: found.account_name,
        entity_id: found.group.entity_id,
        entity_name: found.entity_name,
        metrics: metrics.into(),
        previous: previous.map(NormalForm::from),
        change_pct: change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_all_their_digits() {
        let digits = "1234567890123456789.123456";
        let number: Number = digits.parse::<Decimal>().expect("a number").into();

        assert_eq!(serde_json::to_string(&number).ok().as_deref(), Some(digits));
    }
}
