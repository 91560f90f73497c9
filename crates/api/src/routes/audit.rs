//! Who did what, when, why, to how many.

use axum::{Json, extract::State};

use crate::{
    answers::{AuditEntry, Page},
    auth::{Caller, Scope},
    error::ApiError,
    openapi::Operations,
    query::QueryString,
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("audit")
        .key(Scope::Read, __path_list_audit, list_audit)
}

/// Lists what people did, the newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    params(
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<AuditEntry>)),
)]
async fn list_audit(
    State(state): State<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<AuditEntry>>, ApiError> {
    let page = query.page()?;
    let entries = state
        .queue()
        .audit(&page, caller.tenant())
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(entries.into()))
}
