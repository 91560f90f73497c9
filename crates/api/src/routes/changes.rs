//! What was changed at platforms beside us.

use axum::{Json, extract::State};
use marketing::accounts::AccountId;

use crate::{
    answers::{EntityChange, Page},
    auth::{Caller, Scope},
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("entities")
        .key(Scope::Read, __path_list_changes, list_changes)
}

/// Lists what somebody changed of an account's entities at its platform, the newest first.
///
/// Sync finds it; the first sight of an entity is no change.
#[utoipa::path(
    get,
    path = "/v1/accounts/{id}/changes",
    params(
        ("id" = Uuid, Path, description = "The account's id"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<EntityChange>)),
)]
async fn list_changes(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    query: QueryString,
) -> Result<Json<Page<EntityChange>>, ApiError> {
    let page = query.page()?;
    let account = state.accounts().get(id, caller.tenant()).await?;
    let changes = state.syncs().changes(account.id, &page).await?;
    Ok(Json(changes.into()))
}
