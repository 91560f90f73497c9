//! The configuration of the fleet: what is in force, its history, a text put in force, values overridden for a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Actor, AdminError, Page, PageRequest, audit};
use crate::{
    Queue,
    config::{Config, Layered, Override, OverrideProblem, Problem, canonical_key},
    db::within,
    live::{Again, InForce, NewRevision, Recorded, Rejected, RevisionSource, record},
    metrics,
    store::{
        self,
        config::{NewOverrideRow, Revision},
    },
};

/// Begins the cursors of the history.
const HISTORY: &str = "config";
/// Longest reason, in characters.
const LONGEST_REASON: usize = 500;
/// Most overrides at a time.
const MOST_OVERRIDES: usize = 100;
/// Shortest and longest time of an override: what is to stay belongs into the file.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);
const ENDS_WHEN: &str =
    "must lie ahead, a second to 30 days: what is to stay belongs into jobs.toml";

/// A text to be put in force.
#[derive(Debug, Clone)]
pub struct ConfigRequest {
    /// Which.
    pub text: ConfigText,
    /// Where it comes from.
    pub source: RevisionSource,
    /// Why, at most 500 characters.
    pub reason: Option<String>,
}

/// Which text.
#[derive(Debug, Clone)]
pub enum ConfigText {
    /// This one.
    New(String),
    /// That of an earlier revision: it becomes a new one.
    Of(i64),
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigApplied {
    /// The revision that holds now.
    pub revision: i64,
    /// Whether it is a new one; else the text was in force already.
    pub is_new: bool,
    /// The keys that the revision before gives other values.
    pub changed: Vec<String>,
    /// Keys that are right but have no effect in this release.
    pub warnings: Vec<Problem>,
}

/// A value to be overridden.
#[derive(Debug, Clone)]
pub struct NewOverride {
    /// Its name: `queues.sync.concurrency`.
    pub key: String,
    /// The value, in the words of the file.
    pub value: Value,
    /// Until when.
    pub ends: OverrideEnd,
    /// Why, at most 500 characters.
    pub reason: Option<String>,
}

/// When an override ends by itself: within 30 days.
#[derive(Debug, Clone, Copy)]
pub enum OverrideEnd {
    /// After so long, by the database's clock.
    After(Duration),
    /// Then.
    At(DateTime<Utc>),
}

/// What is in force, as the process that was asked sees it.
#[derive(Debug, Clone)]
pub struct ConfigStatus {
    /// What it goes by.
    pub in_force: Arc<InForce>,
    /// What it does not go by, since it is wrong.
    pub rejected: Option<Rejected>,
    /// How many worker processes go by which revision.
    pub processes: Vec<ProcessesOfRevision>,
}

/// Worker processes that go by one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessesOfRevision {
    /// The revision; `None`: their own files.
    pub revision: Option<i64>,
    /// How many.
    pub processes: i64,
}

impl Queue {
    /// What is in force.
    ///
    /// # Errors
    /// When the database cannot be asked for the processes.
    pub async fn config_status(&self) -> Result<ConfigStatus, AdminError> {
        let mut counts: BTreeMap<Option<i64>, i64> = BTreeMap::new();
        for worker in self.workers().await? {
            *counts.entry(worker.config_revision).or_default() += 1;
        }
        let processes = counts.into_iter().rev();
        Ok(ConfigStatus {
            in_force: self.in_force(),
            rejected: self.rejected_config(),
            processes: processes
                .map(|(revision, processes)| ProcessesOfRevision {
                    revision,
                    processes,
                })
                .collect(),
        })
    }

    /// The file of this process, or the newest revision, where that does not hold here since it is wrong, or since the
    /// process could not run with it.
    #[must_use]
    pub fn rejected_config(&self) -> Option<Rejected> {
        self.shared.live.rejected()
    }

    /// Whether there is one.
    #[must_use]
    pub fn has_rejected_config(&self) -> bool {
        self.rejected_config().is_some()
    }

    /// A page of past revisions, the newest first.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn config_revisions(&self, page: &PageRequest) -> Result<Page<Revision>, AdminError> {
        let before = page.number(HISTORY)?;
        let mut session = self.shared.db.request().await?;
        let revisions = within(store::config::list(session.conn(), before, page.rows())).await;
        Ok(Page::cut(
            session.end(revisions)?,
            page,
            HISTORY,
            |revision: &Revision| revision.revision.to_string(),
        ))
    }

    /// Puts a text in force for the fleet, as a new revision unless it holds already. Files stay as they are.
    ///
    /// # Errors
    /// [`AdminError::Configuration`] with everything that is wrong with the text, [`AdminError::Invalid`] for a revision
    /// that is none or a text that this process could not go by.
    pub async fn apply_config(
        &self,
        request: ConfigRequest,
        actor: &Actor,
    ) -> Result<ConfigApplied, AdminError> {
        check_reason(request.reason.as_deref())?;
        let text = match request.text {
            ConfigText::New(text) => text,
            ConfigText::Of(revision) => self.text_of(revision).await?,
        };
        let Layered { warnings, .. } = self.applicable(&text)?;
        let new = NewRevision {
            text: &text,
            source: request.source,
            author: &actor.name,
            reason: request.reason.as_deref(),
            again: Again::Always,
        };
        let mut session = self.shared.db.request().await?;
        let recorded = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let recorded = record(&mut tx, &new).await?;
            tx.commit().await?;
            Ok(recorded)
        })
        .await;
        let (revision, is_new, changed) = match session.end(recorded)? {
            Recorded::New { revision, changed } => (revision, true, changed),
            held => (held.newest(), false, Vec::new()),
        };
        if is_new {
            metrics::admin_action("config.apply");
            self.shared.tell_of_config();
        }
        Ok(ConfigApplied {
            revision,
            is_new,
            changed,
            warnings,
        })
    }

    /// Reads a text that could be put in force, as it is written.
    pub(super) fn applicable(&self, text: &str) -> Result<Layered, AdminError> {
        if text.trim().is_empty() {
            return Err(AdminError::invalid(
                "/text",
                "is empty; \"version = 1\" alone stands for all defaults",
            ));
        }
        let live = &self.shared.live;
        let layered = live.read(text, &[]).map_err(AdminError::Configuration)?;
        let against = live.check(&layered.config);
        if !against.is_empty() {
            return Err(AdminError::invalid("/text", against.join("; ")));
        }
        Ok(layered)
    }

    pub(super) async fn text_of(&self, revision: i64) -> Result<String, AdminError> {
        let mut session = self.shared.db.request().await?;
        let text = within(store::config::text_of(session.conn(), revision)).await;
        session
            .end(text)?
            .ok_or_else(|| AdminError::invalid("/revision", "is none that the history has"))
    }

    /// Sets a value for a time, over whatever the file says, in the whole fleet.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a key or a value that the file could not have either, one that needs a restart, and an
    /// end that lies too near or too far.
    pub async fn set_override(
        &self,
        request: NewOverride,
        actor: &Actor,
    ) -> Result<Override, AdminError> {
        check_reason(request.reason.as_deref())?;
        let now = Utc::now();
        let setting = Override {
            key: canonical_key(&request.key).map_err(refused)?,
            value: request.value,
            author: actor.name.clone(),
            reason: request.reason,
            created_at: now,
            until: end_of(request.ends, now)?,
        };
        let mut session = self.shared.db.request().await?;
        let set = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let set = self.set(&mut tx, setting, request.ends).await?;
            if let Ok(setting) = &set {
                let mut row = audit(actor, "config.set", Some(&setting.key));
                row.reason = setting.reason.as_deref();
                row.detail = json!({"value": setting.value, "until": setting.until});
                store::audit::note(&mut *tx, &row).await?;
                tx.commit().await?;
            }
            Ok(set)
        })
        .await;
        let set = session.end(set)??;
        metrics::admin_action("config.set");
        self.shared.tell_of_config();
        Ok(set)
    }

    /// Checks an override beside those that hold and stores it.
    async fn set(
        &self,
        conn: &mut PgConnection,
        setting: Override,
        ends: OverrideEnd,
    ) -> Result<Result<Override, AdminError>, sqlx::Error> {
        store::config::lock(&mut *conn).await?;
        let newest = store::config::newest(&mut *conn).await?;
        let text = newest.map(|newest| newest.text).unwrap_or_default();
        let holding = store::config::overrides(&mut *conn).await?;
        let holding: Vec<Override> = holding.into_iter().map(Override::from).collect();
        if let Err(error) = self.check_setting(&text, &holding, &setting) {
            return Ok(Err(error));
        }

        store::config::forget_ended(&mut *conn).await?;
        let row = NewOverrideRow {
            key: &setting.key,
            value: &setting.value,
            author: &setting.author,
            reason: setting.reason.as_deref(),
            until: match ends {
                OverrideEnd::After(_) => None,
                OverrideEnd::At(until) => Some(until),
            },
            for_seconds: match ends {
                OverrideEnd::After(time) => Some(time.as_secs_f64()),
                OverrideEnd::At(_) => None,
            },
        };
        let (created_at, until) = store::config::set_override(&mut *conn, &row).await?;
        if until <= created_at {
            // This machine's clock is behind. What is not committed was never set.
            return Ok(Err(AdminError::invalid("/until", ENDS_WHEN)));
        }
        store::config::count_change(&mut *conn).await?;
        Ok(Ok(Override {
            created_at,
            until,
            ..setting
        }))
    }

    fn check_setting(
        &self,
        text: &str,
        holding: &[Override],
        setting: &Override,
    ) -> Result<(), AdminError> {
        let others = holding.iter().filter(|other| other.key != setting.key);
        let mut overrides: Vec<Override> = others.cloned().collect();
        if overrides.len() >= MOST_OVERRIDES {
            let message =
                format!("is one too many: at most {MOST_OVERRIDES} overrides hold at a time");
            return Err(AdminError::invalid("/key", message));
        }
        let live = &self.shared.live;
        Config::check_override(text, holding, setting, &live.known_kinds())
            .map_err(AdminError::Configuration)?
            .map_err(refused)?;

        // As every process is asked before it takes it. What is said against the text is not the setting's fault.
        let said_before = self.said_against(text, &overrides)?;
        overrides.push(setting.clone());
        let mut said = self.said_against(text, &overrides)?;
        said.retain(|line| !said_before.contains(line));
        if !said.is_empty() {
            return Err(AdminError::invalid("/value", said.join("; ")));
        }
        Ok(())
    }

    fn said_against(&self, text: &str, overrides: &[Override]) -> Result<Vec<String>, AdminError> {
        let live = &self.shared.live;
        let layered = live.read(text, overrides);
        let layered = layered.map_err(AdminError::Configuration)?;
        Ok(live.check(&layered.config))
    }

    /// Takes an override away before its time.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] when none holds for this key.
    pub async fn unset_override(&self, key: &str, actor: &Actor) -> Result<(), AdminError> {
        let key = canonical_key(key).map_err(|_| AdminError::NotFound)?;
        let mut session = self.shared.db.request().await?;
        let unset = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            store::config::lock(&mut *tx).await?;
            let is_unset = store::config::unset_override(&mut *tx, &key).await?;
            if is_unset {
                store::config::count_change(&mut *tx).await?;
                store::audit::note(&mut *tx, &audit(actor, "config.unset", Some(&key))).await?;
            }
            tx.commit().await?;
            Ok(is_unset)
        })
        .await;
        if !session.end(unset)? {
            return Err(AdminError::NotFound);
        }
        metrics::admin_action("config.unset");
        self.shared.tell_of_config();
        Ok(())
    }
}

fn refused(problem: OverrideProblem) -> AdminError {
    let pointer = if problem.is_in_key { "/key" } else { "/value" };
    AdminError::invalid(pointer, problem.message)
}

/// When an override ends. What `After` gives here is checked alone: the database's clock says when it really ends.
fn end_of(ends: OverrideEnd, now: DateTime<Utc>) -> Result<DateTime<Utc>, AdminError> {
    let (pointer, time) = match ends {
        OverrideEnd::After(time) => ("/for", Some(time)),
        OverrideEnd::At(until) => ("/until", (until - now).to_std().ok()),
    };
    let within = time.filter(|time| (SHORTEST..=LONGEST).contains(time));
    within
        .and_then(|time| TimeDelta::from_std(time).ok())
        .map(|time| now + time)
        .ok_or_else(|| AdminError::invalid(pointer, ENDS_WHEN))
}

fn check_reason(reason: Option<&str>) -> Result<(), AdminError> {
    let fits = |reason: &str| reason.chars().count() <= LONGEST_REASON && !reason.contains('\0');
    if reason.is_none_or(fits) {
        return Ok(());
    }
    Err(AdminError::invalid(
        "/reason",
        "must have at most 500 characters and no U+0000",
    ))
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::tests::fixture::engine;

    // Fails when this machine's clock alone says whether an override lies ahead: one that is over when it is set never
    // holds, and would be answered as if it did.
    #[sqlx::test(migrations = "../../migrations")]
    async fn an_override_that_is_over_by_the_databases_clock_is_refused(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let queue = engine(&db, "");
        let now = Utc::now();
        let setting = Override {
            key: "queues.sync.concurrency".to_owned(),
            value: json!(2),
            author: "test".to_owned(),
            reason: None,
            created_at: now,
            until: now,
        };
        let mut tx = db.begin().await?;

        let ends = OverrideEnd::At(now - TimeDelta::minutes(10));
        let set = queue.set(&mut tx, setting, ends).await?;

        assert!(matches!(
            set,
            Err(AdminError::Invalid { pointer, .. }) if pointer == "/until"
        ));
        Ok(())
    }
}
