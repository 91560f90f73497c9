//! Who keeps dead rows from being removed, and who sits in a transaction and does nothing.

use super::{Finding, Limits, words::lasting};
use crate::{
    db::{Database, DatabaseError, within},
    store::doctor::{
        server,
        sessions::{self, Holder, Idle},
    },
};

/// Within this time one idle snapshot slows claims twentyfold.
pub(super) const SNAPSHOT_SECONDS: f64 = 30.0;
/// What a busy fleet commits in that time: the measure where nobody knows since when.
pub(super) const SNAPSHOT_TRANSACTIONS: i32 = 100_000;
/// Our own sessions are ended after 10 s; others may be slower, but not as slow as a snapshot may be old.
pub(super) const IDLE_SECONDS: f64 = 30.0;

pub(super) async fn look(db: &Database, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let mut session = db.request().await?;
    let read = within(async {
        let holders = sessions::holders(session.conn()).await?;
        let idle = sessions::idle_in_transaction(session.conn()).await?;
        let sees_all = server::sees_all_sessions(session.conn()).await?;
        Ok((holders, idle, sees_all))
    })
    .await;
    let (holders, idle, sees_all) = session.end(read)?;
    let old = holders.iter().filter(|holder| is_old(holder, limits));
    let mut findings = super::or_ok(
        old.map(held_back).collect(),
        "snapshots",
        if sees_all {
            "none is old"
        } else {
            "none is old, as far as this role sees: GRANT pg_monitor shows it how old those of other roles are"
        },
    );
    let long = idle
        .iter()
        .filter(|idle| idle.seconds > limits.idle_seconds);
    findings.extend(super::or_ok(
        long.map(idles).collect(),
        "sessions",
        "none sits in a transaction and does nothing",
    ));
    Ok(findings)
}

fn is_old(holder: &Holder, limits: &Limits) -> bool {
    match holder.seconds {
        Some(seconds) => seconds > limits.snapshot_seconds,
        None => holder.transactions > limits.snapshot_transactions,
    }
}

fn held_back(holder: &Holder) -> Finding {
    let Holder {
        name,
        who,
        transactions,
        ..
    } = holder;
    let since = match holder.seconds {
        Some(seconds) => lasting(seconds),
        None => format!("{transactions} transactions"),
    };
    let (detail, remedy) = match holder.sort.as_str() {
        "prepared" => (
            format!("the prepared transaction {name} of {who} has waited for its end for {since}"),
            format!("run: ROLLBACK PREPARED {name}; (or COMMIT PREPARED {name};)"),
        ),
        "slot" => (
            format!("the replication slot {name}, {who}, holds rows that died up to {since} ago"),
            format!(
                "if nobody needs it, run: SELECT pg_drop_replication_slot({name}); else end the old query on its standby"
            ),
        ),
        "standby" => (
            format!("the standby {name} ({who}) holds rows that died up to {since} ago"),
            "end its old query there, or run there: ALTER SYSTEM SET hot_standby_feedback = off; SELECT pg_reload_conf();"
                .to_owned(),
        ),
        _ => (
            format!("session {name} ({who}) has held a snapshot for {since}"),
            format!("run: SELECT pg_terminate_backend({name});"),
        ),
    };
    Finding::warning(
        "snapshots",
        detail,
        "no dead row that is younger can be removed, and claims slow down within half a minute",
        remedy,
    )
}

fn idles(idle: &Idle) -> Finding {
    let Idle { pid, who, seconds } = idle;
    Finding::warning(
        "sessions",
        format!(
            "session {pid} ({who}) began a transaction and has done nothing for {}",
            lasting(*seconds)
        ),
        "what it has locked stays locked, and what it can see is kept",
        format!("run: SELECT pg_terminate_backend({pid});"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(sort: &str, seconds: Option<f64>, transactions: i32) -> Holder {
        Holder {
            sort: sort.to_owned(),
            name: "'x'".to_owned(),
            who: "ada".to_owned(),
            seconds,
            transactions,
        }
    }

    #[test]
    fn where_the_time_is_unknown_transactions_count() {
        for (holder, expected) in [
            (holder("session", Some(31.0), 0), true),
            (holder("session", Some(29.0), 1_000_000), false),
            (holder("standby", None, 100_001), true),
            (holder("standby", None, 100_000), false),
        ] {
            assert_eq!(is_old(&holder, &Limits::USUAL), expected, "{holder:?}");
        }
    }

    #[test]
    fn each_sort_of_holder_has_a_remedy_of_its_own() {
        for (sort, remedy) in [
            ("prepared", "ROLLBACK PREPARED 'x';"),
            ("slot", "pg_drop_replication_slot('x')"),
            ("standby", "hot_standby_feedback = off"),
            ("session", "pg_terminate_backend('x')"),
        ] {
            let finding = held_back(&holder(sort, None, 200_000));

            assert!(finding.remedy.contains(remedy), "{finding:?}");
            assert!(
                finding.detail.contains("200000 transactions"),
                "{finding:?}"
            );
        }
    }
}
