//! Pages to the end, and streams.

use super::*;

/// More than a page of rows: every ad, every day since the first.
const MANY: &str = "SELECT ad_group_ad.ad.id, segments.date, metrics.impressions FROM ad_group_ad \
                    WHERE segments.date BETWEEN '2024-06-01' AND '2026-11-19'";

async fn page(ads: &Ads, query: &str, token: Option<&Value>) -> Answer {
    let mut body = json!({ "query": query });
    if let Some(token) = token {
        body["pageToken"] = token.clone();
    }
    ads.call(FIRST, "search", &body).await
}

fn results(body: &Value) -> Vec<Value> {
    body["results"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn pages_to_the_end_are_what_a_stream_has_and_what_the_world_says() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 16).await;
    let mut pages = Vec::new();
    let mut token = None;

    loop {
        let body = page(&ads, MANY, token.as_ref()).await.json();
        pages.push(results(&body));
        token = body.get("nextPageToken").cloned();
        if token.is_none() {
            break;
        }
    }
    let stream = ads
        .call(FIRST, "searchStream", &json!({ "query": MANY }))
        .await
        .json();
    let params = "level=ad&granularity=day&from=2024-06-01&to=2026-11-19";
    let export = ads.export(FIRST, params).await;

    let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
    let (last, full) = sizes.split_last().expect("a page");
    assert!(
        !full.is_empty() && full.iter().all(|size| *size == 10_000),
        "{sizes:?}"
    );
    assert!(*last > 0);
    let rows: Vec<_> = pages.into_iter().flatten().collect();
    let batches = stream.as_array().expect("a list of batches");
    let streamed: Vec<_> = batches.iter().flat_map(results).collect();
    assert!(batches.len() == sizes.len() && rows == streamed);
    let sum: i64 = rows
        .iter()
        .map(|row| int(&row["metrics"]["impressions"]))
        .sum();
    assert_eq!(json!(rows.len()), export["count"]);
    assert_eq!(json!(sum), export["totals"]["impressions"]);
    ads.site.stop().await;
}

#[tokio::test]
async fn a_page_token_goes_with_its_query_and_ends_after_hours() {
    let ads = Ads::start_with(|config| config.world.campaigns_per_account = 16).await;
    let token = page(&ads, MANY, None).await.json()["nextPageToken"].clone();

    let other = page(&ads, "SELECT campaign.id FROM campaign", Some(&token)).await;
    let forged = page(&ads, MANY, Some(&json!("fake"))).await;
    ads.advance(5 * 3_600).await;
    let fresh = refresh(&ads.site, DEV_GOOGLE_REFRESH_TOKEN).await.json()["access_token"].clone();
    let ads = Ads {
        token: fresh.as_str().expect("a token").to_owned(),
        ..ads
    };
    let late = page(&ads, MANY, Some(&token)).await;

    assert_refused(&other, 400, "requestError", "INVALID_PAGE_TOKEN");
    assert_refused(&forged, 400, "requestError", "INVALID_PAGE_TOKEN");
    assert_refused(&late, 400, "requestError", "EXPIRED_PAGE_TOKEN");
    ads.site.stop().await;
}

#[tokio::test]
async fn nobody_can_ask_for_another_size_of_pages() {
    let ads = Ads::start().await;
    let query = "SELECT campaign.id FROM campaign";

    let sized = ads
        .call(FIRST, "search", &json!({ "query": query, "pageSize": 100 }))
        .await;
    let limited = ads.results(FIRST, &format!("{query} LIMIT 3")).await;
    let settings = json!({ "query": query, "searchSettings": { "returnTotalResultsCount": true } });
    let counted = ads.call(FIRST, "search", &settings).await.json();

    assert_refused(&sized, 400, "requestError", "PAGE_SIZE_NOT_SUPPORTED");
    assert_eq!(limited.len(), 3);
    assert_eq!(
        int(&counted["totalResultsCount"]),
        results(&counted).len() as i64
    );
    ads.site.stop().await;
}

#[tokio::test]
async fn a_stream_is_a_list_also_when_it_is_empty_or_an_error() {
    let ads = Ads::start().await;
    let stream = async |query: &str| {
        let body = json!({ "query": query });
        ads.call(FIRST, "searchStream", &body).await
    };

    let empty = stream("SELECT campaign.id FROM campaign WHERE campaign.id = 5").await;
    let wrong = stream("SELECT campaign.nothing FROM campaign").await;

    let batches = empty.json();
    assert_eq!(batches.as_array().map(Vec::len), Some(1));
    assert!(batches[0].get("results").is_none() && batches[0]["fieldMask"] == "campaign.id");
    assert!(wrong.json().is_array());
    assert_refused(&wrong, 400, "queryError", "UNRECOGNIZED_FIELD");
    ads.site.stop().await;
}

#[tokio::test]
async fn a_stream_can_break_off_after_good_data() {
    let ads = Ads::start().await;
    let fails = json!({ "platform": "google_ads", "fate": "fails" });
    ads.site.control("POST", "/reports", &fails).await;
    let body = json!({ "query": "SELECT campaign.id FROM campaign" });

    let broken = ads.call(FIRST, "searchStream", &body).await;
    let whole = ads.call(FIRST, "searchStream", &body).await;

    let batches = broken.json();
    assert_eq!(broken.status, 200);
    assert!(!results(&batches[0]).is_empty());
    assert_eq!(batches[1]["error"]["status"], "INTERNAL");
    assert_eq!(whole.json().as_array().map(Vec::len), Some(1));
    ads.site.stop().await;
}
