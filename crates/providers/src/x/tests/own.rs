//! A signature that does not fit, and whose half of it is wrong.

use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use super::{TOKEN, access, answering, caller, client_of, ok, requests_to};
use crate::{
    error::Error,
    platform::{Access, AdPlatform},
};

const AT: &str = "/12/accounts";
const REQUEST_TOKEN: &str = "/oauth/request_token";

fn not_authenticated() -> ResponseTemplate {
    let body: Value = json!({"errors": [{"code": 32, "message": "Could not authenticate you."}]});
    ResponseTemplate::new(401).set_body_json(body)
}

/// Asks a server that takes no signature, and answers our own half of it so.
async fn failure(own: ResponseTemplate) -> (Error, MockServer) {
    let server = answering(AT, not_authenticated()).await;
    Mock::given(path(REQUEST_TOKEN))
        .and(method("POST"))
        .respond_with(own)
        .mount(&server)
        .await;
    let access = access();
    let refused = client_of(&server).accounts(caller(&access), None).await;
    (refused.expect_err("x refuses"), server)
}

// Fails when a secret of ours that is wrong looks like a customer's token that is spent.
#[tokio::test]
async fn a_wrong_secret_of_ours_is_nobodys_spent_token() {
    let (error, server) = failure(not_authenticated()).await;

    assert!(matches!(error, Error::Config { .. }), "{error}");
    let asked = requests_to(&server, REQUEST_TOKEN).await;
    assert_eq!(asked.len(), 1);
    let signed = asked[0].headers.get("authorization").expect("a header");
    let signed = signed.to_str().expect("ASCII");
    assert!(!signed.contains("oauth_token=") && !signed.contains(TOKEN));
    assert!(signed.contains("oauth_callback=\"oob\""), "{signed}");
}

#[tokio::test]
async fn a_token_is_spent_where_our_own_half_is_taken() {
    for taken in [
        ok(json!({})),
        ResponseTemplate::new(403)
            .set_body_json(json!({"errors": [{"code": 415, "message": "Callback"}]})),
    ] {
        let (error, _server) = failure(taken).await;

        assert!(matches!(error, Error::AuthExpired { .. }), "{error}");
    }
}

#[tokio::test]
async fn nobody_is_blamed_while_x_does_not_tell() {
    let (error, _server) = failure(ResponseTemplate::new(503)).await;

    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn our_own_half_is_not_tried_for_tokens_that_nothing_is_signed_with() {
    let server = answering(AT, not_authenticated()).await;
    let access = Access {
        token_secret: None,
        ..access()
    };

    let refused = client_of(&server).accounts(caller(&access), None).await;

    let error = refused.expect_err("x refuses");
    assert!(matches!(error, Error::AuthExpired { .. }), "{error}");
    assert!(requests_to(&server, REQUEST_TOKEN).await.is_empty());
}
