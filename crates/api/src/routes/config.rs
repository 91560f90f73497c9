//! The configuration of the fleet: what is in force, its history, a text put in force, values overridden for a time. It
//! is nobody's but the operators': keys that are bound to a tenant have no part in it.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use queue::{ConfigRequest, ConfigText, NewOverride, OverrideEnd, RevisionSource};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    answers::{ConfigApplied, ConfigRevision, ConfigStatus, OverrideStatus, Page},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    json::Object,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("config")
        .fleet_key(Scope::Read, __path_show_config, show_config)
        .fleet_key(
            Scope::Read,
            __path_list_config_revisions,
            list_config_revisions,
        )
        .fleet_key(Scope::Admin, __path_apply_config, apply_config)
        .fleet_key(Scope::Admin, __path_set_override, set_override)
        .fleet_key(Scope::Admin, __path_unset_override, unset_override)
}

/// Shows what is in force: revision, every value with its origin, overrides, what was rejected, processes by revision.
#[utoipa::path(
    get,
    path = "/v1/config",
    responses((status = 200, description = "As the process that answers sees it", body = ConfigStatus)),
)]
async fn show_config(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<ConfigStatus>, ApiError> {
    query.finish()?;
    Ok(Json(state.queue().config_status().await?.into()))
}

/// Lists past revisions, the newest first: who, when, why, and which keys they changed.
#[utoipa::path(
    get,
    path = "/v1/config/revisions",
    params(
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ConfigRevision>)),
)]
async fn list_config_revisions(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<Page<ConfigRevision>>, ApiError> {
    let page = query.page()?;
    let revisions = state
        .queue()
        .config_revisions(&page)
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(revisions.into()))
}

/// A text to be put in force: one of both.
#[derive(ToSchema)]
struct ApplyRequest {
    /// A whole jobs.toml.
    #[schema(example = "version = 1\n\n[queues.sync]\nconcurrency = 4\n")]
    text: Option<String>,
    /// An earlier revision, whose text becomes a new one.
    #[schema(example = 7)]
    revision: Option<i64>,
    /// Why; at most 500 characters.
    reason: Option<String>,
}

impl ApplyRequest {
    fn read(body: &RequestBody) -> Result<ConfigRequest, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            text: object.text("text"),
            revision: object.integer("revision", 1..=i64::MAX),
            reason: object.text("reason"),
        };
        if request.text.is_some() == request.revision.is_some() {
            object.problem("text", "must be given, or revision: one of both");
        }
        object.finish()?;
        let text = match (request.text, request.revision) {
            (Some(text), _) => ConfigText::New(text),
            (None, revision) => ConfigText::Of(revision.unwrap_or_default()),
        };
        Ok(ConfigRequest {
            text,
            source: RevisionSource::Api,
            reason: request.reason,
        })
    }
}

/// Puts a text in force for the whole fleet, within seconds and without a restart, or one of an earlier revision. Files
/// stay as they are, and take effect again when they are changed. A process that could not run with it stays on what it
/// has, and says so.
#[utoipa::path(
    post,
    path = "/v1/config/apply",
    request_body = ApplyRequest,
    responses((status = 200, description = "The revision that holds now", body = ConfigApplied)),
)]
async fn apply_config(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<ConfigApplied>, ApiError> {
    let request = ApplyRequest::read(&body)?;
    let applied = state.queue().apply_config(request, &caller.actor()).await?;
    Ok(Json(applied.into()))
}

/// A value to be overridden, and for how long: `for` or `until`.
#[derive(ToSchema)]
struct OverrideRequest {
    /// As TOML writes it: `kinds."email.send".timeout`.
    #[schema(example = "queues.sync.concurrency")]
    key: String,
    /// In the words of jobs.toml.
    #[schema(example = 2)]
    value: Value,
    /// For how long: a second to 30 days.
    #[schema(rename = "for", value_type = Option<String>, example = "1h")]
    time: Option<Duration>,
    /// Until when.
    until: Option<DateTime<Utc>>,
    /// Why; at most 500 characters.
    reason: Option<String>,
}

impl OverrideRequest {
    fn read(body: &RequestBody) -> Result<NewOverride, ApiError> {
        let mut object = body.object()?;
        let Self {
            key,
            value,
            time,
            until,
            reason,
        } = Self::members(&mut object);
        let ends = match (time, until) {
            (Some(time), None) => OverrideEnd::After(time),
            (None, Some(until)) => OverrideEnd::At(until),
            _ => {
                object.problem(
                    "for",
                    "must say how long, or until must say when: one of both",
                );
                OverrideEnd::After(Duration::ZERO)
            }
        };
        object.finish()?;
        Ok(NewOverride {
            key,
            value,
            ends,
            reason,
        })
    }

    fn members(object: &mut Object<'_>) -> Self {
        let value = object.value("value");
        if value.is_none() {
            object.problem("value", "is required");
        }
        Self {
            key: object.required_text("key"),
            value: value.unwrap_or_default(),
            time: object.duration("for"),
            until: object.time("until"),
            reason: object.text("reason"),
        }
    }
}

/// Sets one value for a time, over whatever the file says, in the whole fleet. It ends by itself.
#[utoipa::path(
    post,
    path = "/v1/config/overrides",
    request_body = OverrideRequest,
    responses((status = 201, description = "The override", body = OverrideStatus)),
)]
async fn set_override(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<(StatusCode, Json<OverrideStatus>), ApiError> {
    let request = OverrideRequest::read(&body)?;
    let setting = state.queue().set_override(request, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(setting.into())))
}

/// Takes an override away before its time: what the file says holds again.
#[utoipa::path(
    delete,
    path = "/v1/config/overrides/{key}",
    params(("key" = String, Path, description = "The key, as TOML writes it, percent-encoded where a path needs it")),
    responses((status = 204, description = "It is gone")),
)]
async fn unset_override(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(key): Segment<String>,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    body.nothing()?;
    state.queue().unset_override(&key, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
