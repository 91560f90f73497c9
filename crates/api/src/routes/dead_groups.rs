//! Dead letters that failed in the same way, and how people stand to them.

use std::str::FromStr;

use axum::{Json, extract::State};
use queue::{GroupChange, GroupState, UnknownWord};
use utoipa::ToSchema;

use super::selection;
use crate::{
    answers::{DeadGroup, Page},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("dead-letters")
        .key(Scope::Read, __path_list_dead_groups, list_dead_groups)
        .key(Scope::Operate, __path_update_dead_group, update_dead_group)
}

/// Lists the groups with open dead letters, by fingerprint.
#[utoipa::path(
    get,
    path = "/v1/dead-letters/groups",
    params(
        ("kind" = Option<String>, Query, description = "Only this kind"),
        ("queue" = Option<String>, Query, description = "Only this queue"),
        ("class" = Option<String>, Query, description = "Only this error class"),
        ("fingerprint" = Option<String>, Query, description = "Only this group"),
        ("tenant" = Option<String>, Query, description = "Only this tenant"),
        ("since" = Option<String>, Query, description = "Only groups whose last one died at this time or later (RFC 3339)"),
        ("until" = Option<String>, Query, description = "Only groups whose first one died before this time (RFC 3339)"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<DeadGroup>)),
)]
async fn list_dead_groups(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<DeadGroup>>, ApiError> {
    let filter = selection::of_query(&mut query, &caller)?;
    let page = query.page()?;
    let groups = state
        .queue()
        .dead_groups(&filter, &page)
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(groups.into()))
}

/// What to change of a group; what is absent stays.
#[derive(ToSchema)]
struct GroupBody {
    /// `open`, `acknowledged` or `resolved`; a new dead letter opens a resolved one again.
    #[schema(value_type = Option<String>, example = "acknowledged")]
    state: Option<GroupState>,
    /// At most 2,000 characters; null or an empty text takes it away.
    #[schema(example = "the provider is at it")]
    note: Option<String>,
}

impl GroupBody {
    fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object()?;
        let is_empty = object.is_empty();
        let request = Self {
            state: object.word::<StateWord>("state").map(|word| word.0),
            note: object.text_or_null("note"),
        };
        if is_empty {
            object.problem("state", "or `note` is required");
        }
        object.finish()?;
        Ok(request)
    }
}

/// Changes the state or the note of a group.
#[utoipa::path(
    patch,
    path = "/v1/dead-letters/groups/{fingerprint}",
    params(("fingerprint" = String, Path, description = "The group's fingerprint")),
    request_body = GroupBody,
    responses((status = 200, description = "The group as it now stands", body = DeadGroup)),
)]
async fn update_dead_group(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(fingerprint): Segment<String>,
    body: RequestBody,
) -> Result<Json<DeadGroup>, ApiError> {
    let GroupBody {
        state: group_state,
        note,
    } = GroupBody::read(&body)?;
    let change = GroupChange {
        state: group_state,
        note,
    };
    let group = state
        .queue()
        .update_dead_group(&fingerprint, change, &caller.actor())
        .await?;
    Ok(Json(group.into()))
}

struct StateWord(GroupState);

impl FromStr for StateWord {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "open" => Ok(Self(GroupState::Open)),
            "acknowledged" => Ok(Self(GroupState::Acknowledged)),
            "resolved" => Ok(Self(GroupState::Resolved)),
            _ => Err(UnknownWord {
                word: word.chars().take(64).collect(),
                allowed: &["open", "acknowledged", "resolved"],
            }),
        }
    }
}
