//! Conversion events for TikTok's Events API 2.0. TikTok documents that they are taken for 7 days, refuses a request for one
//! wrong type in it, and names the place; of what it takes in part it tells the places of the rest.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::{PROVIDER, TikTok, errors::BAD_PARAMETER, request::Question};
use crate::{
    error::{Detail, Error},
    meta::conversions::{ActionSource, Event, Refused},
    platform::{
        Caller, ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Receipt,
        Via,
        conversion_event::{Report, custom_text, email, external_id, first, name, phone},
        members,
    },
};

const MOST: usize = 1_000;
/// TikTok drops repeats for 48 hours.
const DEDUPES_HOURS: u32 = 47;
const OLDEST_DAYS: i64 = 7;
/// TikTok documents more time for what did not happen on the web, and not how much: this is Meta's.
const OLDEST_IN_STORE_DAYS: i64 = 62;
/// A part of the events failed.
const IN_PART: i64 = 20_001;
/// What is used of a person.
const USED: [&str; 13] = [
    "em",
    "ph",
    "external_id",
    "fn",
    "ln",
    "ct",
    "st",
    "zp",
    "country",
    "ttclid",
    "ttp",
    "client_ip_address",
    "client_user_agent",
];
/// What is used of `custom_data`.
const CUSTOM: [&str; 7] = [
    "value",
    "currency",
    "order_id",
    "content_type",
    "content_ids",
    "contents",
    "search_string",
];

impl ConversionApi for TikTok {
    fn most(&self, _via: Via) -> usize {
        MOST
    }

    fn has_test_mode(&self) -> bool {
        true
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
        Box::pin(self.track(caller, target, events))
    }
}

impl TikTok {
    async fn track(
        &self,
        caller: Caller<'_>,
        target: &ConversionTarget<'_>,
        events: &[&Outgoing],
    ) -> Result<Answer, Error> {
        let source = events.first().map_or("web", |event| event.group);
        let bodies: Vec<&Value> = events.iter().map(|event| &event.body).collect();
        let mut parameters = Map::new();
        parameters.insert("event_source".to_owned(), json!(source));
        parameters.insert("event_source_id".to_owned(), json!(target.dataset));
        parameters.insert("data".to_owned(), json!(bodies));
        if let Some(code) = target.test_event_code {
            parameters.insert("test_event_code".to_owned(), json!(code));
        }
        let question = Question {
            endpoint: "POST event/track/",
            parameters,
            token: Some(&caller.access.token),
            accepts: &[],
        };
        let asked = self.ask(caller.door, &question, |envelope| {
            Some((envelope.code, envelope.message, envelope.data))
        });
        match asked.await {
            Ok((IN_PART, message, data)) => Ok(in_part(&message, &data, events.len())),
            Ok(_) => Ok(Answer::all(events.len(), &Receipt::default())),
            Err(error) => refused(error, events.len()),
        }
    }
}

/// The events that are wrong are named by their places in the message: `Batch.0.properties…`.
fn refused(error: Error, events: usize) -> Result<Answer, Error> {
    let is_of_events = match &error {
        Error::Rejected { detail } => {
            detail.code.as_deref() == Some(BAD_PARAMETER.to_string().as_str())
        }
        Error::TooLarge { .. } => true,
        _ => false,
    };
    if !is_of_events {
        return Err(error);
    }
    let at = places(&error.detail().message, events);
    Ok(Answer::Refused {
        at: at.into_iter().map(|place| (place, error.clone())).collect(),
        error,
    })
}

fn places(message: &str, events: usize) -> Vec<usize> {
    let mut places: Vec<usize> = message
        .split("Batch.")
        .skip(1)
        .filter_map(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .filter(|place| *place < events)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Where a part failed and its places cannot be read, everything is sent again in smaller parts: what was taken counts once.
fn in_part(message: &str, data: &Value, events: usize) -> Answer {
    let refusal = |why: &str| Error::Rejected {
        detail: Detail::new(PROVIDER, why, &[]).code(&IN_PART.to_string()),
    };
    let failed = failed(data);
    let is_told = !failed.is_empty() && failed.iter().all(|(place, _)| *place < events);
    if !is_told {
        return Answer::Refused {
            at: Vec::new(),
            error: refusal(message),
        };
    }
    let answer = |place: usize| match failed.iter().find(|(failed, _)| *failed == place) {
        Some((_, why)) => Err(refusal(why)),
        None => Ok(Receipt::default()),
    };
    Answer::Each((0..events).map(answer).collect())
}

/// The shape differs: a list of what failed, in `data` or below one of its members.
fn failed(data: &Value) -> Vec<(usize, String)> {
    let lists = match data {
        Value::Array(list) => vec![list],
        Value::Object(members) => members.values().filter_map(Value::as_array).collect(),
        _ => Vec::new(),
    };
    let entries = lists.into_iter().flatten();
    entries
        .filter_map(|entry| {
            let place = ["index", "event_index"]
                .into_iter()
                .find_map(|name| members::integer(entry.get(name)?))?;
            let why = ["message", "error_message"]
                .into_iter()
                .find_map(|name| members::text(entry, name))
                .unwrap_or("not taken");
            Some((usize::try_from(place).ok()?, why.to_owned()))
        })
        .collect()
}

fn prepare(event: &Event, now: DateTime<Utc>) -> Result<Outgoing, Refused> {
    let mut report = Report::default();
    let oldest = match event.action_source {
        ActionSource::PhysicalStore => OLDEST_IN_STORE_DAYS,
        _ => OLDEST_DAYS,
    };
    let time = report.time(event, oldest, now);
    if event.event_name.trim().is_empty() {
        report.refuse("/event_name", "is required");
    }
    report.unused(event, &["event_source_url", "referrer_url"], PROVIDER);
    let data = serde_json::to_value(&event.user_data).unwrap_or_default();
    report.unused_below(("user_data", data), &USED, PROVIDER);
    let custom = serde_json::to_value(&event.custom_data).unwrap_or_default();
    report.unused_below(("custom_data", custom), &CUSTOM, PROVIDER);

    let user = user(event, &mut report);
    if user.keys().all(|name| name == "user_agent" || name == "ip") {
        report.refuse("/user_data", "has too little to find anybody by");
    }
    let mut body = json!({
        "event": event.event_name,
        "event_time": time.timestamp(),
        "event_id": event.event_id,
        "user": user,
    });
    let page = [
        ("url", &event.event_source_url),
        ("referrer", &event.referrer_url),
    ];
    for (name, address) in page {
        if let Some(address) = address {
            body["page"][name] = json!(address);
        }
    }
    let properties = properties(event, &mut report);
    if !properties.is_empty() {
        body["properties"] = Value::Object(properties);
    }
    let left_out = report.ended()?;
    Ok(Outgoing {
        body,
        group: source(event.action_source),
        left_out,
    })
}

/// Which sort of source the id is one of; events of one request share it.
fn source(source: ActionSource) -> &'static str {
    match source {
        ActionSource::Website => "web",
        ActionSource::App => "app",
        ActionSource::SystemGenerated => "crm",
        ActionSource::Email
        | ActionSource::PhoneCall
        | ActionSource::Chat
        | ActionSource::PhysicalStore
        | ActionSource::BusinessMessaging
        | ActionSource::Other => "offline",
    }
}

fn user(event: &Event, report: &mut Report) -> Map<String, Value> {
    let data = &event.user_data;
    let hashed = [
        ("email", report.hashed("em", data.em.as_ref(), email)),
        ("phone", report.hashed("ph", data.ph.as_ref(), phone)),
        (
            "external_id",
            report.hashed("external_id", data.external_id.as_ref(), external_id),
        ),
        (
            "first_name",
            report.hashed("fn", data.first_name.as_ref(), name),
        ),
        ("last_name", report.hashed("ln", data.ln.as_ref(), name)),
        ("city", report.hashed("ct", data.ct.as_ref(), name)),
        ("state", report.hashed("st", data.st.as_ref(), name)),
        ("zip_code", report.hashed("zp", data.zp.as_ref(), name)),
        (
            "country",
            report.hashed("country", data.country.as_ref(), name),
        ),
    ];
    let kept = [
        ("ttclid", first(data.ttclid.as_ref())),
        ("ttp", first(data.ttp.as_ref())),
        ("ip", first(data.client_ip_address.as_ref())),
        ("user_agent", first(data.client_user_agent.as_ref())),
    ];
    let mut user = Map::new();
    for (name, mut hashes) in hashed {
        let value = match hashes.len() {
            0 => continue,
            1 => json!(hashes.remove(0)),
            // These three alone may be lists.
            _ if matches!(name, "email" | "phone" | "external_id") => json!(hashes),
            _ => json!(hashes.remove(0)),
        };
        user.insert(name.to_owned(), value);
    }
    for (name, value) in kept {
        if let Some(value) = value {
            user.insert(name.to_owned(), Value::String(value));
        }
    }
    user
}

/// TikTok takes no other types than these: ids are text, prices and counts numbers.
fn properties(event: &Event, report: &mut Report) -> Map<String, Value> {
    let mut properties = Map::new();
    if let Some((value, currency)) = report.money(event) {
        properties.insert("value".to_owned(), Value::Number(value));
        properties.insert("currency".to_owned(), json!(currency));
    }
    let texts = [
        ("order_id", "order_id"),
        ("content_type", "content_type"),
        ("search_string", "query"),
    ];
    for (from, to) in texts {
        if let Some(text) = custom_text(event, from) {
            properties.insert(to.to_owned(), json!(text));
        }
    }
    let contents = contents(event);
    if !contents.is_empty() {
        properties.insert("contents".to_owned(), Value::Array(contents));
    }
    properties
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
    let mut told = json!({ "content_id": members::id(content.get("id")?)? });
    for (from, to) in [("item_price", "price"), ("quantity", "quantity")] {
        if let Some(number) = content.get(from).filter(|value| value.is_number()) {
            told[to] = number.clone();
        }
    }
    Some(told)
}
