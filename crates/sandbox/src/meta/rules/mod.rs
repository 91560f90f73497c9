//! What Meta refuses in a conversion event. The first rule that is broken is told; texts are Meta's
//! where they are known. Of the subcodes 2804003 (too old) and 2804050 (too little about the
//! customer) are Meta's for what they stand for here; the others are Meta's too, but it publishes
//! no list of what they mean.

mod shape;
mod user_data;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

/// Oldest event that is taken, by where it happened.
const MOST_AGE: TimeDelta = TimeDelta::days(7);
const MOST_AGE_IN_STORE: TimeDelta = TimeDelta::days(62);
/// How far a sender's clock may be ahead.
const MOST_AHEAD: TimeDelta = TimeDelta::minutes(1);
/// Where an event may have happened.
const ACTION_SOURCES: [&str; 9] = [
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

/// Meta's codes for what is wrong with an event.
mod subcode {
    pub(super) const MISSING: i64 = 2_804_001;
    pub(super) const TOO_OLD: i64 = 2_804_003;
    pub(super) const IN_FUTURE: i64 = 2_804_007;
    pub(super) const ACTION_SOURCE: i64 = 2_804_016;
    pub(super) const NOT_HASHED: i64 = 2_804_017;
    pub(super) const PURCHASE: i64 = 2_804_019;
    pub(super) const WEBSITE: i64 = 2_804_048;
    pub(super) const TOO_WEAK: i64 = 2_804_050;
}

type Event = Map<String, Value>;

/// Why an event is refused, and with it its whole call.
#[derive(Debug)]
pub(super) struct Refusal {
    /// `None` for a value of the wrong type.
    pub(super) subcode: Option<i64>,
    /// The member that is wrong.
    pub(super) member: String,
    pub(super) title: &'static str,
    pub(super) message: String,
}

impl Refusal {
    /// An event that is no JSON object.
    pub(super) fn no_object() -> Self {
        Self {
            subcode: None,
            member: String::new(),
            title: "Invalid Event",
            message: "An event must be a JSON object.".to_owned(),
        }
    }

    fn missing(member: &str, why: &str) -> Self {
        Self {
            subcode: Some(subcode::MISSING),
            member: member.to_owned(),
            title: "Missing Required Parameter",
            message: format!("{member} {why}."),
        }
    }

    fn wrong_type(member: &str, wanted: &str) -> Self {
        Self {
            subcode: None,
            member: member.to_owned(),
            title: "Invalid Parameter Type",
            message: format!("{member} must be {wanted}."),
        }
    }
}

/// Checks one event as it arrives at `now`.
///
/// # Errors
/// The first [`Refusal`].
pub(super) fn check(event: &Event, now: DateTime<Utc>) -> Result<(), Refusal> {
    shape::check(event)?;
    check_action_source(event)?;
    check_time(event, now)?;
    user_data::check(event)?;
    check_website(event)?;
    check_purchase(event)
}

fn check_action_source(event: &Event) -> Result<(), Refusal> {
    let source = text(event, "action_source");
    if ACTION_SOURCES.contains(&source) {
        return Ok(());
    }
    Err(Refusal {
        subcode: Some(subcode::ACTION_SOURCE),
        member: "action_source".to_owned(),
        title: "Invalid action_source",
        message: format!(
            "action_source must be one of {}.",
            ACTION_SOURCES.join(", ")
        ),
    })
}

fn check_time(event: &Event, now: DateTime<Utc>) -> Result<(), Refusal> {
    let (most_age, days) = match text(event, "action_source") {
        "physical_store" => (MOST_AGE_IN_STORE, 62),
        _ => (MOST_AGE, 7),
    };
    let time = event
        .get("event_time")
        .and_then(Value::as_i64)
        .unwrap_or_default();
    let (subcode, title, message) = if time < (now - most_age).timestamp() {
        (
            subcode::TOO_OLD,
            "Event Timestamp Too Old",
            format!(
                "The timestamp for this event is too far in the past. Events need to be sent from \
                 your server within {days} days of when they occurred. Enter a timestamp that has \
                 occurred within the last {days} days."
            ),
        )
    } else if time > (now + MOST_AHEAD).timestamp() {
        (
            subcode::IN_FUTURE,
            "Event Timestamp In The Future",
            "The timestamp for this event is in the future. Enter a timestamp in seconds, not \
             milliseconds, that has already occurred."
                .to_owned(),
        )
    } else {
        return Ok(());
    };
    Err(Refusal {
        subcode: Some(subcode),
        member: "event_time".to_owned(),
        title,
        message,
    })
}

fn check_website(event: &Event) -> Result<(), Refusal> {
    if text(event, "action_source") != "website" {
        return Ok(());
    }
    let user_data = event.get("user_data").and_then(Value::as_object);
    let agent = user_data.and_then(|user_data| user_data.get("client_user_agent"));
    let missing = if text(event, "event_source_url").is_empty() {
        "event_source_url"
    } else if agent.and_then(Value::as_str).is_none_or(str::is_empty) {
        "user_data.client_user_agent"
    } else {
        return Ok(());
    };
    Err(Refusal {
        subcode: Some(subcode::WEBSITE),
        member: missing.to_owned(),
        title: "Website Event Is Missing Required Data",
        message: format!("{missing} is required for events with action_source website."),
    })
}

fn check_purchase(event: &Event) -> Result<(), Refusal> {
    if text(event, "event_name") != "Purchase" {
        return Ok(());
    }
    let custom_data = event.get("custom_data").and_then(Value::as_object);
    let has = |member: &str| {
        custom_data
            .and_then(|data| data.get(member))
            .is_some_and(|value| !value.is_null())
    };
    let missing = if !has("value") {
        "custom_data.value"
    } else if !has("currency") {
        "custom_data.currency"
    } else {
        return Ok(());
    };
    Err(Refusal {
        subcode: Some(subcode::PURCHASE),
        member: missing.to_owned(),
        title: "Purchase Event Is Missing Value Or Currency",
        message: format!("{missing} is required for Purchase events."),
    })
}

/// A member's text, empty when there is none.
fn text<'e>(event: &'e Event, member: &str) -> &'e str {
    event
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
