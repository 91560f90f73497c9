//! What comes over the wire from the Ads API.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::platform::members;

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) data: Vec<Value>,
    /// Where the next page begins; missing, `null` or empty on the last.
    pub(super) next_cursor: Option<String>,
}

/// One thing.
#[derive(Deserialize)]
pub(super) struct One {
    pub(super) data: Value,
}

/// What had activity in a time.
#[derive(Deserialize)]
pub(super) struct Active {
    pub(super) data: Vec<ActiveEntity>,
}

#[derive(Deserialize)]
pub(super) struct ActiveEntity {
    pub(super) entity_id: String,
    /// Where it was shown.
    pub(super) placements: Option<Vec<String>>,
}

/// A job that was begun.
#[derive(Deserialize)]
pub(super) struct Begun {
    pub(super) data: Job,
}

/// How far jobs are.
#[derive(Deserialize)]
pub(super) struct Jobs {
    pub(super) data: Vec<Job>,
}

#[derive(Deserialize)]
pub(super) struct Job {
    /// Too large for the numbers of some readers, hence also as text.
    id: Option<Value>,
    id_str: Option<String>,
    #[serde(default)]
    pub(super) status: String,
    /// Where its figures are, once it is done.
    pub(super) url: Option<String>,
}

impl Job {
    pub(super) fn id(&self) -> Option<String> {
        let text = self.id_str.clone().filter(|id| !id.is_empty());
        text.or_else(|| self.id.as_ref().and_then(members::id))
    }
}

/// Figures of some entities.
#[derive(Deserialize)]
pub(super) struct Stats {
    pub(super) data: Vec<EntityStats>,
}

#[derive(Deserialize)]
pub(super) struct EntityStats {
    pub(super) id: String,
    pub(super) id_data: Vec<Told>,
}

/// What is told of an entity, or of a segment of those whom it reached.
#[derive(Deserialize)]
pub(super) struct Told {
    pub(super) segment: Option<Segment>,
    /// By name: a series, an object of series, or `null` for zeros throughout. Only those that are needed are read.
    pub(super) metrics: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
pub(super) struct Segment {
    #[serde(default)]
    pub(super) segment_value: Option<String>,
    #[serde(default)]
    pub(super) segment_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(value: Value) -> Job {
        serde_json::from_value(value).expect("a job")
    }

    #[test]
    fn a_jobs_id_is_text_and_loses_no_digit() {
        let both =
            job(json!({"id": 1_080_000_000_000_000_100_i64, "id_str": "1080000000000000123"}));
        let number = job(json!({"id": 1_080_000_000_000_000_123_i64, "status": "QUEUED"}));

        assert_eq!(both.id().as_deref(), Some("1080000000000000123"));
        assert_eq!(number.id().as_deref(), Some("1080000000000000123"));
        assert_eq!(job(json!({})).id(), None);
    }
}
