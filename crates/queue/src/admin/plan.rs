//! `config plan`: what a text would change for the work that is there. It reads and stores nothing.

use std::{panic, time::Duration};

use sqlx::{Connection, PgConnection};
use tokio::sync::Semaphore;

use super::{AdminError, ConfigText};
use crate::{
    Queue, budgets,
    config::{Config, Layered, Override},
    db::{DatabaseError, within},
    plan::{Asked, ConfigPlan, Facts, Revision, Side, Sides, weigh},
    store::{self, config::RevisionText, plan as backlog, queues, schedules, workers},
};

/// Longest that a plan may wait for its turn and read.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the history that are read to count what is deleted of it. Of a larger one a part is read.
const READ_BYTES: i64 = 256 << 20;
/// A process makes one plan at a time: each reads up to a million jobs, and has a connection and a snapshot meanwhile.
static TURN: Semaphore = Semaphore::const_new(1);

/// A text that could be put in force.
struct Text {
    text: String,
    written: Layered,
}

impl Queue {
    /// What would follow if this text were put in force, compared with what holds for the fleet now.
    ///
    /// # Errors
    /// As [`Queue::apply_config`] for a text that could not be applied; when the database cannot be asked.
    pub async fn plan_config(&self, text: ConfigText) -> Result<ConfigPlan, AdminError> {
        let (sides, facts) = self.gather(text).await?;
        let weighed = tokio::task::spawn_blocking(move || weigh(sides, &facts)).await;
        // Nobody cancels it: what gave no plan has panicked, and does so here.
        weighed.or_else(|error| panic::resume_unwind(error.into_panic()))
    }

    /// What holds, what would hold, and what that is weighed against: all of one moment.
    pub(crate) async fn gather(&self, text: ConfigText) -> Result<(Sides, Facts), AdminError> {
        let text = match text {
            ConfigText::New(text) => text,
            ConfigText::Of(revision) => self.text_of(revision).await?,
        };
        let written = self.applicable(&text)?;
        let new = Text { text, written };
        let gathering = async {
            let _turn = TURN.acquire().await;
            let mut session = self.shared.db.request().await?;
            let read = Box::pin(self.read(session.conn(), new)).await;
            session.end(read)?
        };
        let gathered = tokio::time::timeout(PATIENCE, gathering).await;
        gathered.map_err(|_| DatabaseError::TimedOut)?
    }

    /// By one snapshot, which reads and nothing else.
    async fn read(
        &self,
        conn: &mut PgConnection,
        new: Text,
    ) -> Result<Result<(Sides, Facts), AdminError>, DatabaseError> {
        let begin = conn.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
        let mut tx = within(begin).await?;
        let newest = within(store::config::newest(&mut *tx)).await?;
        let overrides = within(store::config::overrides(&mut *tx)).await?;
        let overrides: Vec<Override> = overrides.into_iter().map(Override::from).collect();
        let sides = self.sides(new, newest, &overrides);
        let sides = match sides {
            Ok(sides) => sides,
            Err(error) => return Ok(Err(error)),
        };
        let registered = self.shared.kind_names().map(str::to_owned).collect();
        let asked = Asked::for_sides(&sides, registered);
        let silent_seconds = self.shared.config().lease.ttl.as_secs_f64();
        let mut facts = of_now(&mut tx, &asked, silent_seconds).await?;
        of_change(&mut tx, &asked, &sides.after.holds, &mut facts).await?;
        facts.registered = asked.registered;
        within(tx.rollback()).await?;
        Ok(Ok((sides, facts)))
    }

    /// What holds and what would hold, under the overrides of now.
    fn sides(
        &self,
        new: Text,
        newest: Option<RevisionText>,
        overrides: &[Override],
    ) -> Result<Sides, AdminError> {
        let holds = self.shared.live.read(&new.text, overrides);
        let holds = holds.map_err(AdminError::Configuration)?;
        let (revision, before, lost_already) = self.in_force_side(newest, overrides);
        let mut lost_overrides = holds.ignored;
        lost_overrides.retain(|lost| !lost_already.contains(&lost.setting.key));
        Ok(Sides {
            revision,
            before,
            after: Side {
                written: new.written.config,
                holds: holds.config,
            },
            lost_overrides,
            warnings: new.written.warnings,
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
}

/// What every change is weighed against.
async fn of_now(
    conn: &mut PgConnection,
    asked: &Asked,
    silent_seconds: f64,
) -> Result<Facts, DatabaseError> {
    let (kinds, timeouts) = (&asked.kinds, &asked.timeouts);
    let mut facts = Facts {
        at: within(backlog::clock(&mut *conn)).await?,
        jobs: within(backlog::jobs(&mut *conn, &asked.attempts)).await?,
        kept: within(backlog::kept_depths(&mut *conn)).await?,
        run_times: within(backlog::run_times(&mut *conn, kinds, timeouts)).await?,
        arrivals: within(backlog::arrivals(&mut *conn)).await?,
        starts: within(backlog::starts(&mut *conn)).await?,
        workers: within(workers::list(&mut *conn, silent_seconds)).await?,
        schedules: within(schedules::list(&mut *conn, None)).await?,
        ..Facts::default()
    };
    let queues = within(queues::list(&mut *conn)).await?;
    let paused = queues.into_iter().filter(|queue| queue.paused_at.is_some());
    facts.paused_queues = paused.map(|queue| queue.name).collect();
    Ok(facts)
}

/// What changes of limits and of retention are weighed against beside that.
async fn of_change(
    conn: &mut PgConnection,
    asked: &Asked,
    after: &Config,
    facts: &mut Facts,
) -> Result<(), DatabaseError> {
    if !asked.keyed_kinds.is_empty() {
        let (kinds, most) = (&asked.keyed_kinds, &asked.per_key);
        facts.crowded = within(backlog::crowded_keys(&mut *conn, kinds, most)).await?;
    }
    if !asked.lined_kinds.is_empty() {
        facts.lines = within(backlog::lines(&mut *conn, &asked.lined_kinds)).await?;
    }
    if asked.has_tighter_budgets {
        facts.budgets = within(budgets::standings(&mut *conn, after)).await?;
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
    Ok(())
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
