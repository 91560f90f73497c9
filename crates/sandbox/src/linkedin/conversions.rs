//! `POST /rest/conversionEvents`, the Conversions API: a batch is refused whole for one bad event, and the bad ones are named
//! by their places, a line each.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    Context, access,
    call::check_version,
    error::{self, ApiError},
    quota,
};
use crate::{door::Incoming, ledger::Conversion, world::Platform};

/// What lets events in.
const SCOPES: [&str; 1] = ["rw_conversions"];
const MOST: usize = 5_000;
const OLDEST: TimeDelta = TimeDelta::days(90);
const RULE: &str = "urn:lla:llaPartnerConversion:";

/// Takes the events of a batch.
pub(super) fn create(ctx: &Context<'_>, incoming: &Incoming) -> Response {
    match take(ctx, incoming) {
        Ok(body) => error::told(StatusCode::OK, body),
        Err(error) => error.into_response(),
    }
}

fn take(ctx: &Context<'_>, incoming: &Incoming) -> Result<Value, ApiError> {
    check_version(incoming, incoming.at)?;
    if incoming.method != "POST" {
        return Err(ApiError::method_not_allowed());
    }
    let holder = access::holder(ctx, incoming)?;
    access::require(&holder, &SCOPES, "conversionEvents")?;
    quota::count_call(ctx, None, "conversionEvents")?;
    let body: Value = serde_json::from_slice(&incoming.body)
        .map_err(|_| ApiError::illegal("The body of the request is no JSON"))?;
    let is_batch = incoming.header("x-restli-method") == Some("BATCH_CREATE");
    let elements = body["elements"].as_array().filter(|_| is_batch);
    let elements = elements.ok_or_else(|| {
        ApiError::illegal("A batch has elements and the header X-RestLi-Method: BATCH_CREATE")
    })?;
    if elements.is_empty() || elements.len() > MOST {
        return Err(ApiError::too_many_rows(MOST));
    }
    let wrong: Vec<String> = elements
        .iter()
        .enumerate()
        .filter_map(|(place, event)| {
            let (path, why) = check(ctx, event).err()?;
            Some(format!("Index: {place}, ERROR :: {path} :: {why}"))
        })
        .collect();
    if !wrong.is_empty() {
        return Err(ApiError::unprocessable(wrong.join("\n")));
    }
    for event in elements {
        let rule = event["conversion"].as_str().unwrap_or_default();
        ctx.shared.ledger.add_conversion(Conversion {
            platform: Platform::LinkedIn,
            dataset: rule.trim_start_matches(RULE).to_owned(),
            id: event["eventId"].as_str().map(str::to_owned),
            count: 1,
            request: incoming.number,
            received_at: ctx.now,
            is_test: false,
            event: event.clone(),
        });
    }
    Ok(json!({ "elements": vec![json!({ "status": 201 }); elements.len()] }))
}

fn check(ctx: &Context<'_>, event: &Value) -> Result<(), (&'static str, &'static str)> {
    let rule = event["conversion"].as_str();
    if rule.is_none_or(|rule| !rule.starts_with(RULE)) {
        return Err(("/conversion", "is not a conversion rule"));
    }
    let Some(happened_ms) = event["conversionHappenedAt"].as_i64() else {
        return Err(("/conversionHappenedAt", "is required"));
    };
    let age_ms = ctx.now.timestamp_millis().saturating_sub(happened_ms);
    if age_ms > OLDEST.num_milliseconds() {
        return Err(("/conversionHappenedAt", "is more than 90 days ago"));
    }
    if !event["conversionValue"].is_null() && !event["conversionValue"]["amount"].is_string() {
        return Err(("/conversionValue/amount", "is not a string"));
    }
    let ids = event["user"]["userIds"].as_array();
    let info = &event["user"]["userInfo"];
    let is_named = info["firstName"].is_string() && info["lastName"].is_string();
    if !info.is_null() && !is_named {
        return Err(("/user/userInfo", "needs both firstName and lastName"));
    }
    if ids.is_none_or(Vec::is_empty) && !is_named {
        return Err(("/user", "needs at least one id or a name"));
    }
    for id in ids.into_iter().flatten() {
        let value = id["idValue"].as_str().unwrap_or_default();
        let is_hash = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id["idType"] == "SHA256_EMAIL" && !is_hash {
            return Err(("/user/userIds", "is no SHA-256 in hexadecimal digits"));
        }
    }
    Ok(())
}
