//! Refusals in each platform's own form that repeat what was sent.

use serde_json::{Value, json};

use super::super::grants::Grant;

/// All the ways in which a sentence can have a token in it.
fn sentence(token: &str) -> String {
    let encoded = token.replace('/', "%2F").replace('+', "%2B");
    format!(
        "The token {token} is odd: see https://example.com/?access_token={encoded}, \"{token}\", {encoded}, Authorization: \
         Bearer {token}"
    )
}

/// What was sent is wrong, and asking again will not mend it.
pub(super) fn odd(grant: &Grant) -> Value {
    let message = sentence(&grant.access);
    match grant.platform {
        "meta" => json!({"kind": "fail", "status": 400, "code": 100, "message": message}),
        "google_ads" => json!({
            "kind": "fail", "status": 400, "name": "queryError.UNRECOGNIZED_FIELD", "message": message,
        }),
        "linkedin" => json!({
            "kind": "fail", "status": 400, "code": 100, "name": "ILLEGAL_ARGUMENT", "message": message,
        }),
        "tiktok" => json!({"kind": "fail", "status": 200, "code": 40_002, "message": message}),
        _ => json!({
            "kind": "fail", "status": 400, "name": "INVALID_PARAMETER", "message": message,
        }),
    }
}

/// A gateway between us shows what it could not pass on.
pub(super) fn gateway(grant: &Grant) -> Value {
    let told = sentence(&grant.access);
    json!({
        "kind": "answer", "status": 502, "headers": {"content-type": "text/html"},
        "body": format!("<html><body><pre>GET / HTTP/1.1\nAuthorization: Bearer {}\n{told}</pre></body></html>", grant.access),
    })
}

/// No new tokens, and the path that says so: what was sent for them is repeated.
pub(super) fn no_refresh(grant: &Grant, secret: &str) -> (&'static str, Value) {
    let sent = grant.refresh.as_deref().unwrap_or(&grant.access);
    let message = format!("{} for client_secret={secret}, {secret}", sentence(sent));
    let oauth = json!({"kind": "fail", "status": 400, "name": "odd_request", "message": message});
    let coded = |status: u16, code: i64| json!({"kind": "fail", "status": status, "code": code, "message": message});
    match grant.platform {
        "meta" => ("/oauth/access_token", coded(400, 100)),
        "google_ads" => ("/token", oauth),
        "linkedin" => ("/accessToken", oauth),
        "tiktok" => ("/refresh_token/", coded(200, 40_002)),
        _ => ("/oauth2/token", oauth),
    }
}

/// The token does not work, and no new one is to be had.
pub(super) fn spent(grant: &Grant, secret: &str) -> Vec<Value> {
    let message = sentence(&grant.access);
    let fault = match grant.platform {
        "meta" => json!({"kind": "fail", "status": 400, "code": 190, "message": message}),
        "google_ads" => json!({
            "kind": "fail", "status": 401, "name": "authenticationError.OAUTH_TOKEN_EXPIRED", "message": message,
        }),
        "linkedin" => json!({
            "kind": "fail", "status": 401, "code": 65_601, "name": "REVOKED_ACCESS_TOKEN", "message": message,
        }),
        "tiktok" => json!({"kind": "fail", "status": 200, "code": 40_105, "message": message}),
        _ => json!({"kind": "fail", "status": 401, "code": 89, "message": message}),
    };
    let of_platform = |fault: &Value| json!({"target": grant.platform, "fault": fault, "times": 1});
    let mut all = vec![of_platform(&fault)];
    if grant.platform == "meta" {
        // The exchange for a new one is refused like the question before it.
        all.push(of_platform(&fault));
    }
    if let Some(refresh) = &grant.refresh {
        let message = format!("{} for client_secret={secret}, {secret}", sentence(refresh));
        let refused =
            json!({"kind": "fail", "status": 400, "name": "invalid_grant", "message": message});
        all.push(of_platform(&refused));
    }
    all
}

/// Our own secret is wrong, as Google says it.
pub(super) fn wrong_secret(secret: &str) -> Value {
    let message = format!("The client secret {secret} is wrong: client_secret={secret}");
    json!({"kind": "fail", "status": 401, "name": "invalid_client", "message": message})
}
