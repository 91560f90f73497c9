//! What series add up to.

use chrono_tz::Tz;
use serde_json::json;

use super::*;
use crate::platform::{ConversionChoice, Granularity, Level};

fn query() -> InsightQuery {
    InsightQuery {
        account_id: "18fake0001".to_owned(),
        level: Level::Campaign,
        granularity: Granularity::Day,
        from: day(1),
        to: day(2),
        time_zone: Tz::UTC,
        currency: None,
        attribution: Vec::new(),
        breakdowns: Vec::new(),
        entities: Vec::new(),
        conversion: ConversionChoice::default(),
        page_size: None,
        in_background: false,
    }
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, day).expect("a day")
}

fn stats(segment: Value, metrics: Value) -> Stats {
    let body =
        json!({"data": [{"id": "fkcmp1", "id_data": [{"segment": segment, "metrics": metrics}]}]});
    serde_json::from_str(&body.to_string()).expect("stats")
}

/// As X shows it.
fn shown() -> Stats {
    let metrics = json!({"impressions": [5210, 4980], "clicks": [120, 111], "url_clicks": [80, 75],
        "engagements": [150, 140], "billed_charge_local_micro": [42180000, 42190000],
        "billed_engagements": [80, 75], "likes": [7, null], "replies": [2, 0], "retweets": [1, 1],
        "conversion_purchases": {"post_view": [0, 1], "post_engagement": [2, 3], "order_quantity": [2, 4],
            "sale_amount": [99000000, 180000000], "metric": [2, 4]},
        "conversion_sign_ups": {"post_view": null, "post_engagement": [1, 0]},
        "video_total_views": null});
    stats(Value::Null, metrics)
}

fn summed(query: &InsightQuery, answers: Vec<Stats>) -> Result<Vec<InsightRow>, Unreadable> {
    let mut sums = Sums::new(query, vec![(day(1), None), (day(2), None)]);
    for answer in answers {
        sums.add(answer)?;
    }
    Ok(sums.rows())
}

#[test]
fn step_by_step_a_series_becomes_rows() {
    let rows = summed(&query(), vec![shown()]).expect("rows");

    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].entity_id.as_str(), rows[0].date),
        ("fkcmp1", day(1))
    );
    let first = Figures {
        impressions: 5_210,
        clicks: 120,
        link_clicks: 80,
        views: 0,
        likes: 7,
        comments: 2,
        shares: 1,
        spend: Decimal::new(4_218, 2),
        conversions: Decimal::from(2),
        revenue: Decimal::from(99),
        leads: Decimal::from(1),
    };
    assert_eq!(rows[0].figures, first);
    assert_eq!(rows[1].figures.likes, 0);
    assert_eq!(rows[1].figures.conversions, Decimal::from(4));
    assert_eq!(rows[1].figures.revenue, Decimal::from(180));
}

#[test]
fn what_several_placements_tell_of_a_day_is_added_up() {
    let rows = summed(&query(), vec![shown(), shown()]).expect("rows");

    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].figures.impressions, 10_420);
    assert_eq!(rows[0].figures.spend, Decimal::new(8_436, 2));
}

#[test]
fn the_hour_that_comes_twice_is_one_row() {
    let query = query();
    let two = (day(1), Some(2));
    let mut sums = Sums::new(&query, vec![two, two]);

    sums.add(stats(Value::Null, json!({"clicks": [3, 4]})))
        .expect("sums");

    let rows = sums.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].hour, rows[0].figures.clicks), (Some(2), 7));
}

#[test]
fn a_series_of_null_is_zeros_and_zeros_are_no_row() {
    let metrics = json!({"impressions": null, "clicks": [0, 0], "conversion_purchases": null});

    let rows = summed(&query(), vec![stats(Value::Null, metrics)]).expect("rows");

    assert!(rows.is_empty());
}

#[test]
fn conversions_are_those_that_were_chosen() {
    let metrics = json!({
        "conversion_purchases": {"post_view": [9, 9], "post_engagement": [9, 9], "sale_amount": [1, 1]},
        "mobile_conversion_installs": {"post_view": [1, 0], "post_engagement": [2, 0],
            "sale_amount_local_micro": [500000, 0]}});
    let query = InsightQuery {
        attribution: vec!["post_engagement".to_owned()],
        conversion: ConversionChoice {
            conversions: Some("mobile_conversion_installs".to_owned()),
            revenue: None,
        },
        ..query()
    };

    let rows = summed(&query, vec![stats(Value::Null, metrics)]).expect("rows");

    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].figures.conversions, Decimal::from(2));
    assert_eq!(rows[0].figures.revenue, Decimal::new(5, 1));
}

#[test]
fn segments_are_breakdowns_and_the_whole_is_none_of_them() {
    let clicks = || json!({"clicks": [1, 0]});
    let query = InsightQuery {
        breakdowns: vec!["GENDER".to_owned()],
        ..query()
    };
    let named = json!({"segment_name": "FEMALE", "segment_value": "2"});

    let rows = summed(
        &query,
        vec![stats(named, clicks()), stats(Value::Null, clicks())],
    );

    let rows = rows.expect("rows");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].breakdown, "GENDER=FEMALE");
}

#[test]
fn what_is_no_series_of_the_steps_asked_for_is_not_guessed_at() {
    for odd in [json!([1, 2, 3]), json!(["many"]), json!(5), json!({})] {
        let answer = stats(Value::Null, json!({ "clicks": odd }));

        assert_eq!(summed(&query(), vec![answer]), Err(Unreadable));
    }
    let shorter = stats(Value::Null, json!({"clicks": [1]}));
    assert_eq!(summed(&query(), vec![shorter]).expect("rows").len(), 1);
}
