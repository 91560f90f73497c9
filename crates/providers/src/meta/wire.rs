//! What goes over the wire to and from the Graph API. Answers are read with patience: members may be missing, be `null`,
//! or change between number and text.

use serde::Serialize;
use serde_json::Value;

use super::conversions::ServerEvent;

/// Most messages of one answer that are kept.
const MESSAGES_LIMIT: usize = 20;

/// The body of `POST /{dataset}/events`.
#[derive(Serialize)]
pub(super) struct EventsRequest<'a> {
    pub(super) data: &'a [&'a ServerEvent],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_event_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) appsecret_proof: Option<String>,
}

/// The answer to it, when it is one.
pub(super) struct EventsAnswer {
    pub(super) events_received: u64,
    pub(super) messages: Vec<String>,
    pub(super) fbtrace_id: Option<String>,
}

impl EventsAnswer {
    /// `None` when the body is JSON but no answer to a call that sends events.
    pub(super) fn read(body: &Value) -> Option<Self> {
        Some(Self {
            events_received: integer(body.get("events_received")?)?.try_into().ok()?,
            messages: body
                .get("messages")
                .and_then(Value::as_array)
                .map(|messages| messages.iter().take(MESSAGES_LIMIT).map(text_of).collect())
                .unwrap_or_default(),
            fbtrace_id: text(body, "fbtrace_id"),
        })
    }
}

/// Meta's error envelope.
#[derive(Debug, Default)]
pub(super) struct GraphError {
    pub(super) code: Option<i64>,
    pub(super) subcode: Option<i64>,
    pub(super) message: String,
    /// Meant for people; the place where a bad event's index may stand.
    pub(super) user_message: String,
    pub(super) is_transient: bool,
    /// As JSON text: documented as anything.
    pub(super) data: String,
    pub(super) fbtrace_id: Option<String>,
}

impl GraphError {
    /// `None` when the body holds no error. Errors come under status 200 as well.
    pub(super) fn read(body: &Value) -> Option<Self> {
        let error = body.get("error").filter(|error| !error.is_null())?;
        Some(Self {
            code: error.get("code").and_then(integer),
            subcode: error.get("error_subcode").and_then(integer),
            message: text(error, "message").unwrap_or_else(|| text_of(error)),
            user_message: text(error, "error_user_msg").unwrap_or_default(),
            is_transient: error.get("is_transient").and_then(Value::as_bool) == Some(true),
            data: error.get("error_data").map(text_of).unwrap_or_default(),
            fbtrace_id: text(error, "fbtrace_id"),
        })
    }
}

fn text(object: &Value, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

/// Text as it is, anything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
