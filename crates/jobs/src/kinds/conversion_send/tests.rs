//! What payloads are taken, how jobs share a request, and how each job's attempt ends.

use chrono::Utc;
use marketing::{
    PgPool,
    conversions::{Delivered, Fate, Reason, Refusal},
};
use providers::Admission;
use queue::JobError;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, method},
};

use super::{
    sending::{outcome, outcome_of_own},
    *,
};
use crate::kinds::testing::{app, job_info, no_database, schema_accepts};

const ACCOUNT: &str = "01920000-0000-7000-8000-00000000abcd";

fn event(event_id: Option<&str>) -> Value {
    json!({
        "event_name": "Lead",
        "event_time": Utc::now().timestamp() - 60,
        "event_id": event_id,
        "action_source": "system_generated",
        "user_data": { "em": "ada@example.com" },
    })
}

/// A payload with these members beside those that are always there.
fn payload(members: &Value) -> Value {
    let mut payload = json!({ "destination": "meta", "dataset_id": "1001" });
    let target = payload.as_object_mut().expect("an object");
    target.extend(members.as_object().expect("an object").clone());
    payload
}

fn order(members: &Value, job: &JobInfo) -> Result<Order, Error> {
    let payload: ConversionSend = serde_json::from_value(payload(members)).expect("it decodes");
    payload.order(job)
}

fn ids(order: &Order) -> Vec<&str> {
    order
        .events
        .iter()
        .map(|pending| pending.event_id.as_str())
        .collect()
}

fn job() -> JobInfo {
    job_info(ConversionSend::KIND, 1)
}

fn delivered(fate: Fate) -> Delivered {
    Delivered {
        event_name: "Lead".to_owned(),
        event_id: "order-1".to_owned(),
        left_out: Vec::new(),
        fate,
    }
}

fn sent() -> Fate {
    Fate::Sent {
        trace_id: Some("AfakeTrace".to_owned()),
        messages: Vec::new(),
    }
}

fn refused(expired: bool) -> Fate {
    let reason = Reason {
        pointer: "/event_time".to_owned(),
        message: "is wrong".to_owned(),
        code: None,
    };
    Fate::Refused(Refusal {
        expired,
        reasons: vec![reason],
    })
}

fn class(result: Result<Outcome, Error>) -> queue::ErrorClass {
    JobError::from(result.expect_err("the attempt failed")).class()
}

#[test]
fn the_schema_takes_an_event_or_events_and_nothing_unknown() {
    let accepts = |members: Value| schema_accepts::<ConversionSend>(&payload(&members));

    assert!(accepts(
        json!({ "event": event(None), "test_event_code": null, "account_id": null })
    ));
    assert!(accepts(
        json!({ "events": [event(None), event(Some("order-1"))] })
    ));
    assert!(accepts(json!({ "event": null, "events": [event(None)] })));
    assert!(!accepts(json!({})));
    assert!(!accepts(
        json!({ "event": event(None), "events": [event(None)] })
    ));
    assert!(!accepts(json!({ "events": [] })));
    assert!(!accepts(json!({ "event": event(None), "evnts": [] })));
    assert!(accepts(
        json!({ "event": event(None), "destination": "google_ads", "account_id": ACCOUNT, "via": "upload" })
    ));
    assert!(!accepts(
        json!({ "event": event(None), "destination": "pinterest", "account_id": ACCOUNT })
    ));
    assert!(!accepts(
        json!({ "event": event(None), "dataset_id": "../1001" })
    ));
    assert!(!accepts(
        json!({ "event": event(None), "account_id": "acc_1" })
    ));
}

// Fails when a job is accepted that its destination can never take, or that would count though it was meant as a test.
#[test]
fn the_schema_asks_for_what_each_destination_needs() {
    let accepts = |destination: &str, members: Value| {
        let mut members = members;
        members["event"] = event(None);
        members["destination"] = json!(destination);
        schema_accepts::<ConversionSend>(&payload(&members))
    };

    for destination in ["google_ads", "tiktok", "linkedin", "x"] {
        assert!(accepts(destination, json!({ "account_id": ACCOUNT })));
        assert!(!accepts(destination, json!({})), "{destination}");
        assert!(!accepts(destination, json!({ "account_id": null })));
    }
    for (destination, has_tests) in [
        ("meta", true),
        ("tiktok", true),
        ("linkedin", false),
        ("x", false),
    ] {
        let coded = json!({ "account_id": ACCOUNT, "test_event_code": "TEST1" });
        let uploaded = json!({ "account_id": ACCOUNT, "via": "upload" });
        assert_eq!(accepts(destination, coded), has_tests, "{destination}");
        assert!(!accepts(destination, uploaded), "{destination}");
    }
}

#[test]
fn what_came_by_sql_is_checked_too() {
    let refusal = |members: Value| order(&members, &job()).expect_err("refused").to_string();

    assert_eq!(
        refusal(json!({ "event": event(None), "destination": "tiktok" })),
        "/account_id: is required but for meta"
    );
    assert_eq!(
        refusal(json!({ "event": event(None), "via": "upload" })),
        "/via: must be standard but for google_ads"
    );
    assert_eq!(
        refusal(json!({})),
        "/event: is required where there are no events"
    );
    assert_eq!(
        refusal(json!({ "event": event(None), "test_event_code": "" })),
        "/test_event_code: must have 1 to 100 characters"
    );
    // What was meant as a test would else count.
    for destination in ["linkedin", "x"] {
        let payload = json!({ "event": event(None), "destination": destination, "account_id": ACCOUNT,
            "test_event_code": "TEST1" });
        assert!(refusal(payload).starts_with("/test_event_code: must not be there"));
    }
}

#[test]
fn an_event_has_the_same_id_on_every_attempt_and_replay() {
    let members = json!({ "events": [event(None), event(Some("order-1")), event(Some(" "))] });
    let first = job();
    let replay = JobInfo {
        replay_of: Some(first.id),
        ..job_info(ConversionSend::KIND, 3)
    };

    let orders = [order(&members, &first), order(&members, &replay)].map(|o| o.expect("sound"));

    let id = first.id;
    assert_eq!(
        ids(&orders[0]),
        [format!("{id}-0"), "order-1".to_owned(), format!("{id}-2")]
    );
    assert_eq!(ids(&orders[0]), ids(&orders[1]));
}

#[test]
fn a_job_succeeds_when_some_events_were_sent_and_the_rest_is_final() {
    let events = vec![
        delivered(sent()),
        delivered(refused(false)),
        delivered(refused(true)),
    ];

    let Ok(Outcome::SucceededWith(result)) = outcome(events) else {
        panic!("the job succeeds");
    };

    let outcomes: Vec<&str> = (0..3_usize)
        .filter_map(|n| result["events"][n]["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["sent", "rejected", "expired"]);
    assert_eq!(result["events"][1]["reasons"][0]["pointer"], "/event_time");
    assert_eq!(result["events"][0]["trace_id"], "AfakeTrace");
}

#[test]
fn a_job_of_which_nothing_can_be_sent_is_invalid() {
    let one = outcome(vec![delivered(refused(false))]);
    let expired = outcome(vec![delivered(refused(true))]);
    let doubtful = outcome(vec![delivered(Fate::InDoubt { since: None })]);

    let text = expired.as_ref().expect_err("nothing was sent").to_string();
    assert_eq!(
        text,
        "expired before it could be sent: /event_time is wrong"
    );
    for result in [one, expired, doubtful] {
        assert_eq!(class(result), queue::ErrorClass::Invalid);
    }
}

#[test]
fn a_job_with_an_event_left_to_send_is_tried_again() {
    let failure = providers::Error::Unavailable {
        detail: providers::Detail::default(),
        maybe_received: true,
        source: None,
    };
    let events = vec![delivered(sent()), delivered(Fate::Failed(failure))];

    assert_eq!(class(outcome(events)), queue::ErrorClass::Transient);
}

#[test]
fn a_spent_token_of_ours_is_a_matter_for_the_operator() {
    let failure = providers::Error::AuthExpired {
        detail: providers::Detail::default(),
    };

    let of_an_account = outcome(vec![delivered(Fate::Failed(failure.clone()))]);
    let ended = outcome_of_own(vec![delivered(Fate::Failed(failure))]);

    assert_eq!(class(of_an_account), queue::ErrorClass::AuthExpired);
    let error = ended.expect_err("nothing was sent");
    assert!(error.to_string().contains("MILLPOND_META_ACCESS_TOKEN"));
    assert_eq!(JobError::from(error).class(), queue::ErrorClass::Config);
}

#[test]
fn a_job_whose_events_were_put_off_is_called_again_at_no_cost() {
    let postponed = |wait| {
        delivered(Fate::Failed(providers::Error::Postponed {
            wait,
            detail: providers::Detail::default(),
        }))
    };
    let told = Duration::from_secs(600);

    let soon = outcome(vec![delivered(refused(false)), postponed(None)]);
    let later = outcome(vec![postponed(Some(told)), postponed(None)]);

    assert!(
        matches!(soon, Ok(Outcome::Snoozed(wait)) if wait < told),
        "{soon:?}"
    );
    assert!(
        matches!(later, Ok(Outcome::Snoozed(wait)) if wait == told),
        "{later:?}"
    );
}

/// Admits every request.
struct Open;

impl Admission for Open {
    type Pass = ();

    async fn admit(&self) -> Result<(), providers::Error> {
        Ok(())
    }
}

/// Sends what names no account.
async fn send_own(app: &App, orders: Vec<Result<Order, Error>>) -> Vec<Result<Outcome, Error>> {
    let ways = Ways {
        own: &Open,
        door: &|_, _, _| unreachable!("no job of these tests names an account that is there"),
    };
    send(app, orders, &ways).await
}

/// Which jobs of a batch, each with so many events for its tenant, are put off. Nothing is sent: there is no token.
async fn put_off(batch: &[(usize, &str)]) -> Vec<usize> {
    let app = App {
        meta_token: None,
        ..app(no_database(), "http://127.0.0.1:9")
    };
    let orders = batch.iter().map(|(events, tenant)| {
        let events: Vec<Value> = (0..*events).map(|_| event(None)).collect();
        let job = JobInfo {
            tenant: Some((*tenant).to_owned()),
            ..job()
        };
        order(&json!({ "events": events }), &job)
    });

    let outcomes = send_own(&app, orders.collect()).await;

    let is_put_off = |place: &usize| matches!(outcomes[*place], Ok(Outcome::Snoozed(_)));
    (0..batch.len()).filter(is_put_off).collect()
}

#[tokio::test]
async fn a_batch_is_bounded_by_its_events_and_the_rest_is_put_off() {
    let full = put_off(&[(1_000, "a"); 7]).await;
    let with_room = put_off(&[(1_000, "a"); 5]).await;

    assert_eq!(full, [5, 6]);
    assert!(with_room.is_empty(), "{with_room:?}");
}

#[tokio::test]
async fn a_batch_is_bounded_by_its_addressees_too() {
    let tenants = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "a"];

    let late = put_off(&tenants.map(|tenant| (1, tenant))).await;

    assert_eq!(late, [10]);
}

/// Meta takes whatever comes.
async fn take_all(meta: &MockServer) {
    let taken = json!({ "events_received": 1, "messages": [], "fbtrace_id": "AfakeTrace" });
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(taken))
        .mount(meta)
        .await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_one_data_set_share_a_request_and_not_a_fate(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string_contains("bad-event"))
        .respond_with(ResponseTemplate::new(400).set_body_json(json!({
            "error": { "message": "Invalid parameter", "code": 100, "error_subcode": 2_804_019 }
        })))
        .with_priority(1)
        .mount(&server)
        .await;
    take_all(&server).await;
    let app = app(db, &server.uri());
    let orders = vec![
        order(&json!({ "event": event(Some("good-1")) }), &job()),
        order(&json!({ "event": event(Some("bad-event")) }), &job()),
        order(
            &json!({ "event": event(None), "test_event_code": "" }),
            &job(),
        ),
        order(
            &json!({ "events": [event(Some("good-2")), event(Some("good-3"))] }),
            &job(),
        ),
    ];

    let outcomes = send_own(&app, orders).await;

    let ended: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(ended, [true, false, false, true]);
    let requests = server
        .received_requests()
        .await
        .expect("requests are recorded");
    let first: Value = requests[0].body_json()?;
    assert_eq!(first["data"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[tokio::test]
async fn without_a_token_the_set_up_is_to_blame() {
    let app = App {
        meta_token: None,
        ..app(no_database(), "http://127.0.0.1:9")
    };

    let orders = vec![order(&json!({ "event": event(None) }), &job())];
    let mut outcomes = send_own(&app, orders).await;

    let outcome = outcomes.pop().expect("one job, one outcome");
    assert_eq!(class(outcome), queue::ErrorClass::Config);
}

#[test]
fn an_event_whose_fate_is_told_later_is_asked_for_at_no_cost() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    let later = |wait| delivered(Fate::Later { wait });

    let ended = outcome(vec![
        delivered(sent()),
        later(minutes(60)),
        later(minutes(10)),
    ]);

    assert!(
        matches!(ended, Ok(Outcome::Snoozed(wait)) if wait == minutes(10)),
        "{ended:?}"
    );
}

// Fails when a replay sends again what was delivered, or says that it did.
#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_of_what_was_delivered_is_refused(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    take_all(&server).await;
    let app = app(db, &server.uri());
    let original = job();
    let replay = JobInfo {
        replay_of: Some(original.id),
        ..job()
    };
    let later_attempt = JobInfo {
        attempt: 2,
        replay_of: Some(original.id),
        ..job()
    };
    let members = json!({ "event": event(Some("order-1")) });
    send_own(&app, vec![order(&members, &original)]).await;

    let mut ended = send_own(&app, vec![order(&members, &replay)]).await;
    ended.extend(send_own(&app, vec![order(&members, &later_attempt)]).await);

    assert!(
        matches!(
            &ended[..],
            [Ok(Outcome::Cancelled(_)), Ok(Outcome::Cancelled(_))]
        ),
        "{ended:?}"
    );
    let requests = server.received_requests().await.expect("recorded");
    assert_eq!(requests.len(), 1);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_replay_that_delivers_and_dies_then_has_succeeded(db: PgPool) -> anyhow::Result<()> {
    let server = MockServer::start().await;
    take_all(&server).await;
    let app = app(db, &server.uri());
    let replay = JobInfo {
        replay_of: Some(job().id),
        ..job()
    };
    let members = json!({ "event": event(Some("order-1")) });
    send_own(&app, vec![order(&members, &replay)]).await;

    let again = send_own(&app, vec![order(&members, &replay)]).await;

    assert!(
        matches!(&again[..], [Ok(Outcome::SucceededWith(_))]),
        "{again:?}"
    );
    Ok(())
}

// Fails when one tenant's job sends with another's account.
#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_is_not_there_is_refused(db: PgPool) -> anyhow::Result<()> {
    let app = app(db, "http://127.0.0.1:9");
    let members = json!({ "event": event(None), "destination": "linkedin", "dataset_id": "100001",
        "account_id": ACCOUNT });

    let mut ended = send_own(&app, vec![order(&members, &job())]).await;

    assert_eq!(class(ended.remove(0)), queue::ErrorClass::Invalid);
    Ok(())
}
