//! The configuration: what is in force, its history, what became of a change.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::all;

/// What is in force, as the process that answers sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigStatus {
    /// The revision; null: the process's own file, or the built-in defaults.
    revision: Option<i64>,
    /// Every value that holds, section by section.
    effective: Vec<EffectiveValue>,
    /// The overrides, those that were set first before the others.
    overrides: Vec<OverrideStatus>,
    /// Keys whose new values take effect when this process starts anew.
    #[schema(example = json!(["http.max_body"]))]
    needs_restart: Vec<String>,
    /// What this process does not go by, since it is wrong; null: nothing.
    rejected: Option<RejectedConfig>,
    /// How many worker processes go by which revision, the newest first.
    processes: Vec<ProcessesOfRevision>,
}

impl From<queue::ConfigStatus> for ConfigStatus {
    fn from(status: queue::ConfigStatus) -> Self {
        let in_force = status.in_force;
        let holding = in_force.overrides.iter().map(|setting| (setting, None));
        let ignored = in_force
            .ignored
            .iter()
            .map(|ignored| (&ignored.setting, Some(ignored.problem.clone())));
        let mut overrides: Vec<OverrideStatus> = holding
            .chain(ignored)
            .map(|(setting, problem)| OverrideStatus::new(setting.clone(), problem))
            .collect();
        overrides.sort_by_key(|setting| setting.created_at);
        Self {
            revision: in_force.revision,
            effective: all(in_force.config.effective()),
            overrides,
            needs_restart: in_force.needs_restart.clone(),
            rejected: status.rejected.map(RejectedConfig::from),
            processes: all(status.processes),
        }
    }
}

/// A value that holds, and where it comes from.
#[derive(Serialize, ToSchema)]
struct EffectiveValue {
    #[schema(example = "queues.sync.concurrency")]
    key: String,
    /// In the words of the file: durations as `"15m"`, sizes as `"1MiB"`.
    value: Value,
    origin: ValueOrigin,
    /// Whether a change takes effect only when a process starts anew.
    restart: bool,
}

impl From<queue::config::Effective> for EffectiveValue {
    fn from(effective: queue::config::Effective) -> Self {
        Self {
            key: effective.key,
            value: effective.value,
            origin: effective.origin.into(),
            restart: effective.restart,
        }
    }
}

/// Where a value was set: nowhere, by the revision's text, or by an override.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ValueOrigin {
    BuiltIn,
    File {
        line: usize,
        column: usize,
    },
    Override {
        until: DateTime<Utc>,
        author: String,
    },
}

impl From<queue::config::Origin> for ValueOrigin {
    fn from(origin: queue::config::Origin) -> Self {
        use queue::config::Origin;
        match origin {
            Origin::BuiltIn => Self::BuiltIn,
            Origin::File { line, column } => Self::File { line, column },
            Origin::Override { until, author } => Self::Override { until, author },
        }
    }
}

/// A value that somebody set for a time.
#[derive(Serialize, ToSchema)]
pub(crate) struct OverrideStatus {
    #[schema(example = "queues.sync.concurrency")]
    key: String,
    #[schema(example = 2)]
    value: Value,
    author: String,
    reason: Option<String>,
    created_at: DateTime<Utc>,
    /// When it ends by itself.
    until: DateTime<Utc>,
    /// Why it has no effect; null: it has.
    problem: Option<String>,
}

impl OverrideStatus {
    fn new(setting: queue::config::Override, problem: Option<String>) -> Self {
        Self {
            key: setting.key,
            value: setting.value,
            author: setting.author,
            reason: setting.reason,
            created_at: setting.created_at,
            until: setting.until,
            problem,
        }
    }
}

impl From<queue::config::Override> for OverrideStatus {
    fn from(setting: queue::config::Override) -> Self {
        Self::new(setting, None)
    }
}

/// A file or a revision that a process does not go by.
#[derive(Serialize, ToSchema)]
struct RejectedConfig {
    at: DateTime<Utc>,
    /// The path of the file, or the revision.
    #[schema(example = "jobs.toml")]
    source: String,
    /// What is wrong with it, with line and column where it has any.
    problems: Vec<String>,
}

impl From<queue::Rejected> for RejectedConfig {
    fn from(rejected: queue::Rejected) -> Self {
        Self {
            at: rejected.at,
            source: rejected.source,
            problems: rejected.problems,
        }
    }
}

/// Worker processes that go by one revision.
#[derive(Serialize, ToSchema)]
struct ProcessesOfRevision {
    /// Null: their own files.
    revision: Option<i64>,
    processes: i64,
}

impl From<queue::ProcessesOfRevision> for ProcessesOfRevision {
    fn from(counted: queue::ProcessesOfRevision) -> Self {
        Self {
            revision: counted.revision,
            processes: counted.processes,
        }
    }
}

/// A revision of the configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigRevision {
    revision: i64,
    /// `file`, `cli` or `api`.
    source: String,
    /// The machine and the path of a file, a person, an API key.
    author: String,
    reason: Option<String>,
    /// The keys that the revision before gives other values; at most 200.
    changed: Vec<String>,
    created_at: DateTime<Utc>,
}

impl From<queue::Revision> for ConfigRevision {
    fn from(revision: queue::Revision) -> Self {
        Self {
            revision: revision.revision,
            source: revision.source,
            author: revision.author,
            reason: revision.reason,
            changed: revision.changed,
            created_at: revision.created_at,
        }
    }
}

/// What became of a text that was to be put in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigApplied {
    /// The revision that holds now.
    revision: i64,
    /// `applied`, or `unchanged` where the text was in force already.
    #[schema(value_type = String, example = "applied")]
    outcome: &'static str,
    /// The keys that the revision before gives other values; at most 200.
    changed: Vec<String>,
    /// Keys that are right but have no effect in this release, with line and column.
    warnings: Vec<String>,
}

impl From<queue::ConfigApplied> for ConfigApplied {
    fn from(applied: queue::ConfigApplied) -> Self {
        Self {
            revision: applied.revision,
            outcome: if applied.is_new {
                "applied"
            } else {
                "unchanged"
            },
            changed: applied.changed,
            warnings: applied.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}
