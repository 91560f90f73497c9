//! Rules of tenants: made, looked at, changed and deleted, with what they found.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use marketing::rules::{
    Mode, NewStrategy, RecommendationFilter, Rules, StrategyChange, StrategyId, StrategyRule,
    StrategyStatus,
};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::{
    answers::{Page, Recommendation, Strategy},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    json::Object,
    openapi::Operations,
    problem::FieldProblem,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("strategies")
        .key(Scope::Operate, __path_add_strategy, add_strategy)
        .key(Scope::Read, __path_list_strategies, list_strategies)
        .key(Scope::Read, __path_get_strategy, get_strategy)
        .key(Scope::Operate, __path_change_strategy, change_strategy)
        .key(Scope::Operate, __path_delete_strategy, delete_strategy)
        .key(Scope::Read, __path_strategy_history, strategy_history)
}

/// Rules and alerts, in the queue's database.
pub(super) fn rules(state: &ApiState) -> Rules {
    Rules::new(state.queue().clone())
}

/// Takes a document whose members say what they are.
pub(super) fn document<T: DeserializeOwned>(
    object: &mut Object<'_>,
    name: &'static str,
) -> Option<T> {
    let value = object.value(name)?;
    match serde_json::from_value(value) {
        Ok(document) => Some(document),
        Err(error) => {
            object.problem(name, error.to_string());
            None
        }
    }
}

/// That a member is missing.
pub(super) fn missing(pointer: &'static str) -> ApiError {
    ApiError::Invalid(vec![FieldProblem::new(pointer, "is required")])
}

/// A rule to be.
#[derive(ToSchema)]
struct StrategyRequest {
    /// Unique in its tenant.
    #[schema(value_type = String, example = "Stop what costs too much")]
    name: Option<String>,
    /// Whose it is; the key's tenant unless said, and without one that of the account in `scope`.
    tenant: Option<String>,
    /// `active`, `paused` or `completed`; `active` unless said.
    #[schema(value_type = Option<String>, example = "active")]
    status: Option<StrategyStatus>,
    /// `recommend`: what it finds is listed; `act`: it is done, up to the daily cap. `recommend` unless said.
    #[schema(value_type = Option<String>, example = "recommend")]
    mode: Option<Mode>,
    /// `scope` (`level`: `campaign`, `ad_set` or `ad`; `account_id`, `platform`, `entity_ids`), `action` (`pause`, `raise_budget`,
    /// `notify`), `look_back_days`, at least one of `min_ctr_pct`, `max_cpc`, `target_cpm` and `budget_threshold_pct`; and
    /// `min_impressions`, `min_clicks`, `raise_pct`, `max_daily_budget`, `daily_cap`.
    #[schema(value_type = Object, example = json!({"scope": {"level": "campaign"}, "action": "pause", "look_back_days": 7, "min_impressions": 1000, "max_cpc": "2.50"}))]
    rule: Option<StrategyRule>,
}

impl StrategyRequest {
    fn read(body: &RequestBody, caller: &Caller) -> Result<NewStrategy, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            name: object.text("name"),
            tenant: object.text("tenant"),
            status: object.word("status"),
            mode: object.word("mode"),
            rule: document(&mut object, "rule"),
        };
        object.finish()?;
        Ok(NewStrategy {
            tenant: caller.tenant_for(request.tenant)?,
            name: request.name.ok_or_else(|| missing("/name"))?,
            status: request.status.unwrap_or(StrategyStatus::Active),
            mode: request.mode.unwrap_or(Mode::Recommend),
            rule: request.rule.ok_or_else(|| missing("/rule"))?,
        })
    }
}

/// Makes a rule. It is evaluated every hour.
#[utoipa::path(
    post,
    path = "/v1/strategies",
    request_body = StrategyRequest,
    responses((status = 201, description = "The rule", body = Strategy)),
)]
async fn add_strategy(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Response, ApiError> {
    let new = StrategyRequest::read(&body, &caller)?;
    let added = rules(&state).add_strategy(&new, &caller.actor()).await?;
    Ok(created(
        &format!("/v1/strategies/{}", added.id),
        Strategy::from(added),
    ))
}

/// An answer to what was made, with where it is.
pub(super) fn created(location: &str, made: impl serde::Serialize) -> Response {
    let mut answer = (StatusCode::CREATED, Json(made)).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

/// Lists rules, in the order in which they were made.
#[utoipa::path(
    get,
    path = "/v1/strategies",
    params(
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Strategy>)),
)]
async fn list_strategies(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<Strategy>>, ApiError> {
    let tenant = caller.tenant_for(query.text("tenant"))?;
    let page = query.page()?;
    let listed = rules(&state).strategies(tenant.as_deref(), &page).await?;
    Ok(Json(listed.into()))
}

/// Shows a rule.
#[utoipa::path(
    get,
    path = "/v1/strategies/{id}",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses((status = 200, description = "The rule", body = Strategy)),
)]
async fn get_strategy(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<StrategyId>,
) -> Result<Json<Strategy>, ApiError> {
    let found = rules(&state).strategy(id, caller.tenant()).await?;
    Ok(Json(found.into()))
}

/// What changes of a rule; what is not said stays as it is.
#[derive(ToSchema)]
struct StrategyChangeRequest {
    /// Unique in its tenant.
    name: Option<String>,
    /// `active`, `paused` or `completed`.
    #[schema(value_type = Option<String>, example = "paused")]
    status: Option<StrategyStatus>,
    /// `recommend` or `act`.
    #[schema(value_type = Option<String>, example = "act")]
    mode: Option<Mode>,
    /// All of it, as it was made.
    #[schema(value_type = Option<Object>)]
    rule: Option<StrategyRule>,
}

impl StrategyChangeRequest {
    fn read(body: &RequestBody) -> Result<StrategyChange, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            name: object.text("name"),
            status: object.word("status"),
            mode: object.word("mode"),
            rule: document(&mut object, "rule"),
        };
        object.finish()?;
        let Self {
            name,
            status,
            mode,
            rule,
        } = request;
        Ok(StrategyChange {
            name,
            status,
            mode,
            rule,
        })
    }
}

/// Changes a rule. It is evaluated anew at the next turn.
#[utoipa::path(
    patch,
    path = "/v1/strategies/{id}",
    params(("id" = Uuid, Path, description = "The rule's id")),
    request_body = StrategyChangeRequest,
    responses((status = 200, description = "The rule as it now is", body = Strategy)),
)]
async fn change_strategy(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<StrategyId>,
    body: RequestBody,
) -> Result<Json<Strategy>, ApiError> {
    let change = StrategyChangeRequest::read(&body)?;
    let changed = rules(&state)
        .change_strategy(id, &change, &caller.actor())
        .await?;
    Ok(Json(changed.into()))
}

/// Deletes a rule with all that it found. What it changed stays changed, and in the account's history.
#[utoipa::path(
    delete,
    path = "/v1/strategies/{id}",
    params(("id" = Uuid, Path, description = "The rule's id")),
    responses((status = 204, description = "It is gone")),
)]
async fn delete_strategy(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<StrategyId>,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    body.nothing()?;
    rules(&state).delete_strategy(id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists what a rule found and what became of it, the newest first, with the reasons.
#[utoipa::path(
    get,
    path = "/v1/strategies/{id}/history",
    params(
        ("id" = Uuid, Path, description = "The rule's id"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Recommendation>)),
)]
async fn strategy_history(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<StrategyId>,
    query: QueryString,
) -> Result<Json<Page<Recommendation>>, ApiError> {
    let page = query.page()?;
    let rules = rules(&state);
    let strategy = rules.strategy(id, caller.tenant()).await?;
    let filter = RecommendationFilter {
        strategy: Some(strategy.id),
        ..RecommendationFilter::default()
    };
    let found = rules.recommendations(&filter, &page).await?;
    Ok(Json(found.into()))
}
