//! What rules recommend, for people to accept or dismiss, and what was changed of campaigns.

use axum::{Json, extract::State};
use marketing::{
    accounts::AccountId,
    campaigns::Campaigns,
    rules::{RecommendationFilter, RecommendationState, StrategyId},
};
use uuid::Uuid;

use super::strategies::rules;
use crate::{
    answers::{CampaignChange, Page, Recommendation},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("strategies")
        .key(
            Scope::Read,
            __path_list_recommendations,
            list_recommendations,
        )
        .key(
            Scope::Operate,
            __path_accept_recommendation,
            accept_recommendation,
        )
        .key(
            Scope::Operate,
            __path_dismiss_recommendation,
            dismiss_recommendation,
        )
        .key(
            Scope::Read,
            __path_list_campaign_changes,
            list_campaign_changes,
        )
}

/// Lists what rules found, the newest first.
#[utoipa::path(
    get,
    path = "/v1/recommendations",
    params(
        ("strategy" = Option<Uuid>, Query, description = "Only those of this rule"),
        ("state" = Option<String>, Query, description = "`open`, `acting`, `acted`, `notified`, `dismissed` or `expired`"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Recommendation>)),
)]
async fn list_recommendations(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<Recommendation>>, ApiError> {
    let filter = RecommendationFilter {
        tenant: caller.tenant_for(query.text("tenant"))?,
        strategy: query.word::<StrategyId>("strategy"),
        state: query.word::<RecommendationState>("state"),
    };
    let page = query.page()?;
    let listed = rules(&state).recommendations(&filter, &page).await?;
    Ok(Json(listed.into()))
}

/// Accepts an open recommendation: a job makes the change, where the entity still is as it was found.
#[utoipa::path(
    post,
    path = "/v1/recommendations/{id}/accept",
    params(("id" = Uuid, Path, description = "The recommendation's id")),
    responses(
        (status = 200, description = "The recommendation, with its job", body = Recommendation),
        (status = 409, description = "It is not open any more"),
    ),
)]
async fn accept_recommendation(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<Recommendation>, ApiError> {
    body.nothing()?;
    let actor = caller.actor();
    let rules = rules(&state);
    let accepted = Box::pin(rules.accept(id, &actor)).await?;
    Ok(Json(accepted.into()))
}

/// Dismisses an open recommendation: the same is not found again for a week.
#[utoipa::path(
    post,
    path = "/v1/recommendations/{id}/dismiss",
    params(("id" = Uuid, Path, description = "The recommendation's id")),
    responses(
        (status = 200, description = "The recommendation", body = Recommendation),
        (status = 409, description = "It is not open any more"),
    ),
)]
async fn dismiss_recommendation(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<Recommendation>, ApiError> {
    body.nothing()?;
    let dismissed = rules(&state).dismiss(id, &caller.actor()).await?;
    Ok(Json(dismissed.into()))
}

/// Lists what jobs changed of an account's campaigns, ad sets and ads, the newest first, each with what was before.
#[utoipa::path(
    get,
    path = "/v1/accounts/{id}/campaign-changes",
    params(
        ("id" = Uuid, Path, description = "The account's id"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<CampaignChange>)),
)]
async fn list_campaign_changes(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    query: QueryString,
) -> Result<Json<Page<CampaignChange>>, ApiError> {
    let page = query.page()?;
    let account = state.accounts().get(id, caller.tenant()).await?;
    let campaigns = Campaigns::new(state.queue().clone());
    let listed = campaigns.list(account.id, &page).await?;
    Ok(Json(listed.into()))
}
