//! Back-fills: figures of past days, read anew by jobs that let all others go first.

use axum::{Json, extract::State, http::StatusCode};
use chrono::NaiveDate;
use marketing::{accounts::AccountId, platform::Level, sync::Days};
use queue::Source;
use utoipa::ToSchema;

use crate::{
    answers::Backfill,
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    json::Object,
    openapi::Operations,
    problem::FieldProblem,
    query::Segment,
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("accounts")
        .key(Scope::Operate, __path_backfill_account, backfill_account)
}

/// Which days are read anew, and of what.
#[derive(ToSchema)]
struct BackfillRequest {
    /// The first day, by the account's clock.
    #[schema(value_type = String, example = "2026-01-01")]
    from: Option<NaiveDate>,
    /// The last day; it is read too. At most 1,200 days in all.
    #[schema(value_type = String, example = "2026-01-31")]
    to: Option<NaiveDate>,
    /// Of what: `account`, `campaign`, `ad_set`, `ad`; all of them unless said.
    #[schema(value_type = Option<Vec<String>>, example = json!(["campaign", "ad"]))]
    levels: Vec<Level>,
}

impl BackfillRequest {
    fn read(body: &RequestBody) -> Result<(Days, Vec<Level>), ApiError> {
        let mut object = body.object()?;
        let request = Self {
            from: day(&mut object, "from"),
            to: day(&mut object, "to"),
            levels: levels(&mut object),
        };
        object.finish()?;
        let missing = |pointer| ApiError::Invalid(vec![FieldProblem::new(pointer, "is required")]);
        let days = Days {
            from: request.from.ok_or_else(|| missing("/from"))?,
            to: request.to.ok_or_else(|| missing("/to"))?,
        };
        Ok((days, request.levels))
    }
}

fn day(object: &mut Object<'_>, name: &'static str) -> Option<NaiveDate> {
    let text = object.text(name)?;
    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok();
    if day.is_none() {
        object.problem(name, "must be a day such as \"2026-01-31\"");
    }
    day
}

/// The levels that are named; all of them where none is.
fn levels(object: &mut Object<'_>) -> Vec<Level> {
    let words: Vec<String> = object.words("levels").unwrap_or_default();
    let is_level = |word: &String| Level::ALL.iter().any(|level| level.as_str() == word);
    if !words.iter().all(is_level) {
        object.problem("levels", "must be of account, campaign, ad_set and ad");
    }
    let is_named = |level: &Level| words.is_empty() || words.iter().any(|it| it == level.as_str());
    Level::ALL.into_iter().filter(is_named).collect()
}

/// Has figures of past days read anew, by jobs of a month each that let all others go first.
#[utoipa::path(
    post,
    path = "/v1/accounts/{id}/backfill",
    params(("id" = Uuid, Path, description = "The account's id")),
    request_body = BackfillRequest,
    responses(
        (status = 202, description = "What it has come to", body = Backfill),
        (status = 409, description = "The account is disconnected"),
    ),
)]
async fn backfill_account(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    body: RequestBody,
) -> Result<(StatusCode, Json<Backfill>), ApiError> {
    let (days, levels) = BackfillRequest::read(&body)?;
    let accounts = state.accounts();
    let whose = (id, caller.tenant());
    let backfilling = accounts.backfill(whose, days, &levels, Source::Http);
    let done = Box::pin(backfilling).await?;
    Ok((StatusCode::ACCEPTED, Json(done.into())))
}
