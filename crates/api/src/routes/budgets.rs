//! Budgets: providers' quotas, and how far they are used.

use axum::{Json, extract::State};

use crate::{
    answers::{BudgetStatus, Page},
    auth::Scope,
    error::ApiError,
    openapi::Operations,
    query::QueryString,
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("budgets")
        .fleet_key(Scope::Read, __path_list_budgets, list_budgets)
}

/// Lists the budgets: limits, what is used and left, what the provider says, pauses.
#[utoipa::path(
    get,
    path = "/v1/budgets",
    responses((status = 200, description = "All budgets, by name, with up to 1,000 accounts that were called lately", body = Page<BudgetStatus>)),
)]
async fn list_budgets(
    State(state): State<ApiState>,
    query: QueryString,
) -> Result<Json<Page<BudgetStatus>>, ApiError> {
    query.finish()?;
    Ok(Json(state.queue().budgets().await?.into()))
}
