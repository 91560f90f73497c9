//! The fleet's gauges of schedules, and what became of the jobs that their ticks made.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    client::Shared,
    config::Config,
    metrics::fleet,
    store::schedules::{self, Ended},
};

/// The schedules that the leader has shown.
#[derive(Debug, Default)]
pub(super) struct ScheduleGauges {
    shown: HashSet<String>,
}

impl ScheduleGauges {
    /// Notes what became of jobs, and shows when each schedule ticks next and last succeeded.
    pub(super) async fn show(
        &mut self,
        conn: &mut PgConnection,
        shared: &Shared,
    ) -> Result<(), sqlx::Error> {
        let config = shared.config();
        note_ended(&mut *conn, &config).await?;
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

async fn note_ended(conn: &mut PgConnection, config: &Config) -> Result<(), sqlx::Error> {
    let keeps_nothing = |kind: &str| config.policy(kind).retain_succeeded.is_zero();
    let keep_nothing: Vec<String> = config
        .schedules
        .iter()
        .filter(|(_, schedule)| keeps_nothing(&schedule.kind))
        .map(|(name, _)| name.clone())
        .collect();
    let ended = schedules::note_ended(&mut *conn, &keep_nothing).await?;
    let (names, times): (Vec<String>, Vec<DateTime<Utc>>) = successes(ended).into_iter().unzip();
    if !names.is_empty() {
        schedules::note_successes(conn, &names, &times).await?;
    }
    Ok(())
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
