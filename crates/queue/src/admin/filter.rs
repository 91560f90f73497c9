//! Which jobs a list shows.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{job::JobState, store::rows::ListQuery};

/// Which jobs a list shows; what is `None` or empty is no condition.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this queue.
    pub queue: Option<String>,
    /// Only this tenant.
    pub tenant: Option<String>,
    /// Only jobs with all of these tags.
    pub tags: Vec<(String, String)>,
    /// Only jobs enqueued at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Only jobs enqueued before this time.
    pub until: Option<DateTime<Utc>>,
}

impl JobFilter {
    pub(super) fn query(&self, limit: i64) -> ListQuery {
        let tags = self
            .tags
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())));
        ListQuery {
            state: self.state.map(|state| state.as_str().to_owned()),
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            tenant: self.tenant.clone(),
            tags: if self.tags.is_empty() {
                None
            } else {
                Some(Value::Object(tags.collect()))
            },
            since: self.since,
            until: self.until,
            before: None,
            limit,
        }
    }
}
