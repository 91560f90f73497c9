//! Many operations in one request.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{PROOF, Site, TOKEN, graph_error, json_of, ok};
use crate::{
    error::Error,
    meta::graph_batch::{MAX_OPERATIONS, Operated, Operation},
};

const PAGE_TOKEN: &str = "EAAfakePageToken00000000000000000000000002";

async fn answering(answer: ResponseTemplate) -> Site {
    let site = Site::new().await;
    site.on("POST", "", answer).await;
    site
}

fn reads(count: usize) -> Vec<Operation> {
    (1..=count)
        .map(|id| Operation::get(format!("act_{id}")).with("fields", "id,name"))
        .collect()
}

fn done(body: &Value) -> Value {
    json!({"code": 200, "headers": [], "body": body.to_string()})
}

#[tokio::test]
async fn operations_travel_together_and_a_token_of_another_with_its_own_proof() {
    let entries = json!([
        done(&json!({"id": "1"})),
        done(&json!({"report_run_id": "9"})),
        done(&json!({}))
    ]);
    let site = answering(ok(entries)).await;
    let operations = [
        Operation::get("act_1/campaigns")
            .with("fields", "id,name")
            .with("limit", "50"),
        Operation::post("act_1/insights").with("level", "campaign"),
        Operation::get("100000000000001/insights").with_token(SecretString::from(PAGE_TOKEN)),
    ];

    let outcomes = site
        .meta
        .graph_batch(site.caller(), &operations)
        .await
        .expect("a batch");

    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Operated::Done(_)))
    );
    let asked = &site.asked().await[0];
    assert_eq!(asked["include_headers"], "true");
    assert_eq!(asked["appsecret_proof"], PROOF);
    let batch = json_of(asked, "batch");
    let read =
        json!({"method": "GET", "relative_url": "act_1/campaigns?fields=id%2Cname&limit=50"});
    let write =
        json!({"method": "POST", "relative_url": "act_1/insights", "body": "level=campaign"});
    assert_eq!(batch[0], read);
    assert_eq!(batch[1], write);
    let of_page = batch[2]["relative_url"].as_str().expect("text");
    assert!(of_page.contains(&format!("access_token={PAGE_TOKEN}&appsecret_proof=")));
    assert!(!of_page.contains(PROOF) && !of_page.contains(TOKEN));
    assert_eq!(site.door.steps(), ["admitted 3", "told", "released"]);
}

#[tokio::test]
async fn each_operation_has_an_outcome_of_its_own() {
    let error = json!({"error": {"message": "Invalid", "type": "OAuthException", "code": 100, "fbtrace_id": "Afake"}});
    let entries = json!([
        done(&json!({"data": []})),
        null,
        {"code": 400, "headers": [], "body": error.to_string()},
        {"code": 401, "headers": [], "body": json!({"error": {"code": 190, "message": "over"}}).to_string()}
    ]);
    let site = answering(ok(entries)).await;

    let outcomes = site
        .meta
        .graph_batch(site.caller(), &reads(5))
        .await
        .expect("a batch");

    assert_eq!(outcomes.len(), 5);
    assert!(matches!(&outcomes[0], Operated::Done(body) if body["data"] == json!([])));
    assert!(matches!(outcomes[1], Operated::Unfinished));
    let Operated::Failed(refused) = &outcomes[2] else {
        panic!("{:?}", outcomes[2]);
    };
    assert!(matches!(refused, Error::Rejected { .. }), "{refused}");
    assert_eq!(refused.detail().request_id.as_deref(), Some("Afake"));
    assert!(matches!(
        outcomes[3],
        Operated::Failed(Error::AuthExpired { .. })
    ));
    // Meta said nothing of it.
    assert!(matches!(outcomes[4], Operated::Unfinished));
    assert_eq!(site.door.records()[0].class, None);
}

#[tokio::test]
async fn what_is_used_up_is_read_from_the_outcomes() {
    let usage = |share: u32| {
        let cases = json!({"1": [{"type": "ads_insights", "call_count": share, "estimated_time_to_regain_access": 0}]});
        json!({"name": "X-Business-Use-Case-Usage", "value": cases.to_string()})
    };
    let entries = json!([
        {"code": 200, "headers": [usage(40)], "body": "{}"},
        {"code": 200, "headers": [usage(96), {"name": "bad name", "value": "x"}], "body": "{}"}
    ]);
    let site = answering(ok(entries)).await;

    site.meta
        .graph_batch(site.caller(), &reads(2))
        .await
        .expect("a batch");

    let usage = site.door.records()[0].usage;
    assert_eq!(usage.used_share, Some(0.96));
    assert_eq!(usage.remaining, None);
}

#[tokio::test]
async fn a_limit_of_one_operation_is_told_to_the_door() {
    let limit = json!({"error": {"message": "limit", "code": 80_000}}).to_string();
    let cases = json!({"1": [{"type": "ads_insights", "estimated_time_to_regain_access": 7}]});
    let header = json!({"name": "X-Business-Use-Case-Usage", "value": cases.to_string()});
    let entries = json!([done(&json!({})), {"code": 400, "headers": [header], "body": limit}]);
    let site = answering(ok(entries)).await;

    let outcomes = site
        .meta
        .graph_batch(site.caller(), &reads(2))
        .await
        .expect("a batch");

    assert!(matches!(
        outcomes[1],
        Operated::Failed(Error::RateLimited { .. })
    ));
    let usage = site.door.records()[0].usage;
    assert_eq!(usage.remaining, Some(0));
    assert_eq!(usage.resets_in, Some(Duration::from_secs(7 * 60)));
}

#[tokio::test]
async fn an_error_of_the_whole_batch_is_one() {
    let error = json!({"message": "Session has expired", "code": 190, "error_subcode": 463});
    let site = answering(graph_error(400, error)).await;

    let result = site.meta.graph_batch(site.caller(), &reads(3)).await;

    assert!(matches!(result, Err(Error::AuthExpired { .. })));
    assert_eq!(site.door.records()[0].class, Some("auth_expired"));
}

#[tokio::test]
async fn what_is_no_batch_is_not_sent() {
    let site = answering(ok(json!([]))).await;
    let too_many = reads(MAX_OPERATIONS + 1);
    let no_path = [Operation::get("act_1?access_token=x")];

    let none = site.meta.graph_batch(site.caller(), &[]).await;
    let refused = [
        site.meta.graph_batch(site.caller(), &too_many).await,
        site.meta.graph_batch(site.caller(), &no_path).await,
    ];

    assert!(matches!(none, Ok(outcomes) if outcomes.is_empty()));
    for result in refused {
        assert!(matches!(result, Err(Error::Rejected { .. })));
    }
    assert!(site.requests().await.is_empty());
}
