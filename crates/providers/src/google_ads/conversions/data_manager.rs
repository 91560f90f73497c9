//! Requests to the Data Manager API. One malformed event fails the whole request, and Google names its place.

use std::time::Duration;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use super::event;
use crate::{
    error::{Detail, Error},
    google_ads::{
        GoogleAds, PLATFORM, PROVIDER, errors::Class, query::digits, refused, wire::Problem,
    },
    http,
    platform::{
        Caller, ConversionAnswer as Answer, ConversionTarget, Outgoing, Receipt, Usage,
        call::{Call, Reading},
        members,
    },
};

/// After which time a conversion action that was just made takes events.
const YOUNG_ACTION: Duration = Duration::from_secs(6 * 60 * 60);
/// Most places that are read of one refusal.
const MOST_PLACES: usize = 2_000;

impl GoogleAds {
    /// Sends events. They are accepted by that and not processed.
    pub(super) async fn ingest(
        &self,
        caller: Caller<'_>,
        target: &ConversionTarget<'_>,
        events: &[&Outgoing],
    ) -> Result<Answer, Error> {
        let body = body(caller, target, events)?;
        let request = self
            .http
            .request(Method::POST, self.data_manager("events:ingest")?)
            .bearer_auth(caller.access.token.expose_secret())
            .json(&body);
        let call = Call {
            platform: PLATFORM,
            endpoint: "POST events:ingest",
            weight: 1,
            door: caller.door,
        };
        let is_test = target.test_event_code.is_some();
        call.send(&self.http, request, |answer| {
            let read = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
            let request_id = members::text(&read, "requestId").map(str::to_owned);
            let result = if answer.status.is_success() && (request_id.is_some() || is_test) {
                let receipt = Receipt {
                    request_id: request_id.clone(),
                    // What is only tried out is never processed.
                    is_pending: !is_test,
                    ..Receipt::default()
                };
                Ok(Answer::all(events.len(), &receipt))
            } else {
                self.not_ingested(answer, caller, &read, events.len())
            };
            Reading {
                result,
                request_id,
                usage: Usage::default(),
            }
        })
        .await
    }

    /// An address of the Data Manager API.
    pub(super) fn data_manager(&self, method: &str) -> Result<Url, Error> {
        let mut url = self.data_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .push(method);
        Ok(url)
    }

    /// What Data Manager's refusal means.
    pub(super) fn data_manager_failure(
        &self,
        answer: &http::Answer,
        caller: Caller<'_>,
    ) -> (Error, bool) {
        let secrets = [caller.access.token.expose_secret()];
        let Some(problem) = Problem::find(&answer.body) else {
            let class = Class::of_unreadable(answer.status);
            let message = "the answer is none to the request";
            let detail = Detail::new(PROVIDER, message, &[]).status(answer.status.as_u16());
            return (self.failure(class, None, detail, ""), false);
        };
        let code = problem
            .reason
            .clone()
            .unwrap_or_else(|| problem.status.clone());
        let detail = Detail::new(PROVIDER, &problem.message, &secrets)
            .status(answer.status.as_u16())
            .code(&code);
        if code == "CONVERSION_ACTION_TOO_RECENTLY_CREATED" {
            let error = Error::RateLimited {
                retry_after: Some(YOUNG_ACTION),
                detail,
            };
            return (error, false);
        }
        let (class, delay) = Class::of(&problem, answer.status);
        let class = of_reason(&code).unwrap_or(class);
        let is_of_events = class == Class::Rejected;
        (self.failure(class, delay, detail, ""), is_of_events)
    }

    fn not_ingested(
        &self,
        answer: &http::Answer,
        caller: Caller<'_>,
        read: &Value,
        events: usize,
    ) -> Result<Answer, Error> {
        let (error, is_of_events) = self.data_manager_failure(answer, caller);
        if !is_of_events && !matches!(error, Error::TooLarge { .. }) {
            return Err(error);
        }
        let at = places(read, events)
            .into_iter()
            .map(|place| (place, error.clone()))
            .collect();
        Ok(Answer::Refused { at, error })
    }
}

fn body(
    caller: Caller<'_>,
    target: &ConversionTarget<'_>,
    events: &[&Outgoing],
) -> Result<Value, Error> {
    let mut destination = json!({
        "reference": "d1",
        "operatingAccount": { "accountType": "GOOGLE_ADS", "accountId": digits(target.account)? },
        "productDestinationId": target.dataset,
    });
    if let Some(manager) = &caller.access.manager {
        destination["loginAccount"] =
            json!({ "accountType": "GOOGLE_ADS", "accountId": digits(manager)? });
    }
    let bodies = events.iter().map(|event| {
        let mut body = event.body.clone();
        body["destinationReferences"] = json!(["d1"]);
        body
    });
    let mut body = json!({
        "destinations": [destination],
        "encoding": "HEX",
        "validateOnly": target.test_event_code.is_some(),
        "events": bodies.collect::<Vec<_>>(),
    });
    let group = events.first().map_or("", |event| event.group);
    if let Some(consent) = event::consent_of(group) {
        body["consent"] = consent;
    }
    Ok(body)
}

fn of_reason(reason: &str) -> Option<Class> {
    Some(match reason {
        "PERMISSION_DENIED"
        | "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH"
        | "NOT_ALLOWLISTED"
        | "TERMS_AND_CONDITIONS_NOT_SIGNED" => Class::Permission,
        reason if reason.starts_with("DESTINATION_ACCOUNT_") => Class::Permission,
        "TOO_MANY_EVENTS" | "TOO_MANY_USER_IDENTIFIERS" | "TOO_MANY_DESTINATIONS" => {
            Class::TooLarge
        }
        "INTERNAL_ERROR" | "DEADLINE_EXCEEDED" => Class::Transient,
        "REQUIRED_FIELD_MISSING"
        | "NO_IDENTIFIERS_PROVIDED"
        | "EVENT_TIME_INVALID"
        | "FIELD_VALUE_TOO_LONG" => Class::Rejected,
        reason if reason.starts_with("INVALID_") => Class::Rejected,
        _ => return None,
    })
}

/// The places of the events that Google names as wrong: `events[3].user_data`, in any of the details.
fn places(body: &Value, events: usize) -> Vec<usize> {
    let details = body.pointer("/error/details").and_then(Value::as_array);
    let mut places: Vec<usize> = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail.get("fieldViolations")?.as_array())
        .flatten()
        .filter_map(|violation| place(members::text(violation, "field")?))
        .filter(|place| *place < events)
        .take(MOST_PLACES)
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn place(field: &str) -> Option<usize> {
    let (_, behind) = field.split_once("events[")?;
    let (number, _) = behind.split_once(']')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_bad_events_are_read_from_the_details() {
        let body = json!({"error": {"details": [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "INVALID_HEX_ENCODING"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [
                {"field": "events[3].user_data.user_identifiers[0].email_address"},
                {"field": "events[1].currency"}, {"field": "events[1].x"}, {"field": "events[99]"},
                {"field": "encoding"}]}]}});

        assert_eq!(places(&body, 5), [1, 3]);
        assert!(places(&json!({}), 5).is_empty());
    }

    #[test]
    fn every_reason_has_its_class() {
        let rows = [
            ("INVALID_HEX_ENCODING", Class::Rejected),
            ("NO_IDENTIFIERS_PROVIDED", Class::Rejected),
            ("TOO_MANY_EVENTS", Class::TooLarge),
            ("NOT_ALLOWLISTED", Class::Permission),
            (
                "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
                Class::Permission,
            ),
            ("INTERNAL_ERROR", Class::Transient),
        ];

        for (reason, class) in rows {
            assert_eq!(of_reason(reason), Some(class), "{reason}");
        }
        assert_eq!(of_reason("RESOURCE_EXHAUSTED"), None);
    }
}
