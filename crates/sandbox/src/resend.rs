//! The stand-in for Resend's API beside the mail catcher, `POST /resend/emails`: what it takes is kept as the mail server keeps
//! mails, and an idempotency key is honoured as Resend documents it. It goes wrong as the receiver `resend` does when a fault
//! tells it to.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    clock,
    config::DEV_RESEND_KEY,
    faults::{Voice, play},
    http::{self, Peer},
    ledger::Mail,
    shared::Shared,
    smtp::Mailbox,
};

/// Under which name faults are armed for it.
const RECEIVER: &str = "resend";
/// Largest body that is taken.
const MOST_BODY_BYTES: usize = 4 << 20;
/// Most recipients of a mail.
const MOST_RECIPIENTS: usize = 50;
/// Longest idempotency key.
const LONGEST_KEY: usize = 256;
/// Most keys that are remembered.
const MOST_KEYS: usize = 100_000;
/// Characters of base64 on a line.
const LINE: usize = 76;

/// The idempotency keys that were used: with what, and what was answered.
#[derive(Default)]
pub(crate) struct Keys(Mutex<BTreeMap<String, (Vec<u8>, String)>>);

/// A mail as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Email {
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    reply_to: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<Value>,
}

impl Keys {
    pub(crate) fn clear(&self) {
        self.map().clear();
    }

    /// What is answered to this body under this key, where it was used before.
    fn used(&self, key: &str, hash: &[u8]) -> Option<Result<String, ()>> {
        let map = self.map();
        let (known, id) = map.get(key)?;
        Some(if known == hash {
            Ok(id.clone())
        } else {
            Err(())
        })
    }

    fn remember(&self, key: &str, hash: Vec<u8>, id: &str) {
        let mut map = self.map();
        if map.len() < MOST_KEYS {
            map.insert(key.to_owned(), (hash, id.to_owned()));
        }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Vec<u8>, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /resend/emails`.
pub(crate) async fn send(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(mailbox): Extension<Arc<Mailbox>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match http::read_body(body, MOST_BODY_BYTES).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let fault = shared.faults.take_receiver(RECEIVER);
    let work = async { answer(&shared, &mailbox, &headers, &body).await };
    play(fault, Voice::PLAIN, &peer, work).await
}

async fn answer(shared: &Shared, mailbox: &Mailbox, headers: &HeaderMap, body: &Bytes) -> Response {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")) {
        None => return refused(401, "missing_api_key", "Missing API key"),
        Some(DEV_RESEND_KEY) => {}
        Some(_) => return refused(403, "invalid_api_key", "API key is invalid"),
    }
    let key = text(header::HeaderName::from_static("idempotency-key"));
    if key.is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        let why = "The key must be between 1-256 chars";
        return refused(400, "invalid_idempotency_key", why);
    }
    let hash = Sha256::digest(body).to_vec();
    match key.and_then(|key| shared.resend.used(key, &hash)) {
        Some(Ok(id)) => return Json(json!({ "id": id })).into_response(),
        Some(Err(())) => {
            let why = "Same idempotency key used with a different request payload";
            return refused(409, "invalid_idempotent_request", why);
        }
        None => {}
    }
    let email: Email = match serde_json::from_slice(body) {
        Ok(email) => email,
        Err(error) => return refused(422, "validation_error", &error.to_string()),
    };
    if let Err((name, why)) = check(&email) {
        return refused(422, name, why);
    }
    let id = Uuid::now_v7().to_string();
    let mail = message(&email, &id);
    let file = match mailbox.keep(mail.as_bytes()).await {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(%error, "cannot keep a mail");
            return refused(500, "internal_server_error", "cannot keep the mail");
        }
    };
    if let Some(key) = key {
        shared.resend.remember(key, hash, &id);
    }
    shared.ledger.add_mail(Mail {
        at: clock::now(),
        file,
        from: email.from.unwrap_or_default(),
        to: email.to,
        message_id: Some(format!("<{id}@resend>")),
        size_bytes: mail.len(),
        tls: false,
        user: Some(RECEIVER.to_owned()),
    });
    Json(json!({ "id": id })).into_response()
}

/// What is missing or wrong.
fn check(email: &Email) -> Result<(), (&'static str, &'static str)> {
    let missing = "missing_required_field";
    if email.from.as_deref().is_none_or(str::is_empty) {
        return Err((missing, "Missing `from` field"));
    }
    if email.to.is_empty() {
        return Err((missing, "Missing `to` field"));
    }
    if email.subject.is_none() {
        return Err((missing, "Missing `subject` field"));
    }
    if email.text.is_none() && email.html.is_none() {
        return Err((missing, "Missing `html` or `text` field"));
    }
    if email.to.len() > MOST_RECIPIENTS || email.tags.len() > MOST_RECIPIENTS {
        return Err((
            "validation_error",
            "The `to` field must have at most 50 items",
        ));
    }
    let lines = [&email.from, &email.subject, &email.reply_to];
    let lines = lines.into_iter().flatten().chain(&email.to);
    let mut lines = lines
        .chain(email.headers.keys())
        .chain(email.headers.values());
    if lines.any(|line| line.contains(['\r', '\n'])) {
        return Err(("validation_error", "A header must be one line"));
    }
    Ok(())
}

/// The mail as a file, for those who look at it with what reads mails.
fn message(email: &Email, id: &str) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let value = if value.is_ascii() {
            value.to_owned()
        } else {
            format!("=?utf-8?b?{}?=", STANDARD.encode(value))
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    };
    line("From", email.from.as_deref().unwrap_or_default());
    line("To", &email.to.join(", "));
    line("Subject", email.subject.as_deref().unwrap_or_default());
    line("Message-ID", &format!("<{id}@resend>"));
    line("Date", &clock::now().to_rfc2822());
    if let Some(reply_to) = &email.reply_to {
        line("Reply-To", reply_to);
    }
    for (name, value) in &email.headers {
        line(name, value);
    }
    line("MIME-Version", "1.0");
    line(
        "Content-Type",
        &format!("multipart/alternative; boundary=\"{id}\""),
    );
    text.push_str("\r\n");
    for (kind, part) in [("plain", &email.text), ("html", &email.html)] {
        if let Some(part) = part {
            text.push_str(&format!(
                "--{id}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            ));
            let encoded = STANDARD.encode(part);
            for chunk in encoded.as_bytes().chunks(LINE) {
                text.push_str(&String::from_utf8_lossy(chunk));
                text.push_str("\r\n");
            }
        }
    }
    text.push_str(&format!("--{id}--\r\n"));
    text
}

fn refused(status: u16, name: &str, message: &str) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "statusCode": status, "name": name, "message": message });
    (code, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::testing::Site;

    const KEY: &str =
        "authorization: Bearer re_fakeDevNotReal\r\ncontent-type: application/json\r\n";
    const MAIL: &str = r#"{"from":"a@example.com","to":["b@example.com"],"subject":"Hi","text":"x",
        "headers":{"List-Unsubscribe":"<https://x/y>"}}"#;

    #[tokio::test]
    async fn a_mail_is_kept_as_the_mail_server_keeps_it() {
        let site = Site::start().await;

        let answer = site.post("/resend/emails", KEY, MAIL).await;

        assert_eq!(answer.status, 200, "{}", answer.body);
        let mails = site.sandbox.ledger().mails();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].to, ["b@example.com"]);
        let text = fs::read_to_string(&mails[0].file).expect("a file");
        assert!(
            text.contains("List-Unsubscribe: <https://x/y>\r\n"),
            "{text}"
        );
        site.stop().await;
    }

    #[tokio::test]
    async fn a_key_sends_one_mail_and_no_other_one() {
        let site = Site::start().await;
        let headers = format!("{KEY}idempotency-key: k1\r\n");

        let first = site.post("/resend/emails", &headers, MAIL).await;
        let again = site.post("/resend/emails", &headers, MAIL).await;
        let other = MAIL.replace("Hi", "Ho");
        let other = site.post("/resend/emails", &headers, &other).await;

        assert_eq!((first.status, again.status, other.status), (200, 200, 409));
        assert_eq!(first.body, again.body);
        assert!(
            other.body.contains("invalid_idempotent_request"),
            "{}",
            other.body
        );
        assert_eq!(site.sandbox.ledger().mails().len(), 1);
        site.stop().await;
    }

    #[tokio::test]
    async fn what_is_wrong_is_refused_by_its_name() {
        let site = Site::start().await;
        let wrong_key = "authorization: Bearer re_other\r\n";

        let none = site.post("/resend/emails", "", MAIL).await;
        let unknown = site.post("/resend/emails", wrong_key, MAIL).await;
        let incomplete = site
            .post("/resend/emails", KEY, r#"{"from":"a@example.com"}"#)
            .await;

        assert_eq!(
            (none.status, unknown.status, incomplete.status),
            (401, 403, 422)
        );
        assert!(incomplete.body.contains("missing_required_field"));
        assert!(site.sandbox.ledger().mails().is_empty());
        site.stop().await;
    }
}
