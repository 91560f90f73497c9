//! The stand-in for Google's Data Manager API, as far as it takes conversion events: a request is accepted whole or refused
//! whole, and five minutes later it is told how many of its events were counted and why others were not, by counts alone.
//!
//! For tests, a `gclid` that begins with `NotFound` is no click that Google knows, and one that begins with `TooRecent` one
//! that it does not know yet.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Context, access, json_text};
use crate::{
    door::Incoming,
    ledger::{Conversion, Processed},
    oauth::{Holder, TokenRole},
    world::Platform,
};

/// What a token has to be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/datamanager";
/// Most events of a request, and most identifiers of an event.
const MOST_EVENTS: usize = 2_000;
const MOST_IDENTIFIERS: usize = 10;
/// Oldest event that is counted.
const OLDEST: TimeDelta = TimeDelta::days(90);
/// How long processing takes.
const PROCESSING: TimeDelta = TimeDelta::minutes(5);

/// Why a request is refused.
struct Refusal {
    status: StatusCode,
    name: &'static str,
    reason: &'static str,
    /// Where in the request, if it is about one place.
    field: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, name: &'static str, reason: &'static str) -> Self {
        Self {
            status,
            name,
            reason,
            field: None,
        }
    }

    fn of_request(reason: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", reason)
    }

    fn at(reason: &'static str, field: String) -> Self {
        Self {
            field: Some(field),
            ..Self::of_request(reason)
        }
    }

    fn answer(self) -> Response {
        let mut details = vec![json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": self.reason,
            "domain": "datamanager.googleapis.com",
        })];
        if let Some(field) = self.field {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{ "field": field, "description": self.reason, "reason": self.reason }],
            }));
        }
        let body = json!({ "error": {
            "code": self.status.as_u16(),
            "message": "There was a problem with the request.",
            "status": self.name,
            "details": details,
        } });
        json_text(self.status, body.to_string())
    }
}

/// `POST /v1/events:ingest`.
pub(super) fn ingest(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    match take(ctx, incoming) {
        Ok(request_id) => json_text(
            StatusCode::OK,
            json!({ "requestId": request_id }).to_string(),
        ),
        Err(refusal) => refusal.answer(),
    }
}

/// `GET /v1/requestStatus:retrieve`.
pub(super) fn status(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    if let Err(refusal) = holder(ctx, incoming) {
        return refusal.answer();
    }
    let query = incoming.query();
    let id = query.iter().find(|(name, _)| name == "requestId");
    let processed = id.and_then(|(_, id)| ctx.shared.ledger.processed(id));
    let Some(processed) = processed else {
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "REQUEST_NOT_FOUND");
        return refusal.answer();
    };
    let told = told(&processed, ctx.now);
    json_text(StatusCode::OK, told.to_string())
}

fn told(processed: &Processed, now: DateTime<Utc>) -> Value {
    let mut status = json!({ "destination": { "reference": "d1" } });
    if now - processed.received_at < PROCESSING {
        status["requestStatus"] = json!("PROCESSING");
        return json!({ "requestStatusPerDestination": [status] });
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in &processed.reasons {
        *counts.entry(reason).or_default() += 1;
    }
    status["requestStatus"] = json!(match (processed.counted, counts.is_empty()) {
        (_, true) => "SUCCESS",
        (0, false) => "FAILED",
        (_, false) => "PARTIAL_SUCCESS",
    });
    status["eventsIngestionStatus"] = json!({ "recordCount": processed.counted.to_string() });
    if !counts.is_empty() {
        let counts: Vec<Value> = counts
            .into_iter()
            .map(|(reason, count)| {
                json!({
                    "recordCount": count.to_string(),
                    "reason": format!("PROCESSING_ERROR_REASON_{reason}"),
                })
            })
            .collect();
        status["errorInfo"] = json!({ "errorCounts": counts });
    }
    json!({ "requestStatusPerDestination": [status] })
}

fn holder(ctx: &Context<'_>, incoming: &Incoming) -> Result<Holder, Refusal> {
    let spent = || {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHENTICATED",
            "UNAUTHENTICATED",
        )
    };
    let token = incoming.bearer().ok_or_else(spent)?;
    let found = ctx
        .shared
        .oauth
        .look_up(Platform::GoogleAds, token, ctx.now);
    let holder = found.map_err(|_| spent())?;
    if holder.role != TokenRole::Access {
        return Err(spent());
    }
    if holder.grant.allows(SCOPE) {
        return Ok(holder);
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "PERMISSION_DENIED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ))
}

fn take(ctx: &Context<'_>, incoming: &Incoming) -> Result<String, Refusal> {
    let holder = holder(ctx, incoming)?;
    let body: Value = serde_json::from_slice(&incoming.body)
        .map_err(|_| Refusal::of_request("INVALID_ARGUMENT"))?;
    let action = destination(ctx, &holder, &body)?;
    if body["encoding"] != "HEX" {
        return Err(Refusal::of_request("REQUIRED_FIELD_MISSING"));
    }
    let events = body["events"].as_array().map(Vec::as_slice);
    let events = events.unwrap_or_default();
    if events.is_empty() {
        return Err(Refusal::of_request("REQUIRED_FIELD_MISSING"));
    }
    if events.len() > MOST_EVENTS {
        return Err(Refusal::of_request("TOO_MANY_EVENTS"));
    }
    for (place, event) in events.iter().enumerate() {
        check(event, place)?;
    }
    let request_id = super::error::request_id();
    if body["validateOnly"] == true {
        return Ok(request_id);
    }
    let mut processed = Processed {
        received_at: ctx.now,
        counted: 0,
        reasons: Vec::new(),
    };
    for event in events {
        match uncounted(event, &body["consent"], ctx.now) {
            Some(reason) => processed.reasons.push(reason),
            None => {
                let is_repeat = ctx.shared.ledger.add_conversion(Conversion {
                    platform: Platform::GoogleAds,
                    dataset: action.clone(),
                    id: event["transactionId"].as_str().map(str::to_owned),
                    count: 1,
                    request: incoming.number,
                    received_at: ctx.now,
                    is_test: false,
                    event: event.clone(),
                });
                if is_repeat {
                    processed.reasons.push("DUPLICATE_TRANSACTION_ID");
                } else {
                    processed.counted += 1;
                }
            }
        }
    }
    ctx.shared
        .ledger
        .keep_processed(request_id.clone(), processed);
    Ok(request_id)
}

/// The conversion action that a request names, of an account that its caller may write to.
fn destination(ctx: &Context<'_>, holder: &Holder, body: &Value) -> Result<String, Refusal> {
    let Some([destination]) = body["destinations"].as_array().map(Vec::as_slice) else {
        return Err(Refusal::of_request("REQUIRED_FIELD_MISSING"));
    };
    let text = |pointer: &str| destination.pointer(pointer).and_then(Value::as_str);
    let account = text("/operatingAccount/accountId").unwrap_or_default();
    access::customer(ctx, holder, account, text("/loginAccount/accountId")).map_err(|_| {
        Refusal::new(
            StatusCode::FORBIDDEN,
            "PERMISSION_DENIED",
            "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
        )
    })?;
    let action = text("/productDestinationId").unwrap_or_default();
    let is_action = !action.is_empty() && action.bytes().all(|byte| byte.is_ascii_digit());
    if !is_action {
        return Err(Refusal::of_request("INVALID_CONVERSION_ACTION_ID"));
    }
    Ok(action.to_owned())
}

/// What is wrong with an event at once; its click and its age are looked at later.
fn check(event: &Value, place: usize) -> Result<(), Refusal> {
    let at = |reason, member: &str| Refusal::at(reason, format!("events[{place}].{member}"));
    if time_of(event).is_none() {
        return Err(at("REQUIRED_FIELD_MISSING", "event_timestamp"));
    }
    if let Some(currency) = event["currency"].as_str() {
        let is_code = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        if !is_code {
            return Err(at("INVALID_CURRENCY_CODE", "currency"));
        }
    }
    let value = &event["conversionValue"];
    if !value.is_null() && !value.is_number() {
        return Err(at("INVALID_ARGUMENT", "conversion_value"));
    }
    let identifiers = event
        .pointer("/userData/userIdentifiers")
        .and_then(Value::as_array);
    let identifiers = identifiers.map(Vec::as_slice).unwrap_or_default();
    if identifiers.len() > MOST_IDENTIFIERS {
        return Err(at("TOO_MANY_USER_IDENTIFIERS", "user_data"));
    }
    let has_click = event["adIdentifiers"]
        .as_object()
        .is_some_and(|clicks| !clicks.is_empty());
    if identifiers.is_empty() && !has_click {
        return Err(at("NO_IDENTIFIERS_PROVIDED", "user_data"));
    }
    let hashed = [
        "/emailAddress",
        "/phoneNumber",
        "/address/givenName",
        "/address/familyName",
    ];
    let is_hashed = identifiers.iter().all(|identifier| {
        let given = hashed
            .iter()
            .filter_map(|pointer| identifier.pointer(pointer));
        given
            .map(Value::as_str)
            .all(|text| text.is_some_and(is_hash))
    });
    if !is_hashed {
        return Err(at("INVALID_HEX_ENCODING", "user_data.user_identifiers"));
    }
    Ok(())
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn time_of(event: &Value) -> Option<DateTime<Utc>> {
    event["eventTimestamp"].as_str()?.parse().ok()
}

/// Why an event that was accepted is not counted.
fn uncounted(event: &Value, consent: &Value, now: DateTime<Utc>) -> Option<&'static str> {
    let click = event
        .pointer("/adIdentifiers/gclid")
        .and_then(Value::as_str);
    let click = click.unwrap_or_default();
    if time_of(event).is_none_or(|time| now - time > OLDEST) {
        Some("EVENT_TOO_OLD")
    } else if consent["adUserData"] == "CONSENT_DENIED" {
        Some("DENIED_CONSENT")
    } else if click.starts_with("NotFound") {
        Some("CLICK_NOT_FOUND")
    } else if click.starts_with("TooRecent") {
        Some("TOO_RECENT_CLICK")
    } else {
        None
    }
}
