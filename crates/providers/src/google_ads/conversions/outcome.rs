//! What became of a request to Data Manager: counts by reason, never by event. Where a request had one event, its fate is
//! known; where it had more and not all went well, nobody knows whose.

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::{
    error::Error,
    google_ads::{GoogleAds, PLATFORM},
    platform::{
        Caller, RequestOutcome, Usage,
        call::{Call, Reading},
        members,
    },
};

const PREFIX: &str = "PROCESSING_ERROR_REASON_";
/// After how many hours a click that Google does not know yet is known.
const YOUNG_CLICK_HOURS: u32 = 6;
/// After how many hours a click is looked for once more that was not found.
const MISSING_CLICK_HOURS: u32 = 24;
/// After how many hours a failure of Google's own is tried again.
const OWN_FAULT_HOURS: u32 = 1;

impl GoogleAds {
    /// Asks what became of a request.
    pub(super) async fn request_outcome(
        &self,
        caller: Caller<'_>,
        request_id: &str,
        events: usize,
    ) -> Result<RequestOutcome, Error> {
        let mut url = self.data_manager("requestStatus:retrieve")?;
        url.query_pairs_mut().append_pair("requestId", request_id);
        let request = self
            .http
            .request(Method::GET, url)
            .bearer_auth(caller.access.token.expose_secret());
        let call = Call {
            platform: PLATFORM,
            endpoint: "GET requestStatus:retrieve",
            weight: 1,
            door: caller.door,
        };
        call.send(&self.http, request, |answer| {
            let read = serde_json::from_slice::<Value>(&answer.body).ok();
            let known = read
                .filter(|_| answer.status.is_success())
                .and_then(|body| outcome(&body, events));
            Reading {
                result: known.ok_or_else(|| self.data_manager_failure(answer, caller).0),
                request_id: Some(request_id.to_owned()),
                usage: Usage::default(),
            }
        })
        .await
    }
}

/// `None` for what is no answer to the question.
fn outcome(body: &Value, events: usize) -> Option<RequestOutcome> {
    let statuses = body.get("requestStatusPerDestination")?.as_array()?;
    let status = statuses.first()?;
    let word = members::text(status, "requestStatus")?;
    match word {
        "SUCCESS" => return Some(RequestOutcome::Done),
        "FAILED" | "PARTIAL_SUCCESS" => {}
        // PROCESSING, and whatever comes to stand beside it.
        _ => return Some(RequestOutcome::Pending),
    }
    let counts = status
        .pointer("/errorInfo/errorCounts")
        .and_then(Value::as_array);
    let reasons: Vec<&str> = counts
        .into_iter()
        .flatten()
        .filter_map(|count| members::text(count, "reason"))
        .map(|reason| reason.strip_prefix(PREFIX).unwrap_or(reason))
        .filter(|reason| !is_done(reason))
        .collect();
    Some(match (reasons.first(), events) {
        // Counted before: that is what was wanted.
        (None, _) if counts.is_some_and(|counts| !counts.is_empty()) => RequestOutcome::Done,
        (Some(reason), 1) => of_one(reason),
        (None, 1) => RequestOutcome::Refused {
            reason: "google gives no reason".to_owned(),
            expired: false,
        },
        _ => RequestOutcome::Unclear,
    })
}

fn is_done(reason: &str) -> bool {
    matches!(reason, "DUPLICATE_TRANSACTION_ID" | "DUPLICATE_GCLID")
}

fn of_one(reason: &str) -> RequestOutcome {
    let again = |hours, once| RequestOutcome::Again {
        hours,
        reason: reason.to_owned(),
        once,
    };
    match reason {
        "TOO_RECENT_CLICK" => again(YOUNG_CLICK_HOURS, false),
        "CLICK_NOT_FOUND" | "ORIGINAL_CONVERSIONS_NOT_FOUND" => again(MISSING_CLICK_HOURS, true),
        "INTERNAL_ERROR" => again(OWN_FAULT_HOURS, false),
        _ => RequestOutcome::Refused {
            reason: reason.to_owned(),
            expired: reason == "EVENT_TOO_OLD",
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: &str, reasons: &[&str], events: usize) -> Option<RequestOutcome> {
        let counts: Vec<Value> = reasons
            .iter()
            .map(|reason| json!({"recordCount": "1", "reason": format!("{PREFIX}{reason}")}))
            .collect();
        let body = json!({"requestStatusPerDestination": [{
            "requestStatus": status, "errorInfo": {"errorCounts": counts}}]});
        outcome(&body, events)
    }

    #[test]
    fn a_request_is_done_when_all_of_it_is_counted_or_was_before() {
        assert_eq!(told("SUCCESS", &[], 5), Some(RequestOutcome::Done));
        assert_eq!(told("PROCESSING", &[], 5), Some(RequestOutcome::Pending));
        let twice = ["DUPLICATE_TRANSACTION_ID", "DUPLICATE_GCLID"];
        assert_eq!(
            told("PARTIAL_SUCCESS", &twice, 5),
            Some(RequestOutcome::Done)
        );
        assert_eq!(outcome(&json!({}), 1), None);
    }

    #[test]
    fn of_several_events_nobody_knows_which_one_failed() {
        let told = told("PARTIAL_SUCCESS", &["EVENT_TOO_OLD"], 2);

        assert_eq!(told, Some(RequestOutcome::Unclear));
    }

    #[test]
    fn every_reason_of_a_single_event_has_its_end() {
        let hours = |reason: &str| match told("FAILED", &[reason], 1) {
            Some(RequestOutcome::Again { hours, once, .. }) => Some((hours, once)),
            _ => None,
        };
        let refused = |reason: &str| match told("FAILED", &[reason], 1) {
            Some(RequestOutcome::Refused { expired, .. }) => Some(expired),
            _ => None,
        };

        assert_eq!(hours("TOO_RECENT_CLICK"), Some((6, false)));
        assert_eq!(hours("CLICK_NOT_FOUND"), Some((24, true)));
        assert_eq!(hours("INTERNAL_ERROR"), Some((1, false)));
        assert_eq!(refused("EVENT_TOO_OLD"), Some(true));
        assert_eq!(refused("DENIED_CONSENT"), Some(false));
    }
}
