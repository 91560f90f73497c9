//! Which dead letters a command means: ids or a filter, never all of them by accident.

use chrono::{DateTime, Utc};
use queue::{DeadFilter, ErrorClass, JobId, Resolution, Selection};

use crate::{failure::Misuse, output::words::past};

/// A filter; all of it must match.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FilterArgs {
    /// A kind, such as email.send
    #[arg(long)]
    kind: Option<String>,
    /// A queue
    #[arg(long)]
    queue: Option<String>,
    /// An error class, such as invalid or timeout
    #[arg(long)]
    class: Option<ErrorClass>,
    /// What makes failures the same failure; `dead groups` shows it
    #[arg(long)]
    fingerprint: Option<String>,
    /// A customer of the upstream app
    #[arg(long)]
    tenant: Option<String>,
    /// Died since: RFC 3339, or a span such as 2h before now
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<DateTime<Utc>>,
    /// Died until: RFC 3339, or a span such as 2h before now
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<DateTime<Utc>>,
}

impl FilterArgs {
    /// What the engine is asked for.
    pub(super) fn filter(&self, resolution: Option<Resolution>) -> DeadFilter {
        DeadFilter {
            kind: self.kind.clone(),
            queue: self.queue.clone(),
            class: self.class,
            fingerprint: self.fingerprint.clone(),
            tenant: self.tenant.clone(),
            since: self.since,
            until: self.until,
            resolution,
        }
    }

    fn is_empty(&self) -> bool {
        self.kind.is_none()
            && self.queue.is_none()
            && self.class.is_none()
            && self.fingerprint.is_none()
            && self.tenant.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }
}

/// Ids or a filter.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SelectionArgs {
    /// Ids of dead letters, which are their jobs'
    #[arg(conflicts_with = "FilterArgs")]
    ids: Vec<JobId>,
    #[command(flatten)]
    filter: FilterArgs,
}

impl SelectionArgs {
    /// What the engine is asked for.
    ///
    /// # Errors
    /// [`Misuse::NoSelection`] with neither ids nor a filter.
    pub(super) fn selection(&self) -> Result<Selection, Misuse> {
        if !self.ids.is_empty() {
            return Ok(Selection::Ids(self.ids.clone()));
        }
        if self.filter.is_empty() {
            return Err(Misuse::NoSelection);
        }
        Ok(Selection::Filter(self.filter.filter(None)))
    }
}

/// A word that is no resolution.
#[derive(Debug, thiserror::Error)]
#[error("expected \"replayed\" or \"discarded\"")]
pub(crate) struct NotAResolution;

/// Reads how dead letters were dealt with.
pub(super) fn resolution(word: &str) -> Result<Resolution, NotAResolution> {
    [Resolution::Replayed, Resolution::Discarded]
        .into_iter()
        .find(|resolution| resolution.as_str() == word)
        .ok_or(NotAResolution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_selects_nothing() {
        let args = SelectionArgs {
            ids: Vec::new(),
            filter: FilterArgs::default(),
        };

        assert!(matches!(args.selection(), Err(Misuse::NoSelection)));
    }

    #[test]
    fn one_member_is_filter_enough() {
        let filter = FilterArgs {
            kind: Some("email.send".to_owned()),
            ..FilterArgs::default()
        };
        let args = SelectionArgs {
            ids: Vec::new(),
            filter,
        };

        let selection = args.selection().expect("a filter");

        assert!(matches!(
            selection,
            Selection::Filter(filter) if filter.kind.as_deref() == Some("email.send")
        ));
    }
}
