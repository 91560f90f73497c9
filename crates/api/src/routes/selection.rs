//! Which dead letters a request means: ids or a filter in a body, a filter in a query.

use std::str::FromStr;

use queue::{DeadFilter, ErrorClass, JobId, Resolution, Selection, UnknownWord};

use crate::{auth::Caller, error::ApiError, json::Object, query::QueryString};

/// Takes `ids` and `filter` of a body.
pub(super) fn of_body(object: &mut Object<'_>) -> (Option<Vec<JobId>>, Option<DeadFilter>) {
    let ids = object.words::<JobId>("ids");
    let filter = object.object("filter").map(|mut inner| {
        let filter = DeadFilter {
            kind: inner.text("kind"),
            queue: inner.text("queue"),
            class: inner.word::<ErrorClass>("class"),
            fingerprint: inner.text("fingerprint"),
            tenant: inner.text("tenant"),
            since: inner.time("since"),
            until: inner.time("until"),
            resolution: None,
        };
        object.close(inner);
        filter
    });
    if ids.is_some() && filter.is_some() {
        object.problem("filter", "cannot be given beside `ids`");
    }
    (ids, filter)
}

/// What a body means, for this caller.
pub(super) fn chosen(
    ids: Option<Vec<JobId>>,
    filter: Option<DeadFilter>,
    caller: &Caller,
) -> Result<Selection, ApiError> {
    let Some(filter) = filter else {
        return Ok(Selection::Ids(ids.unwrap_or_default()));
    };
    // The queue keeps to the caller's tenant by itself; naming another one is refused rather than ignored.
    caller.tenant_for(filter.tenant.clone())?;
    Ok(Selection::Filter(filter))
}

/// Takes the filter of a list, for this caller.
pub(super) fn of_query(query: &mut QueryString, caller: &Caller) -> Result<DeadFilter, ApiError> {
    Ok(DeadFilter {
        kind: query.text("kind"),
        queue: query.text("queue"),
        class: query.word::<ErrorClass>("class"),
        fingerprint: query.text("fingerprint"),
        tenant: caller.tenant_for(query.text("tenant"))?,
        since: query.time("since"),
        until: query.time("until"),
        resolution: query
            .word::<ResolutionWord>("resolution")
            .map(|word| word.0),
    })
}

struct ResolutionWord(Resolution);

impl FromStr for ResolutionWord {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "replayed" => Ok(Self(Resolution::Replayed)),
            "discarded" => Ok(Self(Resolution::Discarded)),
            _ => Err(UnknownWord {
                word: word.chars().take(64).collect(),
                allowed: &["replayed", "discarded"],
            }),
        }
    }
}
