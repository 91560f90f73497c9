//! The server: whether it keeps what it has accepted, its clock, its connections, its notifications, and whether our
//! tables are ours.

use chrono::Utc;

use super::{Finding, Limits};
use crate::{
    db::{Database, DatabaseError, within},
    store::doctor::server::{self as store, Connections, Foreign, Server},
};

/// Beyond this, receivers of our webhooks may refuse our signatures' times, and logs of two machines mislead.
pub(super) const CLOCK_SKEW_SECONDS: f64 = 2.0;
/// What is left is needed by whoever starts next, and by the one who comes to see what is wrong.
pub(super) const CONNECTIONS_SHARE: f64 = 0.8;
/// PostgreSQL itself begins to warn here.
pub(super) const NOTIFY_QUEUE_SHARE: f64 = 0.5;

pub(super) async fn look(db: &Database, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let read = within(async {
        let server = store::server(session.conn()).await?;
        let connections = store::connections(session.conn()).await?;
        Ok((server, connections))
    })
    .await;
    let (server, connections) = session.end(read)?;
    let mut findings = vec![database(&server)];
    findings.push(clock(&server, Utc::now().timestamp_micros(), limits));
    findings.extend(settings(&server));
    findings.push(in_use(connections, limits));
    findings.push(notifications(&server, limits));
    Ok(findings)
}

/// Whether our role may do with our tables what only an owner may.
pub(super) async fn rights(db: &Database) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let foreign = within(store::foreign_tables(session.conn())).await;
    let foreign = session.end(foreign)?;
    Ok(super::or_ok(
        foreign.iter().map(not_ours).collect(),
        "rights",
        "the role may do all that an owner may",
    ))
}

fn not_ours(foreign: &Foreign) -> Finding {
    let Foreign {
        role,
        owner,
        schema,
        tables,
    } = foreign;
    Finding::error(
        "rights",
        format!(
            "{tables} tables of schema {schema} belong to {owner}, whose rights {role} does not have"
        ),
        "only an owner makes and drops the days of the history, vacuums the hot table and migrates",
        format!("run as a superuser: GRANT {owner} TO {role};"),
    )
}

fn database(server: &Server) -> Finding {
    let version = server.version / 10_000;
    if server.is_standby {
        return Finding::error(
            "database",
            format!("PostgreSQL {version} answers, but as a standby, which takes no writes"),
            "nothing can be enqueued or run",
            "let DATABASE_URL name the primary, or promote this one: SELECT pg_promote();",
        );
    }
    Finding::ok("database", format!("PostgreSQL {version} answers"))
}

fn clock(server: &Server, here_micros: i64, limits: &Limits) -> Finding {
    let skew = here_micros as f64 / 1e6 - server.epoch_seconds;
    if skew.abs() <= limits.clock_skew_seconds {
        return Finding::ok("clock", format!("{skew:+.3} s against the database"));
    }
    Finding::warning(
        "clock",
        format!("this machine's clock differs by {skew:+.1} s from the database's"),
        "the database's clock decides when jobs run, but logs and signatures of webhooks use this one",
        "synchronise both machines' clocks (NTP)",
    )
}

fn settings(server: &Server) -> Vec<Finding> {
    let loses = "a crash of the server loses accepted jobs";
    let grows = "nothing removes dead rows: the hot tables grow without bound";
    let looked_at = [
        ("fsync", &server.fsync, loses),
        ("full_page_writes", &server.full_page_writes, loses),
        ("synchronous_commit", &server.synchronous_commit, loses),
        ("autovacuum", &server.autovacuum, grows),
        ("track_counts", &server.track_counts, grows),
    ];
    let off = looked_at.iter().filter(|(_, value, _)| *value == "off");
    let findings = off.map(|(name, _, why)| {
        let detail = format!("{name} is off");
        let remedy = format!("run: ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();");
        if *why == loses {
            Finding::error("settings", detail, loses, remedy)
        } else {
            Finding::warning("settings", detail, grows, remedy)
        }
    });
    super::or_ok(
        findings.collect(),
        "settings",
        "commits are durable, autovacuum runs",
    )
}

fn in_use(connections: Connections, limits: &Limits) -> Finding {
    let Connections { in_use, allowed } = connections;
    let share = in_use as f64 / allowed.max(1) as f64;
    if share <= limits.connections_share {
        return Finding::ok("connections", format!("{in_use} of {allowed} are in use"));
    }
    Finding::warning(
        "connections",
        format!("{in_use} of {allowed} connections are in use"),
        "processes that find none cannot work",
        "raise max_connections and restart the server, or put a pooler in front",
    )
}

fn notifications(server: &Server, limits: &Limits) -> Finding {
    let percent = server.notify_queue * 100.0;
    if server.notify_queue <= limits.notify_queue_share {
        return Finding::ok(
            "notifications",
            format!("their queue is {percent:.0} % full"),
        );
    }
    Finding::warning(
        "notifications",
        format!(
            "their queue is {percent:.0} % full: some session listens and stays in a transaction"
        ),
        "when it is full, every commit that notifies fails, and enqueued jobs wait to be polled",
        "end that session, the oldest of: SELECT pid, usename, application_name, xact_start FROM pg_stat_activity \
         WHERE state LIKE 'idle in transaction%' ORDER BY xact_start; with: SELECT pg_terminate_backend(PID);",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    fn healthy() -> Server {
        let on = || "on".to_owned();
        Server {
            version: 150_018,
            is_standby: false,
            epoch_seconds: 1_000.0,
            fsync: on(),
            full_page_writes: on(),
            synchronous_commit: on(),
            autovacuum: on(),
            track_counts: on(),
            notify_queue: 0.0,
        }
    }

    #[test]
    fn a_clock_may_differ_by_two_seconds() {
        for (here, severity) in [
            (1_002_000_000, Severity::Ok),
            (1_002_100_000, Severity::Warning),
            (997_900_000, Severity::Warning),
        ] {
            let finding = clock(&healthy(), here, &Limits::USUAL);

            assert_eq!(finding.severity, severity, "{finding:?}");
        }
    }

    // Fails when what a crash loses is taken for a matter of taste.
    #[test]
    fn what_can_lose_jobs_is_an_error_and_what_slows_them_a_warning() {
        let server = Server {
            synchronous_commit: "off".to_owned(),
            autovacuum: "off".to_owned(),
            ..healthy()
        };

        let found = settings(&server);

        let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
        assert!(found[0].remedy.contains("SET synchronous_commit = on"));
        assert_eq!(settings(&healthy())[0].severity, Severity::Ok);
    }

    #[test]
    fn a_standby_cannot_be_worked_on() {
        let server = Server {
            is_standby: true,
            ..healthy()
        };

        assert_eq!(database(&server).severity, Severity::Error);
    }

    #[test]
    fn a_few_connections_are_to_be_left() {
        let found = |in_use| {
            let connections = Connections {
                in_use,
                allowed: 100,
            };
            in_use_severity(connections)
        };

        assert_eq!([80, 81].map(found), [Severity::Ok, Severity::Warning]);
    }

    fn in_use_severity(connections: Connections) -> Severity {
        in_use(connections, &Limits::USUAL).severity
    }

    #[test]
    fn a_queue_of_notifications_that_fills_up_is_told() {
        let server = Server {
            notify_queue: 0.51,
            ..healthy()
        };

        let finding = notifications(&server, &Limits::USUAL);

        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.detail.contains("51 %"), "{}", finding.detail);
    }
}
