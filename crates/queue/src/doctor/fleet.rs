//! Our processes: who fell silent, whether they go by one configuration, and whether their connections fit.

use super::{Finding, Surroundings, words::lasting};
use crate::{
    Queue,
    db::{DatabaseError, within},
    store::{
        config::{self, RevisionText},
        doctor::{
            fleet::{self, Followers, Silent},
            server::{self, Connections},
        },
    },
};

pub(super) async fn look(
    queue: &Queue,
    surroundings: &Surroundings,
) -> Result<Vec<Finding>, DatabaseError> {
    let ttl_seconds = queue.config().lease.ttl.as_secs_f64();
    let db = queue.database();
    let mut session = db.request().await?;
    let read = within(async {
        let silent = fleet::silent_workers(session.conn(), ttl_seconds).await?;
        let followers = fleet::followers(session.conn(), ttl_seconds).await?;
        let newest = config::newest(session.conn()).await?;
        let connections = server::connections(session.conn()).await?;
        Ok((silent, followers, newest, connections))
    })
    .await;
    let (silent, followers, newest, connections) = session.end(read)?;
    let processes: i64 = followers.iter().map(|some| some.processes).sum();
    let mut findings: Vec<Finding> = silent.iter().map(fell_silent).collect();
    if findings.is_empty() {
        let detail = format!("{processes} work, and none fell silent");
        findings.push(Finding::ok("processes", detail));
    }
    // Behind a pooler in transaction mode the pooler's limits count.
    if db.pooler().await?.keeps_sessions() {
        findings.extend(crowd(
            processes,
            surroundings.connections_per_process,
            connections,
        ));
    }
    findings.extend(at_odds(&followers));
    findings.extend(beside(surroundings.file.as_deref(), newest.as_ref()));
    Ok(findings)
}

fn fell_silent(silent: &Silent) -> Finding {
    let Silent { host, pid, seconds } = silent;
    Finding::warning(
        "processes",
        format!(
            "process {pid} on {host} said that it works, and says so no more for {}",
            lasting(*seconds)
        ),
        "it died or lost the database; its jobs are taken back, each with an attempt lost",
        "see its log, and that another was started in its place",
    )
}

fn crowd(processes: i64, each: u32, connections: Connections) -> Option<Finding> {
    let wanted = processes.saturating_mul(i64::from(each));
    (wanted > connections.allowed).then(|| {
        Finding::warning(
            "connections",
            format!(
                "{processes} processes that work may open {each} connections each, {wanted} together, and {} are allowed",
                connections.allowed
            ),
            "under load some of them find none, and work stops there",
            format!("raise max_connections above {wanted} and restart the server, or put a pooler in front"),
        )
    })
}

fn at_odds(followers: &[Followers]) -> Option<Finding> {
    let each = followers.iter().map(|some| {
        let what = some
            .revision
            .map_or_else(|| "none".to_owned(), |revision| revision.to_string());
        format!("revision {what}: {}", some.which)
    });
    let told = each.collect::<Vec<_>>().join("; ");
    (followers.len() > 1).then(|| {
        Finding::warning(
            "configuration",
            format!("processes go by different revisions ({told})"),
            "queues are worked on by different rules, depending on who claims",
            "look again after 5 s; one that stays behind says in its log what it cannot take",
        )
    })
}

fn beside(file: Option<&str>, newest: Option<&RevisionText>) -> Option<Finding> {
    let (file, newest) = (file?, newest?);
    (file != newest.text).then(|| {
        let revision = newest.revision;
        Finding::warning(
            "configuration",
            format!("the jobs.toml of this machine is not revision {revision}, which holds"),
            "a process that starts with this file goes by the revision all the same",
            "run `millpond config plan` to see what the file would change, and `millpond config apply` to put it \
             in force; `millpond config history` tells who put what in force",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_may_want_as_many_connections_as_there_are() {
        let connections = Connections {
            in_use: 0,
            allowed: 97,
        };

        assert!(crowd(3, 29, connections).is_none());
        assert!(crowd(4, 29, connections).is_some());
        assert!(crowd(400, 0, connections).is_none());
    }

    #[test]
    fn a_file_is_compared_where_there_is_a_revision() {
        let newest = RevisionText {
            revision: 7,
            text: "version = 1\n".to_owned(),
        };

        assert!(beside(Some("version = 1\n"), Some(&newest)).is_none());
        assert!(beside(Some("version = 1"), Some(&newest)).is_some());
        assert!(beside(None, Some(&newest)).is_none());
        assert!(beside(Some("version = 1"), None).is_none());
    }
}
