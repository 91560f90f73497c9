//! Conversion events for LinkedIn's Conversions API. LinkedIn documents that they are at most 90 days old, that a batch is
//! refused whole for one bad event, and that it has no way to try one out.

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{LinkedIn, PLATFORM, PROVIDER, refused};
use crate::{
    error::{Detail, Error},
    http,
    meta::conversions::{Event, Refused},
    platform::{
        Caller, ConversionAnswer as Answer, ConversionApi, ConversionTarget, Outgoing, Receipt,
        Usage, Via,
        call::{Call, Reading},
        conversion_event::{Report, email, first, region},
        members,
    },
};

const MOST: usize = 5_000;
/// LinkedIn does not say for how long ids are remembered: as long as the shortest that others name.
const DEDUPES_HOURS: u32 = 47;
const OLDEST_DAYS: i64 = 90;
const ENDPOINT: &str = "POST conversionEvents";
/// What a rule's id stands behind.
const RULE: &str = "urn:lla:llaPartnerConversion:";
const LONGEST_RULE: usize = 32;
/// What is used of a person.
const USED: [&str; 5] = ["em", "li_fat_id", "fn", "ln", "country"];

impl ConversionApi for LinkedIn {
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
        target: &ConversionTarget<'_>,
        now: DateTime<Utc>,
    ) -> Result<Outgoing, Refused> {
        prepare(event, target.dataset, now)
    }

    fn send<'a>(
        &'a self,
        caller: Caller<'a>,
        _target: &'a ConversionTarget<'a>,
        events: &'a [&'a Outgoing],
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(self.create_events(caller, events))
    }
}

impl LinkedIn {
    async fn create_events(
        &self,
        caller: Caller<'_>,
        events: &[&Outgoing],
    ) -> Result<Answer, Error> {
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .push("conversionEvents");
        let token = caller.access.token.expose_secret();
        let elements: Vec<&Value> = events.iter().map(|event| &event.body).collect();
        let request = self
            .authorized(self.http.request(Method::POST, url), token)
            .header("X-RestLi-Method", "BATCH_CREATE")
            .json(&json!({ "elements": elements }));
        let call = Call {
            platform: PLATFORM,
            endpoint: ENDPOINT,
            weight: 1,
            door: caller.door,
        };
        call.send(&self.http, request, |answer| {
            let request_id = ["x-li-uuid", "x-restli-id"]
                .into_iter()
                .find_map(|name| answer.headers.get(name)?.to_str().ok());
            let receipt = Receipt {
                request_id: request_id.map(str::to_owned),
                ..Receipt::default()
            };
            Reading {
                result: self.judged(answer, token, events.len(), &receipt),
                request_id: receipt.request_id.clone(),
                usage: Usage::default(),
            }
        })
        .await
    }

    fn judged(
        &self,
        answer: &http::Answer,
        token: &str,
        events: usize,
        receipt: &Receipt,
    ) -> Result<Answer, Error> {
        let body = match self.judge(answer, ENDPOINT, token) {
            Ok(body) => body,
            Err(error @ (Error::Rejected { .. } | Error::TooLarge { .. })) => {
                let read = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
                let message = members::text(&read, "message").unwrap_or_default();
                return whole(answer.status, message, events, error);
            }
            Err(error) => return Err(error),
        };
        let statuses = body.get("elements").and_then(Value::as_array);
        match statuses.filter(|statuses| statuses.len() == events) {
            Some(statuses) => Ok(Answer::Each(
                statuses
                    .iter()
                    .map(|status| each(status, receipt))
                    .collect(),
            )),
            None => Err(Error::Unavailable {
                detail: Detail::new(PROVIDER, "the answer is none to the events", &[])
                    .status(answer.status.as_u16()),
                maybe_received: true,
                source: None,
            }),
        }
    }
}

/// LinkedIn names the events at fault by their places, as `Index: 0, ERROR :: …` or as `indices [0]`.
fn whole(status: StatusCode, message: &str, events: usize, error: Error) -> Result<Answer, Error> {
    let is_of_events = matches!(status.as_u16(), 400 | 413 | 422);
    if !is_of_events {
        return Err(error);
    }
    let mut at: Vec<(usize, Error)> = Vec::new();
    for line in message.split("Index:").skip(1) {
        let line = line.trim_start();
        let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
        let why = line.get(digits.len()..).unwrap_or_default();
        let why = why.trim_start_matches(',').trim();
        if let Ok(place) = digits.parse::<usize>()
            && place < events
            && at.iter().all(|(known, _)| *known != place)
        {
            let detail = Detail::new(PROVIDER, why, &[]).status(status.as_u16());
            at.push((place, Error::Rejected { detail }));
        }
    }
    if at.is_empty()
        && let Some((_, list)) = message.split_once("indices [")
        && let Some((list, _)) = list.split_once(']')
    {
        let places = list
            .split(',')
            .filter_map(|place| place.trim().parse().ok());
        at.extend(
            places
                .filter(|place: &usize| *place < events)
                .map(|place| (place, error.clone())),
        );
    }
    Ok(Answer::Refused { at, error })
}

fn each(element: &Value, receipt: &Receipt) -> Result<Receipt, Error> {
    let status = element.get("status").and_then(members::integer);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let status = status.unwrap_or_default();
    let message = element
        .pointer("/error/message")
        .and_then(Value::as_str)
        .unwrap_or("not taken");
    let detail = Detail::new(PROVIDER, message, &[]).status(status);
    match status {
        200..=299 => Ok(receipt.clone()),
        429 => Err(Error::RateLimited {
            retry_after: None,
            detail,
        }),
        500..=599 => Err(Error::Unavailable {
            detail,
            maybe_received: true,
            source: None,
        }),
        _ => Err(Error::Rejected { detail }),
    }
}

fn prepare(event: &Event, rule: &str, now: DateTime<Utc>) -> Result<Outgoing, Refused> {
    let mut report = Report::default();
    let time = report.time(event, OLDEST_DAYS, now);
    let is_rule =
        (1..=LONGEST_RULE).contains(&rule.len()) && rule.bytes().all(|byte| byte.is_ascii_digit());
    if !is_rule {
        report.refuse("", "dataset_id must be the number of a conversion rule");
    }
    report.unused(event, &[], PROVIDER);
    let data = serde_json::to_value(&event.user_data).unwrap_or_default();
    report.unused_below(("user_data", data), &USED, PROVIDER);
    let custom = serde_json::to_value(&event.custom_data).unwrap_or_default();
    report.unused_below(("custom_data", custom), &["value", "currency"], PROVIDER);

    let data = &event.user_data;
    let mut ids: Vec<Value> = report
        .hashed("em", data.em.as_ref(), email)
        .into_iter()
        .map(|hash| json!({ "idType": "SHA256_EMAIL", "idValue": hash }))
        .collect();
    let click = first(data.li_fat_id.as_ref());
    ids.extend(click.map(
        |click| json!({ "idType": "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID", "idValue": click }),
    ));
    let info = info(event, &mut report);
    if ids.is_empty() && info.is_none() {
        report.refuse("/user_data", "has nobody whom linkedin could find");
    }
    let mut user = Map::new();
    user.insert("userIds".to_owned(), Value::Array(ids));
    if let Some(info) = info {
        user.insert("userInfo".to_owned(), info);
    }
    // Whoever sent milliseconds was refused above.
    let since = time.signed_duration_since(DateTime::UNIX_EPOCH);
    let mut body = json!({
        "conversion": format!("{RULE}{rule}"),
        "conversionHappenedAt": since.max(TimeDelta::zero()).num_milliseconds(),
        "eventId": event.event_id,
        "user": user,
    });
    if let Some((value, currency)) = report.money(event) {
        body["conversionValue"] = json!({ "currencyCode": currency, "amount": value.to_string() });
    }
    let left_out = report.ended()?;
    Ok(Outgoing {
        body,
        group: "",
        left_out,
    })
}

/// LinkedIn takes names as they are, and both or none.
fn info(event: &Event, report: &mut Report) -> Option<Value> {
    let data = &event.user_data;
    let names = [("fn", &data.first_name), ("ln", &data.ln)];
    let [given, family] = names.map(|(_, values)| {
        // A hash is no name.
        first(values.as_ref()).filter(|name| !is_hash(name))
    });
    let country = first(data.country.as_ref());
    let (Some(given), Some(family)) = (given, family) else {
        let others = [
            ("fn", &data.first_name),
            ("ln", &data.ln),
            ("country", &data.country),
        ];
        for (name, _) in others.iter().filter(|(_, values)| values.is_some()) {
            let pointer = format!("/user_data/{name}");
            report.leave_out(
                &pointer,
                "linkedin takes fn and ln together alone, not hashed",
            );
        }
        return None;
    };
    let mut info = json!({ "firstName": given, "lastName": family });
    match country.as_deref().map(region) {
        Some(Some(code)) => info["countryCode"] = json!(code),
        Some(None) => report.leave_out("/user_data/country", "no code of two letters"),
        None => {}
    }
    Some(info)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
