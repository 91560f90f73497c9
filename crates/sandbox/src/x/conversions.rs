//! `POST measurement/conversions/{pixel}`: at most 500 events, all taken or none.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{ads::Ask, error::XError};
use crate::{door::Incoming, ledger::Conversion, world::Platform};

const MOST: usize = 500;

/// Takes the events of a call.
///
/// # Errors
/// INVALID_PARAMETER for the first that is wrong; none is taken then.
pub(super) fn take(ask: &Ask<'_>, incoming: &Incoming, pixel: &str) -> Result<Value, XError> {
    let body: Value = serde_json::from_slice(&incoming.body).map_err(|_| {
        XError::word(
            StatusCode::BAD_REQUEST,
            "INVALID_PARAMETER",
            "The body of the request is no JSON",
        )
    })?;
    let events = body["conversions"].as_array();
    let events = events.ok_or_else(|| XError::missing("conversions"))?;
    if events.is_empty() || events.len() > MOST {
        let number = events.len().to_string();
        return Err(XError::invalid("conversions", &number, "Expected 1 to 500"));
    }
    for (place, event) in events.iter().enumerate() {
        check(event).map_err(|why| {
            let message = format!("conversions[{place}]: {why}");
            XError::invalid("conversions", "", message)
        })?;
    }
    for event in events {
        ask.ctx.shared.ledger.add_conversion(Conversion {
            platform: Platform::X,
            dataset: pixel.to_owned(),
            id: event["conversion_id"].as_str().map(str::to_owned),
            count: 1,
            request: incoming.number,
            received_at: ask.ctx.now,
            is_test: false,
            event: event.clone(),
        });
    }
    Ok(json!({
        "request": { "params": { "pixel_id": pixel } },
        "data": { "conversions_processed": events.len(), "debug_id": "fake-debug" },
    }))
}

fn check(event: &Value) -> Result<(), &'static str> {
    let time = event["conversion_time"].as_str().unwrap_or_default();
    if time.parse::<DateTime<Utc>>().is_err() {
        return Err("conversion_time is no time");
    }
    if !event["event_id"]
        .as_str()
        .is_some_and(|id| id.starts_with("tw-"))
    {
        return Err("event_id is no event of the Events Manager");
    }
    let identifiers = event["identifiers"].as_array();
    let is_known = |identifier: &Value| {
        let has = |name: &str| identifier[name].is_string();
        let is_hash = |name: &str| identifier[name].as_str().is_none_or(|it| it.len() == 64);
        let is_hashed = is_hash("hashed_email") && is_hash("hashed_phone_number");
        let is_somebody = has("twclid")
            || has("hashed_email")
            || has("hashed_phone_number")
            || (has("ip_address") && has("user_agent"));
        is_hashed && is_somebody
    };
    if !identifiers.is_some_and(|list| !list.is_empty() && list.iter().all(is_known)) {
        return Err("identifiers need a twclid, a hash, or an address with a user agent");
    }
    if !event["value"].is_null() && !event["value"].is_string() {
        return Err("value is no text");
    }
    Ok(())
}
