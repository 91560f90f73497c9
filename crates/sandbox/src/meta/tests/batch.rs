//! Batches: an entry for each call, in order, each with its own status, headers and body.

use serde_json::{Value, json};

use super::{Answer, DEV_META_TOKEN, FORM, Serializer, Site, assert_refused, proof, stopped, tell};

async fn batch(site: &Site, operations: &Value) -> Answer {
    let form = Serializer::new(String::new())
        .append_pair("access_token", DEV_META_TOKEN)
        .append_pair("appsecret_proof", &proof(DEV_META_TOKEN))
        .append_pair("batch", &operations.to_string())
        .finish();
    site.post("/v26.0/", FORM, &form).await
}

fn campaigns() -> Value {
    json!({ "method": "GET", "relative_url": "act_1000000000001/campaigns?fields=id,name&limit=3" })
}

fn body(entry: &Value) -> Value {
    serde_json::from_str(entry["body"].as_str().expect("text")).expect("JSON")
}

#[tokio::test]
async fn each_call_is_answered_as_if_it_had_come_alone() {
    let site = stopped().await;
    let operations = json!([
        campaigns(),
        { "method": "GET", "relative_url": "404" },
        { "method": "POST", "relative_url": "act_1000000000001/insights",
          "body": "level=campaign&fields=spend&date_preset=yesterday" },
        { "method": "GET" },
    ]);

    let answer = batch(&site, &operations).await.json();

    let entries = answer.as_array().expect("a list");
    let codes: Vec<_> = entries.iter().map(|entry| entry["code"].as_i64()).collect();
    assert_eq!(codes, [Some(200), Some(400), Some(200), Some(400)]);
    assert!(body(&entries[0])["data"].is_array());
    assert_eq!(body(&entries[1])["error"]["error_subcode"], 33);
    assert!(body(&entries[2])["report_run_id"].is_string());
    let headers = entries[0]["headers"].as_array().expect("a list");
    let names: Vec<_> = headers
        .iter()
        .filter_map(|header| header["name"].as_str())
        .collect();
    assert!(names.contains(&"X-Business-Use-Case-Usage"), "{names:?}");
    site.stop().await;
}

#[tokio::test]
async fn entries_that_were_not_finished_are_null() {
    let site = stopped().await;
    let fault =
        json!({ "target": "meta", "fault": { "kind": "null_entries", "every": 2 }, "times": 1 });
    tell(&site, "/faults", fault).await;

    let answer = batch(&site, &json!([campaigns(), campaigns(), campaigns()]))
        .await
        .json();

    let are_null: Vec<_> = answer
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::is_null)
        .collect();
    assert_eq!(are_null, [false, true, false]);
    site.stop().await;
}

#[tokio::test]
async fn a_batch_as_a_whole_may_be_refused() {
    let site = stopped().await;
    let many = Value::Array(vec![campaigns(); 51]);

    let too_many = batch(&site, &many).await;
    let unsigned = site.post("/", FORM, "batch=%5B%5D").await;

    assert_refused(&too_many, 100, None);
    assert_refused(&unsigned, 104, None);
    site.stop().await;
}
