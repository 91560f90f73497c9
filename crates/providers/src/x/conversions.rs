//! Conversion events for X. What X calls `event_id` is the definition of an event in its Events Manager; our own id is its
//! `conversion_id`. It documents no age that is too old and no way to try one out.

use chrono::{DateTime, SecondsFormat, Utc};
use futures::future::BoxFuture;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    PLATFORM, PROVIDER, X, limits,
    request::{Question, checked, request_id},
};
use crate::{
    error::Error,
    meta::conversions::{Event, Refused},
    platform::{
        Caller, ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Receipt,
        Via,
        call::{Call, Reading},
        conversion_event::{Report, custom_text, email, first, phone},
        members,
    },
};

/// Most events of a request, as connectors send them: X names no number.
const MOST: usize = 500;
/// X does not say for how long ids are remembered: as long as the shortest that others name.
const DEDUPES_HOURS: u32 = 47;
/// As old as an event may be at any of the others: X names no age.
const OLDEST_DAYS: i64 = 90;
const ENDPOINT: &str = "POST measurement/conversions/{id}";
/// What is used of a person, and of `custom_data`.
const USED: [&str; 5] = [
    "em",
    "ph",
    "twclid",
    "client_ip_address",
    "client_user_agent",
];
const CUSTOM: [&str; 6] = [
    "value",
    "currency",
    "num_items",
    "contents",
    "content_ids",
    "x_event_id",
];

#[derive(Deserialize)]
struct Taken {
    #[serde(default)]
    data: Value,
}

impl ConversionApi for X {
    fn most(&self, _via: Via) -> usize {
        MOST
    }

    fn has_test_mode(&self) -> bool {
        false
    }

    fn dedupes_hours(&self) -> u32 {
        DEDUPES_HOURS
    }

    fn prepare(
        &self,
        event: &Event,
        _target: &ConversionTarget<'_>,
        now: DateTime<Utc>,
    ) -> Result<Outgoing, Refused> {
        prepare(event, now)
    }

    fn send<'a>(
        &'a self,
        caller: Caller<'a>,
        target: &'a ConversionTarget<'a>,
        events: &'a [&'a Outgoing],
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(self.measure(caller, target, events))
    }
}

impl X {
    async fn measure(
        &self,
        caller: Caller<'_>,
        target: &ConversionTarget<'_>,
        events: &[&Outgoing],
    ) -> Result<Answer, Error> {
        let bodies: Vec<&Value> = events.iter().map(|event| &event.body).collect();
        let question = Question {
            method: Method::POST,
            endpoint: ENDPOINT,
            path: &["measurement", "conversions", checked(target.dataset)?],
            params: &[],
        };
        // A body of JSON is no part of what is signed.
        let request = self
            .request(caller.access, &question)?
            .json(&json!({ "conversions": bodies }));
        let call = Call {
            platform: PLATFORM,
            endpoint: ENDPOINT,
            weight: 1,
            door: caller.door,
        };
        let sent = call.send(&self.http, request, |answer| Reading {
            result: self.read::<Taken>(answer, caller.access, ENDPOINT),
            request_id: request_id(answer).map(str::to_owned),
            usage: limits::usage(&answer.headers, Utc::now()),
        });
        match sent.await {
            Ok(taken) => Ok(Answer::all(
                events.len(),
                &receipt(&taken.data, events.len()),
            )),
            Err(error @ (Error::Rejected { .. } | Error::TooLarge { .. })) => Ok(Answer::Refused {
                at: Vec::new(),
                error,
            }),
            Err(error) => Err(Box::pin(self.blamed(caller, error)).await),
        }
    }
}

/// Fewer events than were sent are told and not sent again: nobody knows which ones X left out.
fn receipt(data: &Value, events: usize) -> Receipt {
    let processed = data.get("conversions_processed").and_then(members::integer);
    let is_less = processed.is_some_and(|processed| {
        usize::try_from(processed).is_ok_and(|processed| processed < events)
    });
    let messages = if is_less {
        let processed = processed.unwrap_or_default();
        tracing::warn!(
            provider.name = PROVIDER,
            processed,
            sent = events,
            "fewer events were processed than sent"
        );
        vec![format!(
            "x processed {processed} of the {events} events of the request"
        )]
    } else {
        Vec::new()
    };
    Receipt {
        request_id: members::text(data, "debug_id").map(str::to_owned),
        messages,
        is_pending: false,
    }
}

fn prepare(event: &Event, now: DateTime<Utc>) -> Result<Outgoing, Refused> {
    let mut report = Report::default();
    let time = report.time(event, OLDEST_DAYS, now);
    report.unused(event, &[], PROVIDER);
    let data = serde_json::to_value(&event.user_data).unwrap_or_default();
    report.unused_below(("user_data", data), &USED, PROVIDER);
    let custom = serde_json::to_value(&event.custom_data).unwrap_or_default();
    report.unused_below(("custom_data", custom), &CUSTOM, PROVIDER);

    // A definition's id, or the name under which the app knows it.
    let definition =
        custom_text(event, "x_event_id").unwrap_or_else(|| event.event_name.trim().to_owned());
    if !definition.starts_with("tw-") {
        report.refuse(
            "/custom_data/x_event_id",
            "must be the id of an event in X's Events Manager, which begins with tw-",
        );
    }
    let identifiers = identifiers(event, &mut report);
    if identifiers.is_empty() {
        report.refuse(
            "/user_data",
            "needs twclid, em, ph, or client_ip_address with client_user_agent",
        );
    }
    let mut body = json!({
        "conversion_time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
        "event_id": definition,
        "conversion_id": event.event_id,
        "identifiers": identifiers,
    });
    if let Some((value, currency)) = report.money(event) {
        body["value"] = json!(value.to_string());
        body["price_currency"] = json!(currency);
    }
    let items = event.custom_data.as_ref();
    let items = items.and_then(|data| members::integer(data.get("num_items")?));
    if let Some(items) = items {
        body["number_items"] = json!(items);
    }
    let contents = contents(event);
    if !contents.is_empty() {
        body["contents"] = Value::Array(contents);
    }
    let left_out = report.ended()?;
    Ok(Outgoing {
        body,
        group: "",
        left_out,
    })
}

fn identifiers(event: &Event, report: &mut Report) -> Vec<Value> {
    let data = &event.user_data;
    let click = first(data.twclid.as_ref()).map(|click| json!({ "twclid": click }));
    let emails = report.hashed("em", data.em.as_ref(), email);
    let phones = report.hashed("ph", data.ph.as_ref(), phone);
    let emails = emails.iter().map(|hash| json!({ "hashed_email": hash }));
    let phones = phones
        .iter()
        .map(|hash| json!({ "hashed_phone_number": hash }));
    let mut all: Vec<Value> = click.into_iter().chain(emails).chain(phones).collect();
    let ip = first(data.client_ip_address.as_ref());
    let agent = first(data.client_user_agent.as_ref());
    match (ip, agent) {
        (Some(ip), Some(agent)) => all.push(json!({ "ip_address": ip, "user_agent": agent })),
        (Some(_), None) => report.leave_out(
            "/user_data/client_ip_address",
            "x takes it with client_user_agent alone",
        ),
        (None, Some(_)) => report.leave_out(
            "/user_data/client_user_agent",
            "x takes it with client_ip_address alone",
        ),
        (None, None) => {}
    }
    all
}

fn contents(event: &Event) -> Vec<Value> {
    let list = |name: &str| {
        let data = event.custom_data.as_ref()?;
        data.get(name)?.as_array()
    };
    if let Some(contents) = list("contents") {
        return contents.iter().filter_map(content).collect();
    }
    let ids = list("content_ids").into_iter().flatten();
    ids.filter_map(members::id)
        .map(|id| json!({ "content_id": id }))
        .collect()
}

fn content(content: &Value) -> Option<Value> {
    let mut told = Map::new();
    let id = members::id(content.get("id")?)?;
    told.insert("content_id".to_owned(), json!(id));
    if let Some(price) = content.get("item_price").and_then(members::id) {
        told.insert("content_price".to_owned(), json!(price));
    }
    if let Some(items) = content.get("quantity").and_then(members::integer) {
        told.insert("num_items".to_owned(), json!(items));
    }
    Some(Value::Object(told))
}
