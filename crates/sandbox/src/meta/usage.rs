//! The headers in which Meta tells how much of an allowance is used, in per cent: calm ones on
//! every answer, full ones on a throttled one.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode},
    response::Response,
};
use serde_json::{Value, json};

use super::error::failure;

/// The ad account that the headers of a throttled answer are about.
const ACCOUNT_ID: &str = "1000000000001";

/// Adds the app's usage to an ordinary answer.
pub(super) fn tell_calm(headers: &mut HeaderMap) {
    let usage = json!({ "call_count": 1, "total_time": 1, "total_cputime": 1 });
    insert(headers, "x-app-usage", &usage);
}

/// An answer that asks to come back in `wait_s` seconds, in the way that belongs to `code`.
pub(crate) fn throttled(status: StatusCode, code: i64, wait_s: u32) -> Response {
    let (subcode, message) = match code {
        4 => (None, "(#4) Application request limit reached"),
        17 => (Some(2_446_079), "(#17) User request limit reached"),
        32 => (None, "(#32) Page request limit reached"),
        613 => (
            Some(1_487_742),
            "(#613) Calls to this api have exceeded the rate limit.",
        ),
        _ => (
            None,
            "There have been too many calls to this ad-account. Wait a bit and try again.",
        ),
    };
    let mut answer = failure(status, (code, subcode), message.to_owned(), true);
    let headers = answer.headers_mut();
    match code {
        4 => {
            let usage = json!({ "call_count": 100, "total_time": 25, "total_cputime": 25 });
            insert(headers, "x-app-usage", &usage);
        }
        17 | 613 => {
            let usage = json!({
                "acc_id_util_pct": 100.0,
                "reset_time_duration": wait_s,
                "ads_api_access_tier": "development_access",
            });
            insert(headers, "x-ad-account-usage", &usage);
        }
        80_000.. => {
            let usage = json!({
                ACCOUNT_ID: [{
                    "type": "ads_management",
                    "call_count": 100,
                    "total_cputime": 25,
                    "total_time": 25,
                    // Minutes here, unlike the seconds of an ad account.
                    "estimated_time_to_regain_access": wait_s.div_ceil(60),
                    "ads_api_access_tier": "development_access",
                }],
            });
            insert(headers, "x-business-use-case-usage", &usage);
        }
        _ => {}
    }
    answer
}

fn insert(headers: &mut HeaderMap, name: &'static str, usage: &Value) {
    if let Ok(value) = HeaderValue::from_str(&usage.to_string()) {
        headers.insert(name, value);
    }
}
