//! The older uploads of conversions, which a person's account may still use: status 200, and what is wrong of each by itself.

use serde_json::{Value, json};

use super::{Context, access, error::AdsError, quota};
use crate::{door::Incoming, ledger::Conversion, world::Platform};

/// Most conversions of an upload.
const MOST: usize = 2_000;

/// `POST /v26/customers/{id}:uploadClickConversions`.
///
/// # Errors
/// [`AdsError`] for what is wrong with all of it.
pub(super) fn upload(
    ctx: &Context<'_>,
    incoming: &Incoming,
    customer: &str,
    version: &str,
) -> Result<String, AdsError> {
    let holder = access::holder(ctx, incoming)?;
    let login = incoming.header("login-customer-id");
    access::customer(ctx, &holder, customer, login)?;
    quota::count_request(ctx, Some(customer))?;
    let body: Value =
        serde_json::from_slice(&incoming.body).map_err(|why| AdsError::bad_payload(&why))?;
    if body["partialFailure"] != true {
        return Err(AdsError::request(
            "PARTIAL_FAILURE_REQUIRED",
            "Partial failure has to be enabled.",
        ));
    }
    let conversions = body["conversions"].as_array().map(Vec::as_slice);
    let conversions = conversions.unwrap_or_default();
    if conversions.is_empty() || conversions.len() > MOST {
        return Err(AdsError::request(
            "TOO_MANY_CONVERSIONS_IN_REQUEST",
            "An upload has 1 to 2000 conversions.",
        ));
    }
    let is_test = body["validateOnly"] == true;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (index, conversion) in conversions.iter().enumerate() {
        match refusal(ctx, incoming, conversion, is_test) {
            None => results.push(json!({
                "gclid": conversion["gclid"],
                "conversionAction": conversion["conversionAction"],
                "conversionDateTime": conversion["conversionDateTime"],
            })),
            Some(name) => {
                results.push(json!({}));
                errors.push(json!({
                    "errorCode": { "conversionUploadError": name },
                    "message": "The conversion was not taken.",
                    "location": { "fieldPathElements": [element(index)] },
                }));
            }
        }
    }
    let mut answer = json!({ "results": results, "jobId": incoming.number.to_string() });
    if !errors.is_empty() {
        answer["partialFailureError"] = json!({
            "code": 3,
            "message": "Multiple errors in ‘details’.",
            "details": [{
                "@type": format!(
                    "type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure"
                ),
                "errors": errors,
            }],
        });
    }
    Ok(answer.to_string())
}

/// An index of 0 is a default, which JSON leaves out.
fn element(index: usize) -> Value {
    match index {
        0 => json!({ "fieldName": "conversions" }),
        _ => json!({ "fieldName": "conversions", "index": index }),
    }
}

fn refusal(
    ctx: &Context<'_>,
    incoming: &Incoming,
    conversion: &Value,
    is_test: bool,
) -> Option<&'static str> {
    let time = conversion["conversionDateTime"]
        .as_str()
        .unwrap_or_default();
    let Ok(time) = chrono::DateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S%:z") else {
        return Some("INVALID_CONVERSION_DATE_TIME");
    };
    if ctx.now.signed_duration_since(time).num_days() >= 90 {
        return Some("EXPIRED_EVENT");
    }
    let has = |name: &str| conversion[name].is_string();
    if has("gbraid") && has("wbraid") {
        return Some("GBRAID_WBRAID_BOTH_SET");
    }
    let people = conversion["userIdentifiers"].as_array().map_or(0, Vec::len);
    if !(has("gclid") || has("gbraid") || has("wbraid") || (1..=5).contains(&people)) {
        return Some("INVALID_USER_IDENTIFIER");
    }
    if is_test {
        return None;
    }
    let action = conversion["conversionAction"].as_str().unwrap_or_default();
    let dataset = action.rsplit('/').next().unwrap_or_default();
    let is_repeat = ctx.shared.ledger.add_conversion(Conversion {
        platform: Platform::GoogleAds,
        dataset: dataset.to_owned(),
        id: conversion["orderId"].as_str().map(str::to_owned),
        count: 1,
        request: incoming.number,
        received_at: ctx.now,
        is_test: false,
        event: conversion.clone(),
    });
    is_repeat.then_some("CLICK_CONVERSION_ALREADY_EXISTS")
}
