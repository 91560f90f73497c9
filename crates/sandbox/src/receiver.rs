//! An upstream app's endpoint, `/hooks/{name}`: checks the signature when it has a secret, writes
//! every call down, and answers 200, 401 to a signature that is wrong, or what a fault tells it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{
    clock,
    faults::{Voice, play},
    http::{self, Peer},
    ledger::HookCall,
    shared::Shared,
};

/// Largest body that is taken.
const MOST_BODY_BYTES: usize = 4 << 20;
/// How much of a body is written down.
const KEPT_BODY_BYTES: usize = 64 * 1024;
/// How much of each header is written down, in characters.
const KEPT_HEADER_CHARS: usize = 1_024;

/// Any method at `/hooks/{name}`.
pub(crate) async fn receive(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    (method, headers): (Method, HeaderMap),
    body: Body,
) -> Response {
    let body = match http::read_body(body, MOST_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let at = clock::now();
    let verdict = shared
        .hook_secret(&name)
        .map(|secret| secret.verify(&headers, &body, at));
    shared.ledger.add_hook(HookCall {
        at,
        name: name.clone(),
        method: method.to_string(),
        webhook_id: headers.get("webhook-id").map(|id| lossy(id.as_bytes())),
        signature_valid: verdict.as_ref().map(Result::is_ok),
        headers: kept(&headers),
        body: lossy(&body[..body.len().min(KEPT_BODY_BYTES)]),
        body_bytes: body.len(),
    });

    let answer = match verdict {
        Some(Err(why)) => (StatusCode::UNAUTHORIZED, why.to_string()).into_response(),
        Some(Ok(())) | None => StatusCode::OK.into_response(),
    };
    let fault = shared.faults.take_receiver(&name);
    play(fault, Voice::PLAIN, &peer, async { answer }).await
}

fn kept(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            let value = lossy(value.as_bytes())
                .chars()
                .take(KEPT_HEADER_CHARS)
                .collect();
            (name.to_string(), value)
        })
        .collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Fault, HttpFault, testing::Site};

    // Made with the reference library (standardwebhooks 1.1.0), for a time long past.
    const SECRET: &str = "whsec_VB7SLnLnLhm+sJDXWE/zWQtk4Wi+EKAr";
    const STALE: &str = "webhook-id: msg_test000000000000000000021\r\n\
        webhook-timestamp: 1732000100\r\n\
        webhook-signature: v1,YVTXoib+tRnSgT1Z9RZFYehXmkv+/Vf65g1+drQ8LfE=\r\n";

    #[tokio::test]
    async fn a_receiver_without_a_secret_takes_every_call_and_writes_it_down() {
        let site = Site::start().await;

        let answer = site
            .post("/hooks/orders", "x-trace: t1\r\n", r#"{"a":1}"#)
            .await;

        assert_eq!(answer.status, 200);
        let calls = site.sandbox.ledger().hooks();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].name, "orders");
        assert_eq!(calls[0].signature_valid, None);
        assert_eq!(calls[0].body, r#"{"a":1}"#);
        assert_eq!(calls[0].headers["x-trace"], "t1");
        site.stop().await;
    }

    #[tokio::test]
    async fn a_receiver_with_a_secret_refuses_what_is_not_signed_now() {
        let site = Site::start().await;
        let secrets = json!({ "hook_secrets": { "orders": SECRET } });
        site.control("POST", "/tokens", &secrets).await;

        let unsigned = site.post("/hooks/orders", "", "{}").await;
        let body = r#"{"type":"lead.created","data":{"lead_id":"1"}}"#;
        let stale = site.post("/hooks/orders", STALE, body).await;

        assert_eq!(unsigned.status, 401);
        assert_eq!(stale.status, 401);
        assert!(stale.body.contains("webhook-timestamp"), "{}", stale.body);
        let calls = site.sandbox.ledger().hooks();
        assert!(calls.iter().all(|call| call.signature_valid == Some(false)));
        assert_eq!(
            calls[1].webhook_id.as_deref(),
            Some("msg_test000000000000000000021")
        );
        site.stop().await;
    }

    #[tokio::test]
    async fn a_call_that_meets_a_fault_is_written_down_all_the_same() {
        let site = Site::start().await;
        let fault = HttpFault::Html { status: 503 };
        let fault = Fault::Receiver {
            name: "orders".to_owned(),
            fault,
        };
        site.sandbox.faults().add(fault, Some(1)).expect("a fault");

        let first = site.post("/hooks/orders", "", "{}").await;
        let second = site.post("/hooks/orders", "", "{}").await;

        assert_eq!((first.status, second.status), (503, 200));
        assert_eq!(site.sandbox.ledger().totals().hooks, 2);
        site.stop().await;
    }
}
