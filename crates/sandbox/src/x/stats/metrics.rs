//! Groups of metrics, each metric a series over the steps: `null` where it is zero throughout.

use serde_json::{Map, Value, json};

use super::scene::Step;
use crate::{
    world::Figures,
    x::{error::XError, params::Params},
};

/// A group of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Engagement,
    Billing,
    Video,
    WebConversion,
    LifeTimeValue,
    MobileConversion,
}

/// Which part of the figures is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Portion {
    Whole,
    /// Six tenths.
    First,
    /// What the first part leaves.
    Rest,
}

/// A metric and what it counts.
type Counted = (&'static str, fn(&Figures) -> i64);

const ENGAGEMENT: [Counted; 7] = [
    ("impressions", |it| it.impressions),
    ("clicks", |it| it.clicks),
    ("url_clicks", |it| it.link_clicks),
    ("engagements", engagements),
    ("likes", |it| it.likes),
    ("replies", |it| it.comments),
    ("retweets", |it| it.shares),
];
const BILLING: [Counted; 2] = [
    ("billed_charge_local_micro", |it| it.spend_micros),
    ("billed_engagements", |it| it.link_clicks),
];
const VIDEO: [Counted; 3] = [
    ("video_total_views", |it| it.video_views),
    ("video_views_50", |it| it.video_views / 2),
    ("video_views_100", |it| it.video_views / 5),
];
/// What X counts and nobody here does.
const NEVER: [(Group, &[&str]); 4] = [
    (
        Group::Engagement,
        &[
            "follows",
            "app_clicks",
            "card_engagements",
            "carousel_swipes",
        ],
    ),
    (
        Group::WebConversion,
        &[
            "conversion_custom",
            "conversion_downloads",
            "conversion_site_visits",
        ],
    ),
    (
        Group::LifeTimeValue,
        &["mobile_conversion_lifetime_value_purchases"],
    ),
    (
        Group::MobileConversion,
        &["mobile_conversion_installs", "mobile_conversion_purchases"],
    ),
];

impl Group {
    const ALL: [Self; 6] = [
        Self::Engagement,
        Self::Billing,
        Self::Video,
        Self::WebConversion,
        Self::LifeTimeValue,
        Self::MobileConversion,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Engagement => "ENGAGEMENT",
            Self::Billing => "BILLING",
            Self::Video => "VIDEO",
            Self::WebConversion => "WEB_CONVERSION",
            Self::LifeTimeValue => "LIFE_TIME_VALUE_MOBILE_CONVERSION",
            Self::MobileConversion => "MOBILE_CONVERSION",
        }
    }

    /// The groups that a call asks for.
    ///
    /// # Errors
    /// MISSING_PARAMETER, INVALID_PARAMETER: MOBILE_CONVERSION goes in a call of its own.
    pub(super) fn read(params: &Params) -> Result<Vec<Self>, XError> {
        let text = params.required("metric_groups")?;
        let find = |name: &str| Self::ALL.into_iter().find(|group| group.as_str() == name);
        let groups: Option<Vec<_>> = text.split(',').map(find).collect();
        let groups = groups.ok_or_else(|| {
            XError::invalid("metric_groups", text, "Expected known metric groups")
        })?;
        if groups.len() > 1 && groups.contains(&Self::MobileConversion) {
            let message = "MOBILE_CONVERSION has to be requested separately";
            return Err(XError::invalid("metric_groups", text, message));
        }
        Ok(groups)
    }
}

impl Portion {
    fn of(self, number: i64) -> i64 {
        let first = number * 6 / 10;
        match self {
            Self::Whole => number,
            Self::First => first,
            Self::Rest => number - first,
        }
    }
}

/// The metrics of some groups.
pub(super) fn told(groups: &[Group], steps: &[Step], portion: Portion) -> Value {
    let mut metrics = Map::new();
    for group in groups {
        let counted: &[Counted] = match group {
            Group::Engagement => &ENGAGEMENT,
            Group::Billing => &BILLING,
            Group::Video => &VIDEO,
            Group::WebConversion | Group::LifeTimeValue | Group::MobileConversion => &[],
        };
        for (name, count) in counted {
            let numbers = steps.iter().map(|step| portion.of(count(&step.all())));
            metrics.insert((*name).to_owned(), series(numbers));
        }
        if *group == Group::WebConversion {
            let sales = steps.iter().map(|step| step.sales);
            metrics.insert(
                "conversion_purchases".to_owned(),
                conversions(sales, portion),
            );
            let leads = steps.iter().map(|step| step.leads);
            metrics.insert(
                "conversion_sign_ups".to_owned(),
                conversions(leads, portion),
            );
        }
        for (_, names) in NEVER.iter().filter(|(of, _)| of == group) {
            for name in *names {
                metrics.insert((*name).to_owned(), Value::Null);
            }
        }
    }
    Value::Object(metrics)
}

/// Conversions after a view and after an engagement, each with its series.
fn conversions(steps: impl Iterator<Item = Figures>, portion: Portion) -> Value {
    let steps: Vec<_> = steps.collect();
    let views = |it: &Figures| portion.of(it.view_conversion_millis / 1_000);
    let engagements =
        |it: &Figures| portion.of((it.conversion_millis - it.view_conversion_millis) / 1_000);
    let both = |it: &Figures| views(it) + engagements(it);
    if steps.iter().all(|it| it.conversion_millis == 0) {
        return Value::Null;
    }
    json!({
        "post_view": series(steps.iter().map(views)),
        "post_engagement": series(steps.iter().map(engagements)),
        "order_quantity": series(steps.iter().map(both)),
        "sale_amount": series(steps.iter().map(|it| portion.of(it.revenue_micros))),
        "metric": series(steps.iter().map(both)),
    })
}

fn series(numbers: impl Iterator<Item = i64>) -> Value {
    let numbers: Vec<_> = numbers.collect();
    if numbers.iter().all(|number| *number == 0) {
        Value::Null
    } else {
        json!(numbers)
    }
}

fn engagements(figures: &Figures) -> i64 {
    figures.clicks + figures.likes + figures.comments + figures.shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(clicks: i64, conversions: i64, views: i64) -> Step {
        Step {
            sales: Figures {
                clicks,
                conversion_millis: conversions * 1_000,
                view_conversion_millis: views * 1_000,
                revenue_micros: conversions * 45_000_000,
                ..Figures::default()
            },
            ..Step::default()
        }
    }

    #[test]
    fn a_series_that_is_zero_throughout_is_null() {
        let groups = [Group::Engagement, Group::WebConversion];

        let metrics = told(&groups, &[step(0, 0, 0), step(3, 0, 0)], Portion::Whole);

        assert_eq!(metrics["clicks"], json!([0, 3]));
        assert_eq!(metrics["impressions"], Value::Null);
        assert_eq!(metrics["conversion_purchases"], Value::Null);
        assert!(metrics.get("follows").is_some_and(Value::is_null));
    }

    #[test]
    fn conversions_are_told_by_what_came_before_them() {
        let steps = [step(9, 2, 0), step(9, 4, 1)];

        let metrics = told(&[Group::WebConversion], &steps, Portion::Whole);

        assert_eq!(
            metrics["conversion_purchases"],
            json!({
                "post_view": [0, 1],
                "post_engagement": [2, 3],
                "order_quantity": [2, 4],
                "sale_amount": [90_000_000, 180_000_000],
                "metric": [2, 4],
            }),
        );
        assert_eq!(metrics["conversion_sign_ups"], Value::Null);
    }

    #[test]
    fn the_parts_of_a_figure_add_up_to_it() {
        for number in 0..50 {
            let parts = Portion::First.of(number) + Portion::Rest.of(number);

            assert_eq!(parts, Portion::Whole.of(number));
        }
    }
}
