//! How accounts are synced: the log, how fresh what is stored is, and watching.

use std::time::Duration;

use axum::{Json, extract::State};
use marketing::accounts::AccountId;
use queue::Source;
use utoipa::ToSchema;

use crate::{
    answers::{Freshness, Page, SyncEntry, Watched},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    problem::FieldProblem,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("accounts")
        .key(Scope::Read, __path_list_syncs, list_syncs)
        .key(Scope::Read, __path_get_freshness, get_freshness)
        .key(Scope::Operate, __path_watch_account, watch_account)
}

/// Lists an account's syncs, the newest first. They are kept for 90 days.
#[utoipa::path(
    get,
    path = "/v1/accounts/{id}/syncs",
    params(
        ("id" = Uuid, Path, description = "The account's id"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<SyncEntry>)),
)]
async fn list_syncs(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    query: QueryString,
) -> Result<Json<Page<SyncEntry>>, ApiError> {
    let page = query.page()?;
    let account = state.accounts().get(id, caller.tenant()).await?;
    let syncs = state.syncs().list(account.id, &page).await?;
    Ok(Json(syncs.into()))
}

/// Tells how fresh an account's figures are: up to when whole hours and days of them are stored.
#[utoipa::path(
    get,
    path = "/v1/accounts/{id}/freshness",
    params(("id" = Uuid, Path, description = "The account's id")),
    responses((status = 200, description = "How fresh they are", body = Freshness)),
)]
async fn get_freshness(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
) -> Result<Json<Freshness>, ApiError> {
    let freshness = state.syncs().freshness(id, caller.tenant()).await?;
    Ok(Json(freshness.into()))
}

/// For how long somebody is looking.
#[derive(ToSchema)]
struct WatchRequest {
    /// From now on, in words: 1 minute to 24 hours.
    #[schema(value_type = String, example = "30m")]
    r#for: Option<Duration>,
}

impl WatchRequest {
    fn read(body: &RequestBody) -> Result<Duration, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            r#for: object.duration("for"),
        };
        object.finish()?;
        let is_missing = || ApiError::Invalid(vec![FieldProblem::new("/for", "is required")]);
        request.r#for.ok_or_else(is_missing)
    }
}

/// Watches an account: it is synced about every 30 seconds while quotas allow it, and the watch ends by itself.
///
/// Asked for again, it lasts from then on.
#[utoipa::path(
    put,
    path = "/v1/accounts/{id}/watch",
    params(("id" = Uuid, Path, description = "The account's id")),
    request_body = WatchRequest,
    responses(
        (status = 200, description = "Until when", body = Watched),
        (status = 409, description = "The account is disconnected"),
    ),
)]
async fn watch_account(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    body: RequestBody,
) -> Result<Json<Watched>, ApiError> {
    let wanted = WatchRequest::read(&body)?;
    let watched = state.syncs().watch(id, caller.tenant(), wanted).await?;
    let account = state.accounts().get(id, caller.tenant()).await?;
    let accounts = state.accounts();
    let following = accounts.follow_watch(&account, watched.id, Source::Http);
    Box::pin(following).await?;
    Ok(Json(watched.into()))
}
