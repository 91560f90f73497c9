//! What `doctor` finds: each finding says what, why it matters, and what mends it. A file for each family of checks; the
//! statements stand in `store/doctor/`.

mod fleet;
mod holders;
mod indexes;
mod pooler;
mod server;
mod slots;
mod tables;
#[cfg(test)]
mod tests;
mod words;
mod work;

use serde::Serialize;

use crate::{Queue, db::DatabaseError, error_chain};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing to do.
    Ok,
    /// It works, but look at it.
    Warning,
    /// It does not work, or work may be lost.
    Error,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub check: &'static str,
    /// What was found.
    pub detail: String,
    /// Why it matters; empty where all is well.
    pub why: &'static str,
    /// What mends it; empty where all is well.
    pub remedy: String,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Ok,
            check,
            detail: detail.into(),
            why: "",
            remedy: String::new(),
        }
    }

    fn warning(
        check: &'static str,
        detail: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            check,
            detail: detail.into(),
            why,
            remedy: remedy.into(),
        }
    }

    fn error(
        check: &'static str,
        detail: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            ..Self::warning(check, detail, why, remedy)
        }
    }
}

/// What the database cannot be asked.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Most connections that a process which serves opens; zero: unknown.
    pub connections_per_process: u32,
    /// The text of this machine's `jobs.toml`; `None`: there is none.
    pub file: Option<String>,
}

/// From where on something is worth a word. Each family says why there.
#[derive(Debug, Clone)]
struct Limits {
    clock_skew_seconds: f64,
    connections_share: f64,
    notify_queue_share: f64,
    snapshot_seconds: f64,
    snapshot_transactions: i32,
    idle_seconds: f64,
    retained_bytes: i64,
    dead_rows: i64,
    index_bytes: i64,
    schedule_seconds: f64,
}

impl Limits {
    const USUAL: Self = Self {
        clock_skew_seconds: server::CLOCK_SKEW_SECONDS,
        connections_share: server::CONNECTIONS_SHARE,
        notify_queue_share: server::NOTIFY_QUEUE_SHARE,
        snapshot_seconds: holders::SNAPSHOT_SECONDS,
        snapshot_transactions: holders::SNAPSHOT_TRANSACTIONS,
        idle_seconds: holders::IDLE_SECONDS,
        retained_bytes: slots::RETAINED_BYTES,
        dead_rows: tables::DEAD_ROWS,
        index_bytes: indexes::INDEX_BYTES,
        schedule_seconds: work::SCHEDULE_SECONDS,
    };
}

/// Looks at the server, at who is in the way there, at how our tables are kept, at our processes and their work.
pub async fn diagnose(queue: &Queue, surroundings: &Surroundings) -> Vec<Finding> {
    diagnose_within(queue, surroundings, &Limits::USUAL).await
}

async fn diagnose_within(
    queue: &Queue,
    surroundings: &Surroundings,
    limits: &Limits,
) -> Vec<Finding> {
    let db = queue.database();
    let mut findings = match server::look(db, limits).await {
        Ok(findings) => findings,
        Err(error) => return vec![unreachable(&error)],
    };
    findings.extend(told("pooler", pooler::look(db).await));
    findings.extend(told("snapshots", holders::look(db, limits).await));
    findings.extend(told("slots", slots::look(db, limits).await));
    let pending = match db.pending_migrations().await {
        Ok(pending) => pending.len(),
        Err(error) => {
            findings.push(unanswered("schema", &error));
            return findings;
        }
    };
    if pending > 0 {
        findings.push(Finding::error(
            "schema",
            format!("{pending} migrations are pending"),
            "this release cannot work on an older schema",
            "run `millpond migrate`",
        ));
        return findings;
    }
    findings.push(Finding::ok("schema", "up to date"));
    findings.extend(told("rights", server::rights(db).await));
    findings.extend(told("tables", tables::look(db, limits).await));
    findings.extend(told("indexes", indexes::look(db, limits).await));
    findings.extend(told("work", work::look(queue, limits).await));
    findings.extend(told("processes", fleet::look(queue, surroundings).await));
    findings
}

fn unreachable(error: &DatabaseError) -> Finding {
    Finding::error(
        "database",
        error_chain(error),
        "nothing can be enqueued or run without it",
        "check DATABASE_URL, that the server runs, and that it lets this machine in",
    )
}

/// What a family found, or that it could not look.
fn told(check: &'static str, found: Result<Vec<Finding>, DatabaseError>) -> Vec<Finding> {
    found.unwrap_or_else(|error| vec![unanswered(check, &error)])
}

fn unanswered(check: &'static str, error: &DatabaseError) -> Finding {
    Finding::error(
        check,
        error_chain(error),
        "this could not be looked at",
        "give the role of DATABASE_URL the rights of the role that ran `millpond migrate`, and run this again",
    )
}

/// All that was found, or that nothing was.
fn or_ok(findings: Vec<Finding>, check: &'static str, detail: &'static str) -> Vec<Finding> {
    if findings.is_empty() {
        vec![Finding::ok(check, detail)]
    } else {
        findings
    }
}
