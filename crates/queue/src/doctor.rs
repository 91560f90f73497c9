//! What `doctor` finds: each finding says what, why it matters, and what mends it.

use chrono::Utc;
use serde::Serialize;

use crate::{
    Queue,
    db::{DatabaseError, within},
    error_chain,
    store::{
        doctor::{self, Server},
        stats,
    },
};

/// Most that the clocks may differ, in seconds.
const CLOCK_TOLERANCE: f64 = 2.0;
/// Share of the server's connections in use beyond which it is worth a word.
const CONNECTIONS_TOLERATED: f64 = 0.8;

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

    fn bad(
        severity: Severity,
        check: &'static str,
        detail: impl Into<String>,
        why: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            check,
            detail: detail.into(),
            why,
            remedy: remedy.into(),
        }
    }
}

/// Looks at the database, its schema and its clock, at kinds that nobody works on and leases that nobody renews.
pub async fn diagnose(queue: &Queue) -> Vec<Finding> {
    match database(queue).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::bad(
            Severity::Error,
            "database",
            error_chain(&error),
            "nothing can be enqueued or run without it",
            "check DATABASE_URL, that the server runs, and that it lets this machine in",
        )],
    }
}

async fn database(queue: &Queue) -> Result<Vec<Finding>, DatabaseError> {
    let db = queue.database();
    let mut session = db.request().await?;
    let server = within(doctor::server(session.conn())).await;
    let server = session.end(server)?;
    let mut findings = vec![Finding::ok(
        "database",
        format!("PostgreSQL {} answers", server.version / 10_000),
    )];
    findings.push(clock(&server));
    findings.extend(settings(&server));
    let pending = db.pending_migrations().await?;
    if !pending.is_empty() {
        findings.push(Finding::bad(
            Severity::Error,
            "schema",
            format!("{} migrations are pending", pending.len()),
            "this release cannot work on an older schema",
            "run `millpond migrate`",
        ));
        return Ok(findings);
    }
    findings.push(Finding::ok("schema", "up to date"));
    findings.extend(work(queue).await?);
    Ok(findings)
}

fn clock(server: &Server) -> Finding {
    let here = Utc::now().timestamp_micros();
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds since 1970 fit a double for centuries"
    )]
    let skew = here as f64 / 1e6 - server.epoch_seconds;
    if skew.abs() <= CLOCK_TOLERANCE {
        return Finding::ok("clock", format!("{skew:+.3} s against the database"));
    }
    Finding::bad(
        Severity::Warning,
        "clock",
        format!("this machine's clock differs by {skew:+.1} s from the database's"),
        "the database's clock decides when jobs run, but logs and signatures of webhooks use this one",
        "synchronise both machines' clocks (NTP)",
    )
}

fn settings(server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in [
        ("fsync", &server.fsync),
        ("full_page_writes", &server.full_page_writes),
        ("synchronous_commit", &server.synchronous_commit),
        ("autovacuum", &server.autovacuum),
    ] {
        if value == "off" {
            findings.push(Finding::bad(
                if name == "autovacuum" {
                    Severity::Warning
                } else {
                    Severity::Error
                },
                "settings",
                format!("{name} is off"),
                if name == "autovacuum" {
                    "the hot tables grow without bound"
                } else {
                    "a crash of the server loses accepted jobs"
                },
                format!("run: ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            "settings",
            "commits are durable, autovacuum runs",
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "connections are few")]
    let share = server.connections as f64 / server.max_connections.max(1) as f64;
    findings.push(if share > CONNECTIONS_TOLERATED {
        Finding::bad(
            Severity::Warning,
            "connections",
            format!(
                "{} of {} connections are in use",
                server.connections, server.max_connections
            ),
            "processes that find none cannot work",
            "raise max_connections, or put PgBouncer in front",
        )
    } else {
        Finding::ok(
            "connections",
            format!("{} of {}", server.connections, server.max_connections),
        )
    });
    findings
}

async fn work(queue: &Queue) -> Result<Vec<Finding>, DatabaseError> {
    let lease = &queue.config().lease;
    let mut session = queue.database().request().await?;
    let read = within(async {
        let unclaimable = stats::unclaimable(session.conn(), lease.ttl.as_secs_f64()).await?;
        let stuck = doctor::stuck_leases(session.conn(), lease.ttl.as_secs_f64()).await?;
        let snapshot = stats::oldest_snapshot(session.conn()).await?;
        Ok((unclaimable, stuck, snapshot))
    })
    .await;
    let (unclaimable, stuck, snapshot) = session.end(read)?;
    let mut findings: Vec<Finding> = unclaimable
        .into_iter()
        .map(|kind| {
            Finding::bad(
                Severity::Warning,
                "kinds",
                format!("{} ready jobs of kind {} have no worker that knows it", kind.count, kind.word),
                "they wait until one does",
                "start a `millpond serve --roles worker` of a release that has the kind, or declare its target in jobs.toml",
            )
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(
            "kinds",
            "every ready job has a worker that knows its kind",
        ));
    }
    findings.push(if stuck > 0 {
        Finding::bad(
            Severity::Error,
            "leases",
            format!("{stuck} jobs are under leases that ran out long ago"),
            "their workers died and nobody takes the jobs back",
            "start a process with the role scheduler or worker",
        )
    } else {
        Finding::ok("leases", "none has run out unnoticed")
    });
    findings.push(if snapshot > 60.0 {
        Finding::bad(
            Severity::Warning,
            "snapshots",
            format!("a session has kept a snapshot open for {snapshot:.0} s"),
            "dead rows cannot be cleaned up meanwhile, and claims slow down",
            "see who it is: SELECT pid, application_name, state, xact_start FROM pg_stat_activity WHERE backend_xmin IS NOT NULL ORDER BY xact_start;",
        )
    } else {
        Finding::ok("snapshots", "none is old")
    });
    Ok(findings)
}
