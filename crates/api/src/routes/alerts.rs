//! Alerts of tenants: made, looked at, changed and deleted, with what they told.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use marketing::rules::{AlertChange, AlertId, AlertRule, AlertStatus, NewAlert};
use utoipa::ToSchema;

use super::strategies::{created, document, missing, rules};
use crate::{
    answers::{Alert, AlertEntry, Page},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("alerts")
        .key(Scope::Operate, __path_add_alert, add_alert)
        .key(Scope::Read, __path_list_alerts, list_alerts)
        .key(Scope::Read, __path_get_alert, get_alert)
        .key(Scope::Operate, __path_change_alert, change_alert)
        .key(Scope::Operate, __path_delete_alert, delete_alert)
        .key(Scope::Read, __path_alert_history, alert_history)
}

/// An alert to be.
#[derive(ToSchema)]
struct AlertRequest {
    /// Unique in its tenant.
    #[schema(value_type = String, example = "Clicks became dear")]
    name: Option<String>,
    /// Whose it is; the key's tenant unless said, and without one that of the account in `scope`.
    tenant: Option<String>,
    /// `active` or `paused`; `active` unless said.
    #[schema(value_type = Option<String>, example = "active")]
    status: Option<AlertStatus>,
    /// `scope` (`level`: `account`, `campaign`, `ad_set` or `ad`; `account_id`, `platform`, `entity_ids`), `metric` or `kpi`, `comparison`
    /// (`above`, `below`, `rises_pct`, `falls_pct`), `threshold`; and `clear_at`, `window_days`, `min_impressions`,
    /// `quiet_hours` (`from`, `to`, `time_zone`), `recipients`.
    #[schema(value_type = Object, example = json!({"scope": {"level": "campaign"}, "metric": "cpc", "comparison": "above", "threshold": "2.00", "clear_at": "1.80", "window_days": 3, "quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin"}}))]
    rule: Option<AlertRule>,
}

impl AlertRequest {
    fn read(body: &RequestBody, caller: &Caller) -> Result<NewAlert, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            name: object.text("name"),
            tenant: object.text("tenant"),
            status: object.word("status"),
            rule: document(&mut object, "rule"),
        };
        object.finish()?;
        Ok(NewAlert {
            tenant: caller.tenant_for(request.tenant)?,
            name: request.name.ok_or_else(|| missing("/name"))?,
            status: request.status.unwrap_or(AlertStatus::Active),
            rule: request.rule.ok_or_else(|| missing("/rule"))?,
        })
    }
}

/// Makes an alert. It is looked at every quarter of an hour.
#[utoipa::path(
    post,
    path = "/v1/alerts",
    request_body = AlertRequest,
    responses((status = 201, description = "The alert", body = Alert)),
)]
async fn add_alert(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let new = AlertRequest::read(&body, &caller)?;
    let added = rules(&state).add_alert(&new, &caller.actor()).await?;
    Ok(created(
        &format!("/v1/alerts/{}", added.id),
        Alert::from(added),
    ))
}

/// Lists alerts, in the order in which they were made.
#[utoipa::path(
    get,
    path = "/v1/alerts",
    params(
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Alert>)),
)]
async fn list_alerts(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<Alert>>, ApiError> {
    let tenant = caller.tenant_for(query.text("tenant"))?;
    let page = query.page()?;
    let listed = rules(&state).alerts(tenant.as_deref(), &page).await?;
    Ok(Json(listed.into()))
}

/// Shows an alert.
#[utoipa::path(
    get,
    path = "/v1/alerts/{id}",
    params(("id" = Uuid, Path, description = "The alert's id")),
    responses((status = 200, description = "The alert", body = Alert)),
)]
async fn get_alert(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AlertId>,
) -> Result<Json<Alert>, ApiError> {
    let found = rules(&state).alert(id, caller.tenant()).await?;
    Ok(Json(found.into()))
}

/// What changes of an alert; what is not said stays as it is.
#[derive(ToSchema)]
struct AlertChangeRequest {
    /// Unique in its tenant.
    name: Option<String>,
    /// `active` or `paused`.
    #[schema(value_type = Option<String>, example = "paused")]
    status: Option<AlertStatus>,
    /// All of it, as it was made.
    #[schema(value_type = Option<Object>)]
    rule: Option<AlertRule>,
}

impl AlertChangeRequest {
    fn read(body: &RequestBody) -> Result<AlertChange, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            name: object.text("name"),
            status: object.word("status"),
            rule: document(&mut object, "rule"),
        };
        object.finish()?;
        let Self { name, status, rule } = request;
        Ok(AlertChange { name, status, rule })
    }
}

/// Changes an alert. It is looked at anew at the next turn.
#[utoipa::path(
    patch,
    path = "/v1/alerts/{id}",
    params(("id" = Uuid, Path, description = "The alert's id")),
    request_body = AlertChangeRequest,
    responses((status = 200, description = "The alert as it now is", body = Alert)),
)]
async fn change_alert(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AlertId>,
    body: RequestBody,
) -> Result<Json<Alert>, ApiError> {
    let change = AlertChangeRequest::read(&body)?;
    let changed = rules(&state)
        .change_alert(id, &change, &caller.actor())
        .await?;
    Ok(Json(changed.into()))
}

/// Deletes an alert with its history.
#[utoipa::path(
    delete,
    path = "/v1/alerts/{id}",
    params(("id" = Uuid, Path, description = "The alert's id")),
    responses((status = 204, description = "It is gone")),
)]
async fn delete_alert(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AlertId>,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    body.nothing()?;
    rules(&state).delete_alert(id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what an alert told, the newest first: when it was raised for what, and when that was over.
#[utoipa::path(
    get,
    path = "/v1/alerts/{id}/history",
    params(
        ("id" = Uuid, Path, description = "The alert's id"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<AlertEntry>)),
)]
async fn alert_history(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AlertId>,
    query: QueryString,
) -> Result<Json<Page<AlertEntry>>, ApiError> {
    let page = query.page()?;
    let entries = rules(&state)
        .alert_history(id, caller.tenant(), &page)
        .await?;
    Ok(Json(entries.into()))
}
