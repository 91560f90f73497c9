//! `config plan`: what a text would change for the work that is there. It reads and stores nothing.

use std::{panic, time::Duration};

use sqlx::PgConnection;

use super::{AdminError, ConfigText};
use crate::{
    Queue,
    config::Override,
    db::{DatabaseError, within},
    plan::{Asked, ConfigPlan, Facts, Revision, Side, Sides, weigh},
    store::{self, config::RevisionText, plan as backlog, queues, schedules, workers},
};

/// Longest that all statements may take together.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the history that are read to count what is deleted of it. Of a larger one a part is read.
const READ_BYTES: i64 = 256 << 20;

impl Queue {
    /// What would follow if this text were put in force, compared with what holds for the fleet now.
    ///
    /// # Errors
    /// As [`Queue::apply_config`] for a text that could not be applied; when the database cannot be asked.
    pub async fn plan_config(&self, text: ConfigText) -> Result<ConfigPlan, AdminError> {
        let sides = self.sides(text).await?;
        let facts = self.facts(&sides).await?;
        let weighed = tokio::task::spawn_blocking(move || weigh(sides, &facts)).await;
        // Nobody cancels it: what gave no plan has panicked, and does so here.
        weighed.or_else(|error| panic::resume_unwind(error.into_panic()))
    }

    /// What holds and what would hold, under the overrides of now.
    pub(crate) async fn sides(&self, text: ConfigText) -> Result<Sides, AdminError> {
        let text = match text {
            ConfigText::New(text) => text,
            ConfigText::Of(revision) => self.text_of(revision).await?,
        };
        let mut session = self.shared.db.request().await?;
        let fleet = within(async {
            let conn = session.conn();
            let newest = store::config::newest(&mut *conn).await?;
            let overrides = store::config::overrides(&mut *conn).await?;
            Ok((newest, overrides))
        })
        .await;
        let (newest, overrides) = session.end(fleet)?;
        let overrides: Vec<Override> = overrides.into_iter().map(Override::from).collect();

        let live = &self.shared.live;
        let written = live.read(&text, &[]).map_err(AdminError::Configuration)?;
        if let Some(problem) = live.check(&written.config).into_iter().next() {
            return Err(AdminError::invalid("/text", problem));
        }
        let holds = live.read(&text, &overrides);
        let holds = holds.map_err(AdminError::Configuration)?;
        let (revision, before, lost_already) = self.in_force_side(newest, &overrides);
        let mut lost_overrides = holds.ignored;
        lost_overrides.retain(|lost| !lost_already.contains(&lost.setting.key));
        Ok(Sides {
            revision,
            before,
            after: Side {
                written: written.config,
                holds: holds.config,
            },
            lost_overrides,
            warnings: written.warnings,
        })
    }

    /// What holds, where it comes from, and the keys of overrides that have no effect.
    fn in_force_side(
        &self,
        newest: Option<RevisionText>,
        overrides: &[Override],
    ) -> (Revision, Side, Vec<String>) {
        let live = &self.shared.live;
        let (revision, text) = match newest {
            Some(newest) => (Revision::Number(newest.revision), newest.text),
            None => (Revision::None, String::new()),
        };
        if let (Ok(written), Ok(holds)) = (live.read(&text, &[]), live.read(&text, overrides)) {
            let lost = holds.ignored.into_iter().map(|lost| lost.setting.key);
            let side = Side {
                written: written.config,
                holds: holds.config,
            };
            return (revision, side, lost.collect());
        }
        let in_force = live.in_force();
        let revision = match revision {
            Revision::Number(number) | Revision::Unreadable(number) => Revision::Unreadable(number),
            Revision::None => Revision::None,
        };
        let side = Side {
            written: (*in_force.config).clone(),
            holds: (*in_force.config).clone(),
        };
        let lost = in_force.ignored.iter().map(|lost| lost.setting.key.clone());
        (revision, side, lost.collect())
    }

    /// What the change is weighed against.
    pub(crate) async fn facts(&self, sides: &Sides) -> Result<Facts, AdminError> {
        let registered = self.shared.kind_names().map(str::to_owned).collect();
        let asked = Asked::for_sides(sides, registered);
        let silent_seconds = self.shared.config().lease.ttl.as_secs_f64();
        let mut session = self.shared.db.request().await?;
        let reading = read(session.conn(), asked, silent_seconds);
        let facts = tokio::time::timeout(PATIENCE, reading).await;
        Ok(session.end(facts.unwrap_or(Err(DatabaseError::TimedOut)))?)
    }
}

async fn read(
    conn: &mut PgConnection,
    asked: Asked,
    silent_seconds: f64,
) -> Result<Facts, DatabaseError> {
    let mut facts = Facts {
        at: within(backlog::clock(&mut *conn)).await?,
        jobs: within(backlog::jobs(&mut *conn, &asked.attempts)).await?,
        kept: within(backlog::kept_depths(&mut *conn)).await?,
        run_times: within(backlog::run_times(
            &mut *conn,
            &asked.kinds,
            &asked.timeouts,
        ))
        .await?,
        arrivals: within(backlog::arrivals(&mut *conn)).await?,
        workers: within(workers::list(&mut *conn, silent_seconds)).await?,
        schedules: within(schedules::list(&mut *conn, None)).await?,
        ..Facts::default()
    };
    let queues = within(queues::list(&mut *conn)).await?;
    let paused = queues.into_iter().filter(|queue| queue.paused_at.is_some());
    facts.paused_queues = paused.map(|queue| queue.name).collect();
    if !asked.keyed_kinds.is_empty() {
        let (kinds, most) = (&asked.keyed_kinds, &asked.per_key);
        facts.crowded = within(backlog::crowded_keys(&mut *conn, kinds, most)).await?;
    }
    if let Some((span, ages)) = &asked.finished {
        let bytes = within(backlog::history_bytes(&mut *conn, *span)).await?;
        facts.finished_percent = percent_to_read(bytes);
        let finished = backlog::finished(&mut *conn, facts.finished_percent, *span, ages);
        facts.finished = within(finished).await?;
    }
    if let Some(ages) = asked.finished_of_others {
        let bytes = within(backlog::history_bytes(&mut *conn, ages)).await?;
        facts.others_percent = percent_to_read(bytes);
        let others =
            backlog::finished_of_others(&mut *conn, facts.others_percent, ages, &asked.known);
        facts.finished_of_others = within(others).await?;
    }
    if let Some(ages) = asked.letters {
        facts.letters = within(backlog::letters(&mut *conn, ages)).await?;
    }
    facts.registered = asked.registered;
    Ok(facts)
}

/// The share of pages to read of so many bytes.
fn percent_to_read(bytes: i64) -> f32 {
    if bytes <= READ_BYTES {
        return 100.0;
    }
    (100.0 * READ_BYTES as f64 / bytes as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_is_too_large_is_read_in_part() {
        assert!((percent_to_read(0) - 100.0).abs() < f32::EPSILON);
        assert!((percent_to_read(READ_BYTES) - 100.0).abs() < f32::EPSILON);
        assert!((percent_to_read(READ_BYTES * 8) - 12.5).abs() < f32::EPSILON);
    }
}
