//! The fleet's gauges of schedules, and what became of the jobs that their ticks made.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};

use super::Lead;
use crate::{
    client::Shared,
    config::Config,
    db::{DatabaseError, within},
    metrics::fleet,
    store::schedules::{self, Ended},
};

/// Notes what became of the jobs of ticks. The transaction is its own, and touches the rows of schedules last: whoever
/// decides ticks or pauses a schedule is hardly ever held up.
pub(super) async fn note_ended(shared: &Shared, lead: &Lead) -> Result<(), DatabaseError> {
    let keep_nothing = keep_nothing(&shared.config());
    let mut session = shared.db.request().await?;
    let noted = within(async {
        let mut tx = session.conn().begin().await?;
        if lead.hold(&mut tx).await? {
            schedules::forget_triggers(&mut *tx).await?;
            let ended = schedules::note_ended(&mut *tx, &keep_nothing).await?;
            let (names, times): (Vec<String>, Vec<DateTime<Utc>>) =
                successes(ended).into_iter().unzip();
            if !names.is_empty() {
                schedules::note_successes(&mut *tx, &names, &times).await?;
            }
        }
        tx.commit().await
    })
    .await;
    session.end(noted)
}

/// The schedules whose jobs leave nothing behind when they succeed.
fn keep_nothing(config: &Config) -> Vec<String> {
    let keeps_nothing = |kind: &str| config.policy(kind).retain_succeeded.is_zero();
    let schedules = config.schedules.iter();
    schedules
        .filter(|(_, schedule)| keeps_nothing(&schedule.kind))
        .map(|(name, _)| name.clone())
        .collect()
}

/// When the latest job of each schedule succeeded.
fn successes(ended: Vec<Ended>) -> BTreeMap<String, DateTime<Utc>> {
    let mut latest: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
    for job in ended.into_iter().filter(|job| job.ended == "succeeded") {
        let at = latest.entry(job.schedule).or_insert(job.at);
        *at = job.at.max(*at);
    }
    latest
}

/// The schedules that the leader has shown.
#[derive(Debug, Default)]
pub(super) struct ScheduleGauges {
    shown: HashSet<String>,
}

impl ScheduleGauges {
    /// Shows when each schedule ticks next and last succeeded.
    pub(super) async fn show(
        &mut self,
        conn: &mut PgConnection,
        shared: &Shared,
    ) -> Result<(), sqlx::Error> {
        let config = shared.config();
        let mut gone = std::mem::take(&mut self.shown);
        for row in schedules::list(conn, None).await? {
            let schedule = config.schedules.get(&row.name);
            let Some(schedule) = schedule.filter(|schedule| shared.has_kind(&schedule.kind)) else {
                continue;
            };
            // From where it is decided, not from now: a tick that nobody makes shows as one that lies in the past.
            fleet::next_tick(&row.name, schedule.next_tick(row.evaluated_until));
            if row.last_success_at.is_some() {
                fleet::last_success(&row.name, row.last_success_at);
            }
            gone.remove(&row.name);
            self.shown.insert(row.name);
        }
        for name in gone {
            fleet::next_tick(&name, None);
            fleet::last_success(&name, None);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sqlx::PgPool;

    use crate::{
        leader::{stats::Gauges, tests::lead},
        tests::fixture::{FAST, engine, until, waiting_for_locks},
    };

    /// Its kind keeps no jobs that succeeded.
    const SELDOM: &str = "[kinds.\"test.work\"]\nretain_succeeded = \"0s\"\n\
                          [schedules.s]\nkind = \"test.work\"\ncron = \"0 0 29 2 *\"\n";

    // Fails when what became of jobs is noted in the transaction that reads the gauges: it would hold schedules up for as
    // long as that takes.
    #[sqlx::test(migrations = "../../migrations")]
    async fn ends_of_jobs_are_noted_though_gauges_cannot_be_read(db: PgPool) -> anyhow::Result<()> {
        let queue = engine(&db, &format!("{FAST}{SELDOM}"));
        let lead = lead(&db).await?;
        sqlx::raw_sql(
            "INSERT INTO millpond.schedules (name, evaluated_until) VALUES ('s', now());
             INSERT INTO millpond.schedule_ticks (schedule, tick, outcome, job_id)
             VALUES ('s', now(), 'enqueued', gen_random_uuid())",
        )
        .execute(&db)
        .await?;
        let mut other = db.begin().await?;
        sqlx::raw_sql("LOCK TABLE millpond.budgets")
            .execute(&mut *other)
            .await?;

        let shared = Arc::clone(&queue.shared);
        let reading =
            tokio::spawn(async move { Gauges::default().collect(&shared, &lead).await.is_ok() });
        let noted = until("an end is noted", || async {
            let noted = "SELECT count(*) FROM millpond.schedules WHERE last_success_at IS NOT NULL";
            let noted: i64 = sqlx::query_scalar(noted).fetch_one(&db).await?;
            Ok(noted == 1 && waiting_for_locks(&db).await? > 0)
        })
        .await;
        other.rollback().await?;

        noted?;
        assert!(reading.await?);
        Ok(())
    }
}
