//! Cursors: where a list goes on. One is good for its list and for the run that it came from, not
//! for later.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{error::XError, params::Params};

/// How long a cursor is good for.
const LASTS: TimeDelta = TimeDelta::hours(1);
/// What texts of cursors begin with.
const PREFIX: &str = "c-";
/// What may differ between the pages of a list.
const OF_THE_PAGE: [&str; 3] = ["cursor", "count", "with_total_count"];

/// Where something stands in a list: by its time where the list is sorted by one, and by its number.
pub(super) type Rank = (i64, u32);

/// What came last on a page.
#[derive(Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Of the list.
    digest: String,
    pub(super) after: Rank,
    issued_at: DateTime<Utc>,
}

impl Cursor {
    pub(super) fn new(list: &str, params: &Params, after: Rank, now: DateTime<Utc>) -> Self {
        Self {
            digest: digest(list, params),
            after,
            issued_at: now,
        }
    }

    /// The cursor that a call was sent with.
    ///
    /// # Errors
    /// INVALID_PARAMETER for one that is none, of another list, or too old.
    pub(super) fn read(
        list: &str,
        params: &Params,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, XError> {
        let Some(text) = params.get("cursor") else {
            return Ok(None);
        };
        let decoded = text
            .strip_prefix(PREFIX)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let cursor = decoded.and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        let fitting = cursor.filter(|cursor| {
            cursor.digest == digest(list, params) && now < cursor.issued_at + LASTS
        });
        match fitting {
            Some(cursor) => Ok(Some(cursor)),
            None => Err(XError::invalid("cursor", text, "The cursor is not valid")),
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

fn digest(list: &str, params: &Params) -> String {
    let mut echo = params.echo(None);
    if let Some(members) = echo.as_object_mut() {
        members.retain(|name, _| !OF_THE_PAGE.contains(&name.as_str()));
    }
    let digest = Sha256::digest(format!("{list}?{echo}"));
    hex::encode(&digest[..8])
}
