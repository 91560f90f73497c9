//! `POST /{dataset}/events`, the Conversions API: at most a thousand events, all taken or none.

use serde_json::{Map, Value, json};

use super::{
    Context, access,
    call::Call,
    error::{GraphError, trace_id},
    rules::{self, Refusal},
};
use crate::{
    ledger::MetaEvent,
    world::{Kind, Platform},
};

/// Most events of one call.
const MOST_EVENTS: usize = 1_000;

/// Takes the events of a call.
///
/// # Errors
/// [`GraphError`] for the first thing wrong; no event is taken then.
pub(super) fn receive(call: &Call, ctx: &Context<'_>, dataset: &str) -> Result<Value, GraphError> {
    access::check(call, ctx)?;
    let pixel = ctx.shared.world.find(Platform::Meta, dataset);
    let is_pixel = pixel.is_some_and(|pixel| pixel.kind == Kind::Pixel);
    if !is_pixel && !ctx.config.datasets.contains(dataset) {
        return Err(GraphError::no_such_object(&call.method, dataset));
    }
    let events = read(call)?;

    let now = ctx.now;
    for (index, event) in events.iter().enumerate() {
        rules::check(event, now).map_err(|refusal| GraphError::bad_event(index, refusal))?;
    }

    let received = events.len();
    let test_event_code = call.text("test_event_code").map(str::to_owned);
    let entries = events.into_iter().map(|event| MetaEvent {
        dataset: dataset.to_owned(),
        event_id: text(&event, "event_id"),
        event_name: text(&event, "event_name").unwrap_or_default(),
        count: 1,
        request: ctx.number,
        received_at: now,
        test_event_code: test_event_code.clone(),
        event: Value::Object(event),
    });
    ctx.shared.ledger.add_meta_events(entries.collect());
    Ok(json!({ "events_received": received, "messages": [], "fbtrace_id": trace_id() }))
}

/// The events; each may be an object or, as Meta's SDKs send it, JSON text of one.
fn read(call: &Call) -> Result<Vec<Map<String, Value>>, GraphError> {
    let Some(Value::Array(events)) = call.structure("data") else {
        return Err(GraphError::bad_param("data", "must be an array."));
    };
    if events.is_empty() {
        return Err(GraphError::bad_param("data", "must be non-empty."));
    }
    if events.len() > MOST_EVENTS {
        return Err(GraphError::bad_param(
            "data",
            "must have at most 1000 elements.",
        ));
    }
    events
        .into_iter()
        .enumerate()
        .map(|(index, event)| object(index, event))
        .collect()
}

fn object(index: usize, event: Value) -> Result<Map<String, Value>, GraphError> {
    let event = match event {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
        event => event,
    };
    match event {
        Value::Object(event) => Ok(event),
        _ => Err(GraphError::bad_event(index, Refusal::no_object())),
    }
}

fn text(event: &Map<String, Value>, name: &str) -> Option<String> {
    event.get(name).and_then(Value::as_str).map(str::to_owned)
}
