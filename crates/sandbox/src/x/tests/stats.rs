//! Statistics at once: sums that are the world's, steps without dates, and what cannot be asked.

use std::collections::BTreeSet;

use super::*;

const GROUPS: &str = "ENGAGEMENT,BILLING,VIDEO,WEB_CONVERSION";
pub(super) const PLACEMENTS: [&str; 3] = ["ALL_ON_TWITTER", "SPOTLIGHT", "TREND"];
/// A week of London: the clocks go back within it, so that it has 169 hours.
const WEEK: (&str, &str) = ("2026-10-19T23:00:00Z", "2026-10-27T00:00:00Z");
const WEEKS_DAYS: &str = "from=2026-10-20&to=2026-10-26";

pub(super) fn path() -> String {
    format!("stats/accounts/{FIRST}")
}

/// What is asked for, with a week by days as it is usual here.
pub(super) fn question<'q>(
    entity: &'q str,
    ids: &'q str,
    placement: &'q str,
) -> Vec<(&'q str, &'q str)> {
    vec![
        ("entity", entity),
        ("entity_ids", ids),
        ("start_time", WEEK.0),
        ("end_time", WEEK.1),
        ("granularity", "DAY"),
        ("placement", placement),
        ("metric_groups", GROUPS),
    ]
}

/// The same question with another value.
pub(super) fn with<'q>(
    mut question: Vec<(&'q str, &'q str)>,
    name: &'q str,
    value: &'q str,
) -> Vec<(&'q str, &'q str)> {
    question.retain(|(known, _)| *known != name);
    question.push((name, value));
    question
}

/// The sum of a series, which is null where it is zero throughout.
pub(super) fn sum(series: &Value) -> i64 {
    let numbers = series.as_array().into_iter().flatten();
    numbers.map(|it| it.as_i64().expect("a number")).sum()
}

/// Sums of everything in an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    impressions: i64,
    clicks: i64,
    spend_micros: i64,
    conversions: i64,
    revenue_micros: i64,
}

impl Sums {
    pub(super) fn add(&mut self, body: &Value) {
        for thing in body["data"].as_array().expect("a list") {
            for part in thing["id_data"].as_array().expect("a list") {
                let metrics = &part["metrics"];
                self.impressions += sum(&metrics["impressions"]);
                self.clicks += sum(&metrics["clicks"]);
                self.spend_micros += sum(&metrics["billed_charge_local_micro"]);
                for name in ["conversion_purchases", "conversion_sign_ups"] {
                    let counts = &metrics[name];
                    self.conversions += sum(&counts["post_view"]);
                    self.conversions += sum(&counts["post_engagement"]);
                    self.revenue_micros += sum(&counts["sale_amount"]);
                }
            }
        }
    }

    pub(super) fn of_export(export: &Value) -> Self {
        let total = |name: &str| export["totals"][name].as_i64().expect("a number");
        Self {
            impressions: total("impressions"),
            clicks: total("clicks"),
            spend_micros: total("spend_micros"),
            conversions: total("conversion_millis") / 1_000,
            revenue_micros: total("revenue_micros"),
        }
    }
}

async fn ids(ads: &Ads, entity: &str) -> Vec<String> {
    let params = [
        ("entity", entity),
        ("start_time", WEEK.0),
        ("end_time", WEEK.1),
    ];
    let path = format!("{}/active_entities", path());
    let body = good(&ads.get(&path, &params).await);
    let active = body["data"].as_array().expect("a list");
    active
        .iter()
        .map(|it| text(it, "entity_id").to_owned())
        .collect()
}

#[tokio::test]
async fn every_level_adds_up_to_what_the_world_says_over_all_places() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 30).await;
    for (entity, level) in [
        ("CAMPAIGN", "campaign"),
        ("LINE_ITEM", "ad_set"),
        ("PROMOTED_TWEET", "ad"),
        ("MEDIA_CREATIVE", "ad"),
    ] {
        let active = ids(&ads, entity).await;
        let mut sums = Sums::default();
        for some in active.chunks(20) {
            let some = some.join(",");
            for placement in PLACEMENTS {
                let question = question(entity, &some, placement);
                sums.add(&good(&ads.get(&path(), &question).await));
            }
        }

        let export = ads
            .export(&format!("level={level}&granularity=day&{WEEKS_DAYS}"))
            .await;
        assert_eq!(sums, Sums::of_export(&export), "{entity}");
        assert!(sums.impressions > 0 && !active.is_empty());
        if entity != "MEDIA_CREATIVE" {
            let rows = export["rows"].as_array().expect("rows");
            let told: BTreeSet<_> = rows.iter().map(|row| text(row, "entity_id")).collect();
            let active: BTreeSet<_> = active.iter().map(String::as_str).collect();
            assert_eq!(active, told, "{entity}");
        }
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn days_are_the_accounts_own_and_have_23_to_25_hours() {
    let ads = Ads::start().await;
    let export = ads
        .export(&format!("level=account&granularity=day&{WEEKS_DAYS}"))
        .await;
    for (entity, id) in [("ACCOUNT", FIRST), ("FUNDING_INSTRUMENT", "f010000000")] {
        let mut days = [0; 7];

        for placement in PLACEMENTS {
            let body = good(&ads.get(&path(), &question(entity, id, placement)).await);
            assert_eq!(
                (&body["data_type"], &body["time_series_length"]),
                (&json!("stats"), &json!(7))
            );
            assert_eq!(body["data"][0]["id"], id);
            let part = &body["data"][0]["id_data"][0];
            assert_eq!(part["segment"], json!(null));
            let series = part["metrics"]["impressions"].as_array();
            for (day, number) in days.iter_mut().zip(series.into_iter().flatten()) {
                *day += number.as_i64().expect("a number");
            }
        }

        let rows = export["rows"].as_array().expect("rows");
        let told: Vec<_> = rows.iter().map(|row| row["impressions"].as_i64()).collect();
        assert_eq!(told, days.map(Some), "{entity}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn hours_are_those_of_utc_and_the_total_is_their_sum() {
    let ads = Ads::start().await;
    let day = ("2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z");
    let mut by_hour = Sums::default();
    let mut total = Sums::default();

    for placement in PLACEMENTS {
        let asked = question("ACCOUNT", FIRST, placement);
        let asked = with(with(asked, "start_time", day.0), "end_time", day.1);
        let hours = with(asked.clone(), "granularity", "HOUR");
        let body = good(&ads.get(&path(), &hours).await);
        assert_eq!(body["time_series_length"], 25);
        by_hour.add(&body);
        let whole = with(asked, "granularity", "TOTAL");
        let body = good(&ads.get(&path(), &whole).await);
        assert_eq!(body["time_series_length"], 1);
        total.add(&body);
    }

    let params = "level=account&granularity=day&from=2026-10-25&to=2026-10-25";
    let export = ads.export(params).await;
    assert_eq!(by_hour, Sums::of_export(&export));
    assert_eq!(total, by_hour);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_series_of_nothing_is_null() {
    let ads = Ads::start().await;
    let asked = question("ACCOUNT", FIRST, "ALL_ON_TWITTER");
    let before = with(asked, "start_time", "2020-10-19T23:00:00Z");
    let before = with(before, "end_time", "2020-10-22T23:00:00Z");

    let body = good(&ads.get(&path(), &before).await);

    assert_eq!(body["time_series_length"], 3);
    let metrics = &body["data"][0]["id_data"][0]["metrics"];
    for (name, series) in metrics.as_object().expect("metrics") {
        assert!(series.is_null(), "{name}: {series}");
    }
    for name in [
        "impressions",
        "conversion_purchases",
        "video_total_views",
        "follows",
    ] {
        assert!(metrics.get(name).is_some(), "{name}");
    }
    ads.site.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_the_parameter() {
    let ads = Ads::start().await;
    let many = vec![FIRST; 21].join(",");
    for (name, value) in [
        ("entity", "AD"),
        ("entity_ids", many.as_str()),
        ("granularity", "MINUTE"),
        ("placement", "ALL_ON_TWITTER,SPOTLIGHT"),
        ("placement", "PUBLISHER_NETWORK"),
        ("metric_groups", "ENGAGEMENT,NOTHING"),
        ("metric_groups", "ENGAGEMENT,MOBILE_CONVERSION"),
        ("segmentation_type", "GENDER"),
        ("start_time", "yesterday"),
        ("start_time", "2026-10-20T00:30:00Z"),
        // Midnight of UTC is one o'clock in London then.
        ("start_time", "2026-10-20T00:00:00Z"),
        ("end_time", "2026-10-26T23:00:00Z"),
        ("end_time", "2026-10-18T23:00:00Z"),
    ] {
        let asked = with(question("ACCOUNT", FIRST, "ALL_ON_TWITTER"), name, value);

        let answer = ads.get(&path(), &asked).await;

        assert_refused(&answer, 400, "INVALID_PARAMETER");
        let error = answer.json()["errors"][0].clone();
        assert_eq!(
            (&error["parameter"], &error["value"]),
            (&json!(name), &json!(value))
        );
    }
    for name in [
        "entity",
        "entity_ids",
        "start_time",
        "end_time",
        "granularity",
        "placement",
        "metric_groups",
    ] {
        let asked = with(question("ACCOUNT", FIRST, "ALL_ON_TWITTER"), name, "");

        assert_refused(&ads.get(&path(), &asked).await, 400, "MISSING_PARAMETER");
    }
    let elsewhere = question("CAMPAIGN", "c010000000,nothing", "TREND");
    assert_refused(&ads.get(&path(), &elsewhere).await, 404, "NOT_FOUND");
    ads.site.stop().await;
}

#[tokio::test]
async fn at_once_a_week_can_be_asked_for_and_what_was_active_in_90_days() {
    let ads = Ads::start().await;
    let week = question("ACCOUNT", FIRST, "ALL_ON_TWITTER");
    let eight_days = with(week.clone(), "end_time", "2026-10-28T00:00:00Z");
    let hours = with(week.clone(), "granularity", "HOUR");
    let active = async |start: &str| {
        let params = [
            ("entity", "CAMPAIGN"),
            ("start_time", start),
            ("end_time", "2026-11-20T00:00:00Z"),
        ];
        ads.get(&format!("{}/active_entities", path()), &params)
            .await
    };

    good(&ads.get(&path(), &week).await);
    assert_refused(
        &ads.get(&path(), &eight_days).await,
        400,
        "INVALID_TIME_WINDOW",
    );
    // Seven days of 24 hours are one hour less than this week.
    assert_refused(&ads.get(&path(), &hours).await, 400, "INVALID_TIME_WINDOW");
    good(&active("2026-08-22T00:00:00Z").await);
    assert_refused(
        &active("2026-08-21T00:00:00Z").await,
        400,
        "INVALID_TIME_WINDOW",
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn activity_names_whole_hours_and_places() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 30).await;
    let params = [
        ("entity", "LINE_ITEM"),
        ("start_time", WEEK.0),
        ("end_time", WEEK.1),
    ];
    let path = format!("{}/active_entities", path());

    let body = good(&ads.get(&path, &params).await);
    let of_account = [
        ("entity", "ACCOUNT"),
        ("start_time", WEEK.0),
        ("end_time", WEEK.1),
    ];
    let of_account = ads.get(&path, &of_account).await;

    let active = body["data"].as_array().expect("a list");
    assert!(!active.is_empty());
    for activity in active {
        let (start, end) = (
            text(activity, "activity_start_time"),
            text(activity, "activity_end_time"),
        );
        assert!(
            WEEK.0 <= start && start < end && end <= WEEK.1,
            "{activity}"
        );
        assert!(start.ends_with(":00:00Z") && end.ends_with(":00:00Z"));
        let places = activity["placements"].as_array().map(Vec::len);
        assert_eq!(places, Some(1), "a line item is shown in one place");
    }
    assert_refused(&of_account, 400, "INVALID_PARAMETER");
    ads.site.stop().await;
}

#[tokio::test]
async fn spend_is_taken_back_for_up_to_two_weeks() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 40).await;
    ads.set_clock("2026-10-27T12:00:00Z").await;
    let spend = async || {
        let mut sums = Sums::default();
        for placement in PLACEMENTS {
            let asked = question("ACCOUNT", FIRST, placement);
            sums.add(&good(&ads.get(&path(), &asked).await));
        }
        sums.spend_micros
    };

    let before = spend().await;
    ads.advance(15 * 24 * 3_600).await;
    let after = spend().await;
    ads.advance(30 * 24 * 3_600).await;
    let later = spend().await;

    assert!(after < before);
    assert_eq!(later, after);
    ads.site.stop().await;
}
