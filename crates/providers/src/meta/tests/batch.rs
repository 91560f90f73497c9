//! Batches with bad events in them.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use super::{Open, client_of, event, to, token};
use crate::{
    Admission,
    error::{Detail, Error},
    meta::conversions::ServerEvent,
};

/// Events of which those whose place is in `bad` are called so.
fn events(count: usize, bad: &[usize]) -> Vec<ServerEvent> {
    (0..count)
        .map(|i| event(if bad.contains(&i) { "bad" } else { "good" }))
        .collect()
}

fn ids(request: &Request) -> Vec<String> {
    let body: Value = request.body_json().expect("JSON");
    let data = body["data"].as_array().expect("a list");
    data.iter()
        .map(|event| event["event_id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Meta's way: all or nothing.
fn judge(request: &Request, names_the_place: bool) -> ResponseTemplate {
    let ids = ids(request);
    match ids.iter().position(|id| id == "bad") {
        None => ResponseTemplate::new(200).set_body_json(json!({"events_received": ids.len()})),
        Some(place) => {
            let mut error =
                json!({"message": "Invalid parameter", "code": 100, "error_subcode": 2_804_003});
            if names_the_place {
                error["error_user_msg"] = json!(format!("The event at index {place} is too old."));
            }
            ResponseTemplate::new(400).set_body_json(json!({ "error": error }))
        }
    }
}

async fn server(
    respond: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(respond)
        .mount(&server)
        .await;
    server
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.expect("recorded").len()
}

/// Admits so many requests.
struct Few(AtomicUsize);

impl Admission for Few {
    type Pass = ();

    async fn admit(&self) -> Result<(), Error> {
        let take = |left: usize| left.checked_sub(1);
        match self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
        {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Postponed {
                wait: None,
                detail: Detail::new("meta", "the budget is dry", &[]),
            }),
        }
    }
}

#[tokio::test]
async fn a_good_batch_is_one_call() {
    let server = server(|request| judge(request, false)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(1_000, &[]), &Open)
        .await;

    assert!(results.iter().all(Result::is_ok));
    assert_eq!(results.len(), 1_000);
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn a_bad_event_is_found_by_halves_and_takes_nobody_along() {
    let server = server(|request| judge(request, false)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(1_000, &[613]), &Open)
        .await;

    for (i, result) in results.iter().enumerate() {
        match result {
            Ok(_) => assert_ne!(i, 613),
            Err(error) => {
                assert_eq!(i, 613);
                assert!(matches!(error, Error::Rejected { .. }), "{error}");
            }
        }
    }
    assert!(calls(&server).await <= 21);
}

#[tokio::test]
async fn a_bad_event_that_meta_names_costs_two_more_calls() {
    let server = server(|request| judge(request, true)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(100, &[0, 99]), &Open)
        .await;

    let bad: Vec<usize> = (0..100).filter(|&i| results[i].is_err()).collect();
    assert_eq!(bad, [0, 99]);
    assert_eq!(calls(&server).await, 5);
}

#[tokio::test]
async fn a_wrong_place_is_not_trusted_twice() {
    let server = server(|request| {
        let first = json!({"message": "Invalid", "code": 100, "error_data": {"index": 0}});
        if ids(request).iter().any(|id| id == "bad") {
            ResponseTemplate::new(400).set_body_json(json!({ "error": first }))
        } else {
            judge(request, false)
        }
    })
    .await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(100, &[70]), &Open)
        .await;

    let bad: Vec<usize> = (0..100).filter(|&i| results[i].is_err()).collect();
    assert_eq!(bad, [70]);
    assert!(calls(&server).await <= 20);
}

#[tokio::test]
async fn a_failure_that_is_not_about_the_events_goes_to_all_that_were_not_sent() {
    let count = AtomicUsize::new(0);
    let server = server(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        // The whole, then the first half; the second half meets an outage.
        0 | 1 => judge(request, false),
        _ => ResponseTemplate::new(503),
    })
    .await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(4, &[2]), &Open)
        .await;

    assert!(results[0].is_ok() && results[1].is_ok());
    for result in &results[2..] {
        assert!(matches!(result, Err(Error::Unavailable { .. })));
    }
    assert_eq!(calls(&server).await, 3);
}

#[tokio::test]
async fn a_refusal_with_any_code_condemns_the_event_at_fault_alone() {
    for code in [2_635, 803, 987_654] {
        let server = server(move |request| {
            if ids(request).iter().any(|id| id == "bad") {
                ResponseTemplate::new(400)
                    .set_body_json(json!({"error": {"message": "no", "code": code}}))
            } else {
                judge(request, false)
            }
        })
        .await;

        let results = client_of(&server)
            .send_batch(to(&token()), &events(20, &[13]), &Open)
            .await;

        let bad: Vec<usize> = (0..20).filter(|&i| results[i].is_err()).collect();
        assert_eq!(bad, [13], "{code}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_call_itself_is_not_split() {
    let server = server(|_: &Request| {
        ResponseTemplate::new(400)
            .set_body_json(json!({"error": {"message": "gone", "code": 100, "error_subcode": 33}}))
    })
    .await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(50, &[]), &Open)
        .await;

    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(Error::Permission { .. })))
    );
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved() {
    let server = server(|request| match ids(request).len() {
        0..=10 => judge(request, false),
        _ => ResponseTemplate::new(413),
    })
    .await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(40, &[]), &Open)
        .await;

    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_number_of_calls_has_a_bound() {
    let everything: Vec<usize> = (0..1_000).collect();
    let server = server(|request| judge(request, false)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(1_000, &everything), &Open)
        .await;

    assert_eq!(calls(&server).await, 200);
    assert_eq!(results.len(), 1_000);
    let count = |is: fn(&Error) -> bool| {
        results
            .iter()
            .filter(|result| matches!(result, Err(error) if is(error)))
            .count()
    };
    let refused = count(|error| matches!(error, Error::Rejected { .. }));
    let postponed = count(|error| matches!(error, Error::Postponed { .. }));
    assert!(refused > 0 && postponed > 0);
    assert_eq!(refused + postponed, 1_000);
}

#[tokio::test]
async fn no_events_are_no_call() {
    let server = server(|request| judge(request, false)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &[], &Open)
        .await;

    assert!(results.is_empty());
    assert_eq!(calls(&server).await, 0);
}

// Fails when a request that is made to find the bad event is not counted.
#[tokio::test]
async fn every_request_is_admitted_and_what_is_not_sent_is_postponed() {
    let server = server(|request| judge(request, false)).await;

    let results = client_of(&server)
        .send_batch(to(&token()), &events(8, &[7]), &Few(AtomicUsize::new(2)))
        .await;

    let sent: Vec<bool> = results.iter().map(Result::is_ok).collect();
    let postponed = |result: &Result<_, Error>| matches!(result, Err(Error::Postponed { .. }));
    assert_eq!(calls(&server).await, 2);
    assert_eq!(sent, [true, true, true, true, false, false, false, false]);
    assert!(results[4..].iter().all(postponed), "{results:?}");
}
