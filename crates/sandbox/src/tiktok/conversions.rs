//! `POST event/track/`, the Events API 2.0: at most a thousand events of one source, all taken or none, and the first that is
//! wrong is named by its place.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Call, Context, access, error::TikTokError};
use crate::{ledger::Conversion, world::Platform};

const MOST: usize = 1_000;
/// Oldest event of the web that is taken.
const OLDEST: TimeDelta = TimeDelta::days(7);
const SOURCES: [&str; 4] = ["web", "app", "offline", "crm"];

/// Takes the events of a call.
///
/// # Errors
/// Those of [`access::holder`], 40002 for the first event that is wrong, 40011 for too many.
pub(super) fn track(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    access::holder(ctx, call)?;
    let source = call.params.required("event_source")?;
    if !SOURCES.contains(&source) {
        return Err(TikTokError::parameter("event_source: Not a valid choice."));
    }
    let dataset = call.params.required("event_source_id")?.to_owned();
    let members = call.params.members();
    let events = members.get("data").and_then(Value::as_array);
    let events = events.ok_or_else(|| TikTokError::missing("data"))?;
    if events.is_empty() {
        return Err(TikTokError::missing("data"));
    }
    if events.len() > MOST {
        return Err(TikTokError::too_many("data", MOST));
    }
    for (place, event) in events.iter().enumerate() {
        check(ctx, source, event).map_err(|(member, why)| {
            TikTokError::parameter(format!("Batch.{place}.{member}: {why}"))
        })?;
    }
    let is_test = call.params.text("test_event_code")?.is_some();
    for event in events {
        let name = event["event"].as_str().unwrap_or_default();
        let id = event["event_id"].as_str();
        ctx.shared.ledger.add_conversion(Conversion {
            platform: Platform::TikTok,
            dataset: dataset.clone(),
            // An event is the same by its name and its id.
            id: id.map(|id| format!("{name} {id}")),
            count: 1,
            request: call.incoming.number,
            received_at: ctx.now,
            is_test,
            event: event.clone(),
        });
    }
    Ok(json!({}))
}

type Wrong = (&'static str, &'static str);

fn check(ctx: &Context<'_>, source: &str, event: &Value) -> Result<(), Wrong> {
    let is_named = event["event"].as_str().is_some_and(|name| !name.is_empty());
    if !is_named {
        return Err(("event", "Missing data for required field."));
    }
    let Some(time) = event["event_time"].as_i64() else {
        return Err(("event_time", "Not a valid integer."));
    };
    let age = ctx.now.timestamp().saturating_sub(time);
    if source == "web" && age > OLDEST.num_seconds() {
        return Err(("event_time", "The event is older than 7 days."));
    }
    let Some(user) = event["user"].as_object() else {
        return Err(("user", "Missing data for required field."));
    };
    for name in ["email", "phone", "external_id"] {
        let is_hashed = match user.get(name) {
            None => true,
            Some(Value::Array(list)) => list.iter().all(is_hash),
            Some(value) => is_hash(value),
        };
        if !is_hashed {
            return Err(("user", "Not a valid SHA-256 string."));
        }
    }
    let properties = &event["properties"];
    let value = &properties["value"];
    if !value.is_null() && !value.is_number() {
        return Err(("properties.value", "Not a valid number."));
    }
    let contents = properties["contents"].as_array();
    for content in contents.into_iter().flatten() {
        let price = &content["price"];
        if !content["content_id"].is_string() {
            return Err(("properties.contents.0.content_id", "Not a valid string."));
        }
        if !price.is_null() && !price.is_number() {
            return Err(("properties.contents.0.price", "Not a valid number."));
        }
    }
    Ok(())
}

fn is_hash(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()))
}
