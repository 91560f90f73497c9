//! The older uploads of the Google Ads API. Their answer says of each event how it went, under status 200.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, header::HeaderName};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    error::{Detail, Error},
    google_ads::{GoogleAds, PLATFORM, PROVIDER, query::digits},
    platform::{
        Caller, ConversionAnswer as Answer, ConversionTarget, Outgoing, Receipt, call::Call,
        members,
    },
};

/// After which time a click or a conversion that Google does not know yet is known.
const YOUNG: Duration = Duration::from_secs(6 * 60 * 60);
/// For how many hours Google may not know a click yet. One is never younger than its conversion.
const UNKNOWN_HOURS: i64 = 24;
/// What Google says of what it does not know.
const UNKNOWN: [&str; 3] = ["CLICK_NOT_FOUND", "EVENT_NOT_FOUND", "CONVERSION_NOT_FOUND"];

impl GoogleAds {
    /// Sends events, each of which is taken or refused by itself.
    pub(super) async fn upload(
        &self,
        caller: Caller<'_>,
        target: &ConversionTarget<'_>,
        events: &[&Outgoing],
    ) -> Result<Answer, Error> {
        let customer = digits(target.account)?;
        let url = self.url(&["customers", &format!("{customer}:uploadClickConversions")])?;
        let conversions: Vec<&Value> = events.iter().map(|event| &event.body).collect();
        let mut request = self.signed(self.http.request(Method::POST, url), caller.access);
        if let Some(manager) = &caller.access.manager {
            let name = HeaderName::from_static("login-customer-id");
            request = request.header(name, digits(manager)?);
        }
        let now = Utc::now();
        let are_young: Vec<bool> = conversions.iter().map(|it| is_young(it, now)).collect();
        let request = request.json(&json!({
            "conversions": conversions,
            "partialFailure": true,
            "validateOnly": target.test_event_code.is_some(),
        }));
        let call = Call {
            platform: PLATFORM,
            endpoint: "POST customers/{id}:uploadClickConversions",
            // Google counts each conversion as an operation.
            weight: u32::try_from(events.len()).unwrap_or(u32::MAX),
            door: caller.door,
        };
        call.send(&self.http, request, |answer| {
            let secrets = [caller.access.token.expose_secret()];
            self.read(answer, (caller.access, customer.as_str()), |body| {
                let body: Value = serde_json::from_slice(body).ok()?;
                body.get("error")
                    .is_none()
                    .then(|| answers(&body, &are_young, &secrets))
            })
        })
        .await
        .map(Answer::Each)
    }
}

/// The answer for each event: those that are not named as failed were taken.
fn answers(body: &Value, are_young: &[bool], secrets: &[&str]) -> Vec<Result<Receipt, Error>> {
    let job = body.get("jobId").and_then(members::id);
    let mut failures = failures(body, secrets);
    // A failure that names no event is every event's.
    let of_all = failures.remove(&None);
    are_young
        .iter()
        .enumerate()
        .map(|(place, &is_young)| {
            let failure = failures.remove(&Some(place)).or_else(|| of_all.clone());
            match failure {
                Some(Some(error)) => Err(final_of(error, is_young)),
                Some(None) => Ok(receipt(
                    job.as_deref(),
                    vec!["google has it already".to_owned()],
                )),
                None => Ok(receipt(job.as_deref(), Vec::new())),
            }
        })
        .collect()
}

/// Whether Google may still learn of what a conversion belongs to.
fn is_young(conversion: &Value, now: DateTime<Utc>) -> bool {
    let time = members::text(conversion, "conversionDateTime").unwrap_or_default();
    let Ok(time) = DateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%:z") else {
        return false;
    };
    now.signed_duration_since(time) < TimeDelta::hours(UNKNOWN_HOURS)
}

/// What Google does not know after a day it never will.
fn final_of(error: Error, is_young: bool) -> Error {
    match error {
        Error::RateLimited { detail, .. }
            if !is_young
                && detail
                    .code
                    .as_deref()
                    .is_some_and(|code| UNKNOWN.contains(&code)) =>
        {
            Error::Rejected { detail }
        }
        error => error,
    }
}

fn receipt(job: Option<&str>, messages: Vec<String>) -> Receipt {
    Receipt {
        request_id: job.map(str::to_owned),
        messages,
        is_pending: false,
    }
}

/// By place: what failed, `None` where Google says that it has the event.
fn failures(body: &Value, secrets: &[&str]) -> BTreeMap<Option<usize>, Option<Error>> {
    let details = body
        .pointer("/partialFailureError/details")
        .and_then(Value::as_array);
    let errors = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail.get("errors")?.as_array())
        .flatten();
    let mut failures = BTreeMap::new();
    for error in errors {
        let code = error.get("errorCode").and_then(Value::as_object);
        let name = code.and_then(|code| code.values().next()?.as_str());
        let message = members::text(error, "message").unwrap_or_default();
        let detail = Detail::new(PROVIDER, message, secrets).code(name.unwrap_or("UNKNOWN"));
        failures
            .entry(place(error))
            .or_insert_with(|| of_name(name.unwrap_or_default(), detail));
    }
    failures
}

/// An index of 0 may be left out.
fn place(error: &Value) -> Option<usize> {
    let elements = error.pointer("/location/fieldPathElements")?.as_array()?;
    let element = elements
        .iter()
        .find(|element| members::text(element, "fieldName") == Some("conversions"))?;
    let index = element.get("index").and_then(members::integer).unwrap_or(0);
    usize::try_from(index).ok()
}

fn of_name(name: &str, detail: Detail) -> Option<Error> {
    Some(match name {
        "CLICK_CONVERSION_ALREADY_EXISTS"
        | "CALL_CONVERSION_ALREADY_EXISTS"
        | "ORDER_ID_ALREADY_IN_USE"
        | "CONVERSION_ALREADY_ENHANCED"
        | "CONVERSION_ALREADY_RETRACTED"
        | "RESTATEMENT_ALREADY_EXISTS"
        | "MORE_RECENT_RESTATEMENT_FOUND" => return None,
        "TOO_RECENT_EVENT" | "TOO_RECENT_CALL" | "TOO_RECENT_CONVERSION_ACTION" => {
            Error::RateLimited {
                retry_after: Some(YOUNG),
                detail,
            }
        }
        // Google learns of clicks late.
        name if UNKNOWN.contains(&name) => Error::RateLimited {
            retry_after: Some(YOUNG),
            detail,
        },
        "INTERNAL_ERROR" | "TRANSIENT_ERROR" => Error::Unavailable {
            detail,
            maybe_received: false,
            source: None,
        },
        "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS"
        | "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS"
        | "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
        | "UNAUTHORIZED_CUSTOMER" => Error::Permission { detail },
        name if name.starts_with("CUSTOMER_DATA_POLICY_PROHIBITS_") => Error::Permission { detail },
        _ => Error::Rejected { detail },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str, index: Option<u64>) -> Value {
        json!({"errorCode": {"conversionUploadError": name}, "message": "It went wrong.", "location":
            {"fieldPathElements": [{"fieldName": "conversions", "index": index}]}})
    }

    #[test]
    fn each_event_has_its_own_answer_and_the_first_may_go_unnumbered() {
        let body = json!({"jobId": "12345", "results": [{}, {"gclid": "x"}, {}, {}],
            "partialFailureError": {"code": 3, "details": [{"errors": [
                failed("EXPIRED_EVENT", None),
                failed("CLICK_CONVERSION_ALREADY_EXISTS", Some(2)),
                failed("TOO_RECENT_EVENT", Some(3))]}]}});

        let answers = answers(&body, &[true; 4], &[]);

        assert!(matches!(&answers[0], Err(Error::Rejected { detail })
            if detail.code.as_deref() == Some("EXPIRED_EVENT")));
        let taken = answers[1].as_ref().expect("taken");
        assert_eq!(taken.request_id.as_deref(), Some("12345"));
        assert!(answers[2].is_ok());
        assert!(
            matches!(&answers[3], Err(Error::RateLimited { retry_after, .. })
            if *retry_after == Some(YOUNG))
        );
    }

    #[test]
    fn terms_that_nobody_accepted_are_a_matter_of_rights() {
        let body = json!({"partialFailureError": {"details": [{"errors": [
            failed("CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS", Some(0))]}]}});

        assert!(matches!(
            &answers(&body, &[true], &[])[0],
            Err(Error::Permission { .. })
        ));
    }

    // Fails when an event is uploaded again and again for a click that Google will never know.
    #[test]
    fn a_click_that_is_unknown_after_a_day_stays_so() {
        let body = json!({"partialFailureError": {"details": [{"errors": [
            failed("CLICK_NOT_FOUND", Some(0)), failed("CLICK_NOT_FOUND", Some(1))]}]}});
        let at = |hours: i64| {
            let time = Utc::now() - TimeDelta::hours(hours);
            json!({"conversionDateTime": time.format("%Y-%m-%d %H:%M:%S+00:00").to_string()})
        };
        let are_young = [1, 25].map(|hours| is_young(&at(hours), Utc::now()));

        let answers = answers(&body, &are_young, &[]);

        assert!(matches!(&answers[0], Err(Error::RateLimited { .. })));
        assert!(matches!(&answers[1], Err(Error::Rejected { .. })));
    }
}
