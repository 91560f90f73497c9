//! What comes over the wire from the Google Ads API: whole numbers as text, others as numbers, members that are zero or
//! empty left out.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{http::LONGEST_PAUSE, platform::members};

/// What the type of a failure's details ends in; before it stands the version.
const FAILURE: &str = "GoogleAdsFailure";

/// What `customers:listAccessibleCustomers` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accessible {
    #[serde(default)]
    pub(super) resource_names: Vec<String>,
}

/// A page of what `googleAds:search` found; without results it is an empty object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    #[serde(default)]
    pub(super) results: Vec<Value>,
    /// Where the next page begins; empty or missing on the last.
    #[serde(default)]
    pub(super) next_page_token: String,
    pub(super) error: Option<Value>,
}

/// One of the batches that `googleAds:searchStream` answers in an array.
#[derive(Deserialize)]
pub(super) struct Batch {
    #[serde(default)]
    pub(super) results: Vec<Row>,
    /// May follow after batches of good results.
    pub(super) error: Option<Value>,
}

/// A row of figures.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) customer: Named,
    pub(super) campaign: Named,
    pub(super) ad_group: Named,
    pub(super) ad_group_ad: AdGroupAd,
    pub(super) asset_group: Named,
    pub(super) segments: Map<String, Value>,
    pub(super) metrics: Metrics,
}

/// An entity of which only the id was asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) id: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AdGroupAd {
    pub(super) ad: Named,
}

/// The figures of a row, `null` where they were left out: that is zero.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metrics {
    pub(super) impressions: Value,
    pub(super) clicks: Value,
    pub(super) cost_micros: Value,
    pub(super) conversions: Value,
    pub(super) conversions_value: Value,
    pub(super) all_conversions: Value,
    pub(super) all_conversions_value: Value,
}

/// An error of the API or of the front end before it.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// The name of the gRPC status, such as `UNAUTHENTICATED`.
    pub(super) status: String,
    pub(super) message: String,
    pub(super) faults: Vec<Fault>,
    /// What the front end gives as the reason, where the API itself did not speak.
    pub(super) reason: Option<String>,
    /// For how long the front end asks us to wait.
    pub(super) retry_delay: Option<Duration>,
    pub(super) request_id: Option<String>,
}

/// One of the errors that the API found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Such as `quotaError`.
    pub(super) category: String,
    /// Such as `RESOURCE_EXHAUSTED`.
    pub(super) name: String,
    pub(super) message: String,
    pub(super) retry_delay: Option<Duration>,
    /// Which item of the request it is about: `operations[3].name`.
    pub(super) place: String,
}

/// Either form of an answer with an error, of which nothing but the error is read.
#[derive(Deserialize)]
struct Holder {
    error: Option<Value>,
}

impl Problem {
    /// The error in an answer: in an object, or in an array, there maybe behind good batches. `None` where there is none.
    pub(super) fn find(body: &[u8]) -> Option<Self> {
        // Arrays first: serde would take one of a single member for the object itself.
        let holders = serde_json::from_slice::<Vec<Holder>>(body)
            .or_else(|_| serde_json::from_slice::<Holder>(body).map(|holder| vec![holder]));
        let mut errors = holders.ok()?.into_iter().filter_map(|holder| holder.error);
        errors.next().map(|error| Self::read(&error))
    }

    /// An error's envelope, which also stands where a part of a request failed.
    pub(super) fn read(error: &Value) -> Self {
        let mut problem = Self {
            status: text(error, "status"),
            message: text(error, "message"),
            ..Self::default()
        };
        let details = error.get("details").and_then(Value::as_array);
        for detail in details.into_iter().flatten() {
            let kind = text(detail, "@type");
            if kind.ends_with(FAILURE) {
                problem.read_failure(detail);
            } else if kind.ends_with("google.rpc.ErrorInfo") {
                problem.reason = members::text(detail, "reason").map(str::to_owned);
            } else if kind.ends_with("google.rpc.RetryInfo") {
                problem.retry_delay = detail.get("retryDelay").and_then(duration);
            }
        }
        problem
    }

    fn read_failure(&mut self, failure: &Value) {
        let errors = failure.get("errors").and_then(Value::as_array);
        self.faults
            .extend(errors.into_iter().flatten().map(Fault::read));
        self.request_id = members::text(failure, "requestId").map(str::to_owned);
    }
}

impl Fault {
    fn read(error: &Value) -> Self {
        let code = error.get("errorCode").and_then(Value::as_object);
        let (category, name) = code
            .and_then(|code| code.iter().next())
            .map(|(category, name)| (category.clone(), name.as_str().unwrap_or_default()))
            .unwrap_or_default();
        let delay = error.pointer("/details/quotaErrorDetails/retryDelay");
        Self {
            category,
            name: name.to_owned(),
            message: text(error, "message"),
            retry_delay: delay.and_then(duration),
            place: place(error),
        }
    }

    /// `quotaError.RESOURCE_EXHAUSTED`.
    pub(super) fn code(&self) -> String {
        format!("{}.{}", self.category, self.name)
    }
}

fn place(error: &Value) -> String {
    let elements = error
        .pointer("/location/fieldPathElements")
        .and_then(Value::as_array);
    let steps = elements.into_iter().flatten().map(|element| {
        let name = text(element, "fieldName");
        match element.get("index").and_then(members::integer) {
            Some(index) => format!("{name}[{index}]"),
            None => name,
        }
    });
    steps.collect::<Vec<_>>().join(".")
}

/// A time such as `5s` or `1.500s`; none for what asks for no wait.
fn duration(value: &Value) -> Option<Duration> {
    let seconds: f64 = value.as_str()?.strip_suffix('s')?.parse().ok()?;
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero()).then(|| duration.min(LONGEST_PAUSE))
}

fn text(object: &Value, name: &str) -> String {
    members::text(object, name).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_text_in_seconds() {
        let cases = [
            ("5s", Some(Duration::from_secs(5))),
            ("1.500s", Some(Duration::from_millis(1_500))),
            ("0s", None),
            ("-1s", None),
            ("soon", None),
            ("NaNs", None),
            ("1e300s", None),
            ("9999999s", Some(LONGEST_PAUSE)),
        ];

        for (text, expected) in cases {
            assert_eq!(duration(&json!(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_failure_is_known_by_the_end_of_its_type_in_every_version() {
        for version in ["v22", "v26", "v31"] {
            let kind =
                format!("type.googleapis.com/google.ads.googleads.{version}.errors.{FAILURE}");
            let body = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{
                "@type": kind,
                "errors": [{"errorCode": {"rangeError": "TOO_LOW"}, "message": "Too low.",
                    "location": {"fieldPathElements": [{"fieldName": "operations", "index": 3},
                        {"fieldName": "create"}]}}],
                "requestId": "fakeReqId7"}]}});

            let problem = Problem::find(body.to_string().as_bytes()).expect("a problem");

            assert_eq!(problem.faults.len(), 1, "{version}");
            assert_eq!(problem.faults[0].code(), "rangeError.TOO_LOW");
            assert_eq!(problem.faults[0].place, "operations[3].create");
            assert_eq!(problem.request_id.as_deref(), Some("fakeReqId7"));
        }
    }

    #[test]
    fn an_error_is_found_in_an_array_and_behind_good_batches() {
        let error = json!({"error": {"code": 500, "message": "Internal", "status": "INTERNAL"}});
        let good = json!({"results": [{"campaign": {"id": "900"}}], "requestId": "fakeReqId1"});

        for body in [json!([error]), json!([good, error]), error.clone()] {
            let problem = Problem::find(body.to_string().as_bytes()).expect("a problem");

            assert_eq!(problem.status, "INTERNAL");
        }
        assert!(Problem::find(json!([good]).to_string().as_bytes()).is_none());
        assert!(Problem::find(b"<html>").is_none());
    }
}
