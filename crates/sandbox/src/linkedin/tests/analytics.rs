//! Figures: those of the world, whole and within their limits.

use std::collections::BTreeMap;

use super::*;

const FIELDS: &str = "dateRange,pivotValues,impressions,clicks,landingPageClicks,costInLocalCurrency,costInUsd,\
                      externalWebsiteConversions,conversionValueInLocalCurrency,oneClickLeads";
const WEEK: &str = "dateRange=(start:(year:2026,month:11,day:1),end:(year:2026,month:11,day:7))";

/// The query of a report on an account.
fn report(pivot: &str, granularity: &str, range: &str, account: &str) -> String {
    format!(
        "q=analytics&pivot=(value:{pivot})&timeGranularity=(value:{granularity})&{range}\
         &accounts=List(urn%3Ali%3AsponsoredAccount%3A{account})&fields={FIELDS}"
    )
}

/// Micros of a decimal text with 16 places.
fn micros(value: &Value) -> i64 {
    let text = value.as_str().expect("an amount as text");
    let (whole, places) = text.split_once('.').expect("a point");
    assert_eq!(places.len(), 16, "{text}");
    let whole: i64 = whole.parse().expect("a number");
    whole * 1_000_000 + places[..6].parse::<i64>().expect("digits")
}

/// Impressions, clicks, micros of cost and conversions with leads, by thing and day.
type Sums = BTreeMap<(String, String), (i64, i64, i64, i64)>;

fn told(rows: &[Value]) -> Sums {
    let each = rows.iter().map(|row| {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        let urn = row["pivotValues"][0].as_str().expect("a URN");
        let id = urn.rsplit(':').next().unwrap_or_default().to_owned();
        let start = &row["dateRange"]["start"];
        let day = format!(
            "{}-{:02}-{:02}",
            start["year"],
            start["month"].as_u64().unwrap_or_default(),
            start["day"].as_u64().unwrap_or_default(),
        );
        let figures = (
            number("impressions"),
            number("clicks"),
            micros(&row["costInLocalCurrency"]),
            number("externalWebsiteConversions") + number("oneClickLeads"),
        );
        ((id, day), figures)
    });
    each.collect()
}

fn exported(export: &Value) -> Sums {
    let rows = export["rows"].as_array().expect("rows");
    let each = rows.iter().map(|row| {
        let number = |name: &str| row[name].as_i64().unwrap_or_default();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let figures = (
            number("impressions"),
            number("clicks"),
            number("spend_micros"),
            number("conversion_millis") / 1_000,
        );
        ((text("entity_id"), text("date")), figures)
    });
    each.collect()
}

#[tokio::test]
async fn days_of_every_level_are_those_of_the_world() {
    let li = Li::start().await;
    let levels = [
        ("ACCOUNT", "account"),
        ("CAMPAIGN_GROUP", "campaign"),
        ("CAMPAIGN", "ad_set"),
        ("CREATIVE", "ad"),
    ];
    for (pivot, level) in levels {
        let rows = elements(&li.analytics(&report(pivot, "DAILY", WEEK, SECOND)).await);
        let export = li
            .world(&format!(
                "export?platform=linkedin&account={SECOND}&level={level}&granularity=day&from=2026-11-01&to=2026-11-07"
            ))
            .await;

        assert!(!rows.is_empty(), "{pivot}");
        assert_eq!(told(&rows), exported(&export), "{pivot}");
    }
    li.site.stop().await;
}

#[tokio::test]
async fn longer_times_are_the_sums_of_days() {
    let li = Li::start().await;
    let range = "dateRange=(start:(year:2025,month:12,day:20),end:(year:2026,month:2,day:5))";
    let sum = |rows: &[Value]| -> i64 {
        rows.iter()
            .filter_map(|row| row["impressions"].as_i64())
            .sum()
    };

    let mut sums = Vec::new();
    let mut counts = Vec::new();
    for granularity in ["DAILY", "MONTHLY", "YEARLY", "ALL"] {
        let rows = elements(
            &li.analytics(&report("ACCOUNT", granularity, range, FIRST))
                .await,
        );
        sums.push(sum(&rows));
        counts.push(rows.len());
    }

    assert!(
        sums[0] > 0 && sums.iter().all(|one| *one == sums[0]),
        "{sums:?}"
    );
    assert_eq!(counts[1..], [3, 2, 1]);
    li.site.stop().await;
}

#[tokio::test]
async fn without_fields_there_are_impressions_and_clicks_and_no_error() {
    let li = Li::start().await;
    let query = report("CAMPAIGN", "ALL", WEEK, FIRST);
    let (bare, _) = query.split_once("&fields=").expect("fields");

    let rows = elements(&li.analytics(bare).await);
    let old = bare
        .replace("(value:CAMPAIGN)", "CAMPAIGN")
        .replace("(value:ALL)", "ALL");
    let in_old_syntax = elements(&li.analytics(&old).await);

    let mut names: Vec<_> = rows[0].as_object().expect("a row").keys().collect();
    names.sort();
    assert_eq!(names, ["clicks", "impressions"]);
    assert_eq!(in_old_syntax, rows);
    li.site.stop().await;
}

#[tokio::test]
async fn at_most_twenty_fields_go_into_one_report() {
    let li = Li::start().await;
    let query = |fields: &str| report("CAMPAIGN", "ALL", WEEK, FIRST).replace(FIELDS, fields);
    let twenty_one = vec!["clicks"; 21].join(",");

    let too_many = li.analytics(&query(&twenty_one)).await;
    let unknown = li.analytics(&query("impressions,videoFame")).await;
    let encoded = li.analytics(&query("impressions%2Cclicks")).await;

    for answer in [too_many, unknown, encoded] {
        assert_input(&answer, "fields", "PARAM_INVALID");
    }
    li.site.stop().await;
}

#[tokio::test]
async fn what_paging_says_means_nothing() {
    let li = Li::start().await;
    let query = report("CREATIVE", "DAILY", WEEK, FIRST);

    let whole = li.analytics(&query).await;
    let again = li.analytics(&format!("{query}&start=10&count=10")).await;

    assert!(elements(&whole).len() > 10);
    assert_eq!(
        whole.json()["paging"],
        json!({ "start": 0, "count": 10, "links": [] })
    );
    assert_eq!(elements(&again), elements(&whole));
    li.site.stop().await;
}

#[tokio::test]
async fn more_than_15000_rows_are_refused() {
    let li = Li::start_with(|config| config.world.campaigns_per_account = 40).await;
    let since = "dateRange=(start:(year:2024,month:6,day:1))";

    let answer = li
        .analytics(&report("CREATIVE", "DAILY", since, FIRST))
        .await;
    let shorter = li
        .analytics(&report("CREATIVE", "DAILY", WEEK, FIRST))
        .await;

    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.body.contains("exceeds") && answer.body.contains("15000"),
        "{}",
        answer.body
    );
    assert!(!elements(&shorter).is_empty());
    li.site.stop().await;
}

#[tokio::test]
async fn several_pivots_and_lists_narrow_a_report_down() {
    let li = Li::start().await;
    let rows = elements(&li.analytics(&report("CAMPAIGN", "ALL", WEEK, FIRST)).await);
    let urn = rows[0]["pivotValues"][0].as_str().expect("a URN");
    let campaign = urn.replace(':', "%3A");
    let query = report("CAMPAIGN", "ALL", WEEK, FIRST);
    let of_one = format!("{query}&campaigns=List({campaign})");
    let statistics = of_one.replace(
        "q=analytics&pivot=(value:CAMPAIGN)",
        "q=statistics&pivots=List(CAMPAIGN,CREATIVE)",
    );
    let above = of_one.replace("(value:CAMPAIGN)", "(value:ACCOUNT)");

    let creatives = elements(&li.analytics(&statistics).await);
    let account = elements(&li.analytics(&above).await);
    let members = statistics.replace("List(CAMPAIGN,CREATIVE)", "List(CAMPAIGN,MEMBER_COMPANY)");
    let members = li.analytics(&members).await;

    let sum: i64 = creatives
        .iter()
        .filter_map(|row| row["impressions"].as_i64())
        .sum();
    assert!(creatives.iter().all(|row| row["pivotValues"][0] == urn));
    assert_eq!(json!(sum), rows[0]["impressions"]);
    assert_eq!(account[0]["impressions"], rows[0]["impressions"]);
    assert_eq!(
        account[0]["pivotValues"],
        json!(["urn:li:sponsoredAccount:500000001"])
    );
    assert_input(&members, "pivots", "PARAM_INVALID");
    li.site.stop().await;
}

#[tokio::test]
async fn conversions_and_people_are_pivots_too() {
    let li = Li::start().await;
    let quarter = "dateRange=(start:(year:2026,month:8,day:1),end:(year:2026,month:10,day:31))";

    let conversions = elements(
        &li.analytics(&report("CONVERSION", "ALL", quarter, FIRST))
            .await,
    );
    let countries = elements(
        &li.analytics(&report("MEMBER_COUNTRY_V2", "ALL", quarter, FIRST))
            .await,
    );
    let account = elements(
        &li.analytics(&report("ACCOUNT", "ALL", quarter, FIRST))
            .await,
    );

    assert_eq!(conversions.len(), 1);
    assert_eq!(conversions[0]["impressions"], 0);
    assert_eq!(
        conversions[0]["externalWebsiteConversions"],
        account[0]["externalWebsiteConversions"],
    );
    assert!(countries.len() > 1);
    let sum: i64 = countries
        .iter()
        .filter_map(|row| row["impressions"].as_i64())
        .sum();
    assert!(
        account[0]["impressions"]
            .as_i64()
            .is_some_and(|all| sum < all),
        "{sum}"
    );
    li.site.stop().await;
}

#[tokio::test]
async fn a_report_without_what_it_needs_is_refused() {
    let li = Li::start().await;
    let good = report("CAMPAIGN", "DAILY", WEEK, FIRST);
    let account = "&accounts=List(urn%3Ali%3AsponsoredAccount%3A500000001)";
    let year = "dateRange=(start:(year:2025,month:11,day:1))";
    let reach = good
        .replace(FIELDS, "approximateMemberReach")
        .replace(WEEK, year);
    let wrong = [
        (
            good.replace(account, ""),
            "accounts",
            "MISSING_REQUIRED_PARAM",
        ),
        (
            good.replace(&format!("&{WEEK}"), ""),
            "dateRange",
            "MISSING_REQUIRED_PARAM",
        ),
        (
            good.replace("q=analytics&", ""),
            "q",
            "MISSING_REQUIRED_PARAM",
        ),
        (
            good.replace("DAILY", "HOURLY"),
            "timeGranularity",
            "PARAM_INVALID",
        ),
        (
            good.replace("day:7", "day:31"),
            "dateRange",
            "PARAM_INVALID",
        ),
        (
            good.replace("month:11,day:7", "month:10,day:7"),
            "dateRange",
            "PARAM_INVALID",
        ),
        (good.replace("%3A", ":"), "accounts", "PARAM_INVALID"),
        (good.replace("%3A", "%253A"), "accounts", "PARAM_INVALID"),
        (
            good.replace("(value:CAMPAIGN)", "(value:HOUSE)"),
            "pivot",
            "PARAM_INVALID",
        ),
        (
            format!("{good}&dateRange.start.year=2026"),
            "dateRange.start.year",
            "QUERY_PARAM_NOT_ALLOWED",
        ),
        (reach, "dateRange", "PARAM_INVALID"),
    ];
    for (query, field, code) in wrong {
        let answer = li.analytics(&query).await;

        assert_input(&answer, field, code);
    }
    let elsewhere = li.analytics(&good.replace("500000001", "599999999")).await;
    assert_eq!(
        (elsewhere.status, &elsewhere.json()["code"]),
        (403, &json!("ACCESS_DENIED"))
    );
    li.site.stop().await;
}

#[tokio::test]
async fn too_many_figures_are_refused_with_a_sentence_of_their_own() {
    let li = Li::start().await;
    let full = json!({ "platform": "linkedin", "account": "figures", "usage_percent": 100 });
    li.site.control("POST", "/limits", &full).await;

    let answer = li
        .analytics(&report("CAMPAIGN", "DAILY", WEEK, FIRST))
        .await;

    assert_eq!(answer.status, 429);
    assert!(
        answer.body.contains("More than 45 million metric values"),
        "{}",
        answer.body
    );
    li.site.stop().await;
}
