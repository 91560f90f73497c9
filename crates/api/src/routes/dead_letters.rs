//! Dead letters: looking at them, replaying, discarding and restoring them.

use axum::{Json, extract::State, http::StatusCode};
use queue::{DeadFilter, JobId, ReplayRequest};
use serde_json::Value;
use utoipa::ToSchema;

use super::selection;
use crate::{
    answers::{DeadLetterDetail, DeadLetterSummary, Page, ReplayAnswer, Resolved},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

/// Members of a replay that are promised for a later release.
const LATER: [&str; 2] = ["canary", "rate"];

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("dead-letters")
        .key(Scope::Read, __path_list_dead_letters, list_dead_letters)
        .key(Scope::Read, __path_get_dead_letter, get_dead_letter)
        .key(
            Scope::Operate,
            __path_replay_dead_letters,
            replay_dead_letters,
        )
        .key(
            Scope::Operate,
            __path_discard_dead_letters,
            discard_dead_letters,
        )
        .key(
            Scope::Operate,
            __path_restore_dead_letters,
            restore_dead_letters,
        )
}

/// Lists dead letters, the newest first; without `resolution` those that are open.
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    params(
        ("kind" = Option<String>, Query, description = "Only this kind"),
        ("queue" = Option<String>, Query, description = "Only this queue"),
        ("class" = Option<String>, Query, description = "Only this error class"),
        ("fingerprint" = Option<String>, Query, description = "Only this group"),
        ("tenant" = Option<String>, Query, description = "Only this tenant"),
        ("since" = Option<String>, Query, description = "Only those that died at this time or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Only those that died before this time (RFC 3339)"),
        ("resolution" = Option<String>, Query, description = "`replayed` or `discarded`"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<DeadLetterSummary>)),
)]
async fn list_dead_letters(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<DeadLetterSummary>>, ApiError> {
    let filter = selection::of_query(&mut query, &caller)?;
    let page = query.page()?;
    let letters = state
        .queue()
        .dead_letters(&filter, &page)
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(letters.into()))
}

/// Shows a dead letter with all its attempts. Its id is its job's.
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses((status = 200, description = "The dead letter", body = DeadLetterDetail)),
)]
async fn get_dead_letter(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<JobId>,
) -> Result<Json<DeadLetterDetail>, ApiError> {
    Ok(Json(
        state.queue().dead_letter(id, caller.tenant()).await?.into(),
    ))
}

/// Which dead letters to run again, and how: `ids` or `filter`, one of them and never empty.
#[derive(ToSchema)]
struct ReplayBody {
    /// Up to 10,000 ids.
    #[schema(value_type = Option<Vec<Uuid>>)]
    ids: Option<Vec<JobId>>,
    /// `kind`, `queue`, `class`, `fingerprint`, `tenant`, `since`, `until`: all that fit and are open.
    #[schema(value_type = Option<Object>, example = json!({"kind": "email.send", "class": "transient"}))]
    filter: Option<DeadFilter>,
    /// Only tell what would be done.
    dry_run: Option<bool>,
    /// A JSON merge patch (RFC 7396) for each payload.
    patch: Option<Value>,
    /// Why; at most 500 characters.
    reason: Option<String>,
}

impl ReplayBody {
    fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object()?;
        let (ids, filter) = selection::of_body(&mut object);
        let request = Self {
            ids,
            filter,
            dry_run: Some(object.flag("dry_run")),
            patch: object.value("patch"),
            reason: object.text("reason"),
        };
        for name in LATER {
            if object.value(name).is_some() {
                object.problem(name, "is not in this release: leave it out");
            }
        }
        object.finish()?;
        Ok(request)
    }
}

/// Runs dead letters again, each as a new job that names it.
///
/// Every dead letter is tried out first: `will_enqueue` and `skipped` tell what the run comes to, unless somebody else
/// deals with one meanwhile. The run is stored before this answers, and goes on by itself; `/v1/replays/{id}` shows it.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    request_body = ReplayBody,
    responses(
        (status = 200, description = "With `dry_run`: what would be done", body = ReplayAnswer),
        (status = 202, description = "The run has begun", body = ReplayAnswer),
    ),
)]
async fn replay_dead_letters(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<(StatusCode, Json<ReplayAnswer>), ApiError> {
    let ReplayBody {
        ids,
        filter,
        dry_run,
        patch,
        reason,
    } = ReplayBody::read(&body)?;
    let dry_run = dry_run.unwrap_or_default();
    let request = ReplayRequest {
        selection: selection::chosen(ids, filter, &caller)?,
        dry_run,
        patch,
        reason,
    };
    let answer = state.queue().replay(request, &caller.actor()).await?;
    let status = if dry_run {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok((status, Json(answer.into())))
}

/// Which dead letters to discard or restore, and why: `ids` or `filter`, one of them and never empty.
#[derive(ToSchema)]
struct ResolveBody {
    /// Up to 10,000 ids.
    #[schema(value_type = Option<Vec<Uuid>>)]
    ids: Option<Vec<JobId>>,
    /// `kind`, `queue`, `class`, `fingerprint`, `tenant`, `since`, `until`: all that fit. Those that are open are
    /// discarded, those that were discarded restored.
    #[schema(value_type = Option<Object>, example = json!({"fingerprint": "5f2a…"}))]
    filter: Option<DeadFilter>,
    /// Why; 1 to 500 characters.
    #[schema(example = "the campaign is over")]
    reason: String,
}

impl ResolveBody {
    fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object()?;
        let (ids, filter) = selection::of_body(&mut object);
        let request = Self {
            ids,
            filter,
            reason: object.required_text("reason"),
        };
        object.finish()?;
        Ok(request)
    }
}

/// Gives dead letters up. They stay until retention takes them, and can be restored.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/discard",
    request_body = ResolveBody,
    responses((status = 200, description = "How many", body = Resolved)),
)]
async fn discard_dead_letters(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<Resolved>, ApiError> {
    let ResolveBody {
        ids,
        filter,
        reason,
    } = ResolveBody::read(&body)?;
    let chosen = selection::chosen(ids, filter, &caller)?;
    let count = state
        .queue()
        .discard(chosen, &reason, &caller.actor())
        .await?;
    Ok(Json(Resolved { count }))
}

/// Opens discarded dead letters again.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/restore",
    request_body = ResolveBody,
    responses((status = 200, description = "How many", body = Resolved)),
)]
async fn restore_dead_letters(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<Json<Resolved>, ApiError> {
    let ResolveBody {
        ids,
        filter,
        reason,
    } = ResolveBody::read(&body)?;
    let chosen = selection::chosen(ids, filter, &caller)?;
    let count = state
        .queue()
        .restore(chosen, &reason, &caller.actor())
        .await?;
    Ok(Json(Resolved { count }))
}
