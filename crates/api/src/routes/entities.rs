//! What sync stored of accounts.

use std::str::FromStr;

use axum::{Json, extract::State};
use marketing::{
    accounts::AccountId,
    platform::{EntityStatus, EntityType},
    sync::EntityFilter,
};

use crate::{
    answers::{Entity, Page},
    auth::{Caller, Scope},
    error::ApiError,
    openapi::Operations,
    query::QueryString,
    state::ApiState,
};

const STATUSES: [EntityStatus; 8] = [
    EntityStatus::Active,
    EntityStatus::Paused,
    EntityStatus::Pending,
    EntityStatus::Rejected,
    EntityStatus::Ended,
    EntityStatus::Archived,
    EntityStatus::Deleted,
    EntityStatus::Unknown,
];

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("entities")
        .key(Scope::Read, __path_list_entities, list_entities)
}

/// There is no such word.
#[derive(Debug, thiserror::Error)]
#[error("must be one of {0}")]
struct UnknownWord(&'static str);

struct OfType(EntityType);

impl FromStr for OfType {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut types = EntityType::ALL.into_iter();
        let found = types.find(|kind| kind.as_str() == text);
        found.map(Self).ok_or(UnknownWord(
            "campaign, ad_set, ad, creative, audience, lead_form, pixel, page and instagram_account",
        ))
    }
}

struct WithStatus(EntityStatus);

impl FromStr for WithStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut statuses = STATUSES.into_iter();
        let found = statuses.find(|status| status.as_str() == text);
        found.map(Self).ok_or(UnknownWord(
            "active, paused, pending, rejected, ended, archived, deleted and unknown",
        ))
    }
}

/// Lists what accounts hold, by account, type and id.
///
/// What a full sync does not find any more stays in the list: it is `deleted` and has a `vanished_at`.
#[utoipa::path(
    get,
    path = "/v1/entities",
    params(
        ("type" = Option<String>, Query, description = "`campaign`, `ad_set`, `ad`, `creative`, `audience`, `lead_form`, `pixel`, `page` or `instagram_account`"),
        ("account" = Option<Uuid>, Query, description = "Only what this account holds"),
        ("parent" = Option<String>, Query, description = "Only what belongs to this one directly, by the platform's id"),
        ("status" = Option<String>, Query, description = "`active`, `paused`, `pending`, `rejected`, `ended`, `archived`, `deleted` or `unknown`"),
        ("q" = Option<String>, Query, description = "Only what has this in its name, in whatever letters, or is its id"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<Entity>)),
)]
async fn list_entities(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<Entity>>, ApiError> {
    let filter = EntityFilter {
        kind: query.word::<OfType>("type").map(|of| of.0),
        account: query.word::<AccountId>("account"),
        parent: query.text("parent"),
        status: query.word::<WithStatus>("status").map(|with| with.0),
        search: query.text("q"),
        tenant: caller.tenant_for(query.text("tenant"))?,
    };
    let page = query.page()?;
    let entities = state.syncs().entities(&filter, &page).await?;
    Ok(Json(entities.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_and_status_is_a_word_of_the_query() {
        for kind in EntityType::ALL {
            let read: Result<OfType, _> = kind.as_str().parse();
            assert_eq!(read.ok().map(|of| of.0), Some(kind));
        }
        for status in STATUSES {
            let read: Result<WithStatus, _> = status.as_str().parse();
            assert_eq!(read.ok().map(|with| with.0), Some(status));
        }
        assert!("group".parse::<OfType>().is_err());
    }
}
