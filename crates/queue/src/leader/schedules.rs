//! The duty of making ticks: asleep until the next one is due, by the database's clock, and awake at once when the
//! configuration changes. Only the leader makes ticks, so twenty processes cost no more than one; what happens where two
//! think that they lead is the business of `schedules/scheduler.rs`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Lead, failed};
use crate::{
    client::Shared,
    config::Config,
    db::DatabaseError,
    error_chain, metrics,
    schedules::{
        jobs::Named,
        scheduler::{self, Decided, Turn},
    },
};

/// How often the schedules are looked at as a whole though nothing is due: new ones begin, quiet ones move on.
const LOOK: Duration = Duration::from_secs(60);
/// The wait after a turn that failed or was taken by somebody else.
const RETRY: Duration = Duration::from_secs(1);

/// Makes ticks for as long as this process leads.
pub(super) async fn make_ticks(shared: &Shared, lead: &Lead) {
    let mut changes = shared.live.changes();
    let mut agenda = Agenda::default();
    loop {
        let wait = match Box::pin(agenda.round(shared, lead)).await {
            Ok(wait) => wait,
            Err(error) => {
                failed("schedules", &error);
                RETRY
            }
        };
        // Both are cancel-safe.
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = changes.changed() => agenda.looked_at = None,
        }
    }
}

/// What is due when.
#[derive(Debug, Default)]
struct Agenda {
    config: Option<Arc<Config>>,
    /// Of each schedule that ticks, its next tick.
    next: BTreeMap<String, DateTime<Utc>>,
    clock: Option<Clock>,
    /// `None`: the schedules are to be looked at as a whole.
    looked_at: Option<Instant>,
}

impl Agenda {
    /// Takes the turns that are due; tells how long nothing will be.
    async fn round(&mut self, shared: &Shared, lead: &Lead) -> Result<Duration, DatabaseError> {
        if !lead.holds() {
            return Ok(RETRY);
        }
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK) && !self.look(shared, lead).await? {
            return Ok(RETRY);
        }
        let mut is_late = false;
        for name in self.due() {
            if !lead.holds() {
                return Ok(RETRY);
            }
            is_late |= !self.take_turn(shared, lead, &name).await;
        }
        let wait = self.wait();
        Ok(if is_late { wait.min(RETRY) } else { wait })
    }

    /// Reads how far each schedule is decided; `false` where another process leads.
    async fn look(&mut self, shared: &Shared, lead: &Lead) -> Result<bool, DatabaseError> {
        let (config, mandate) = (shared.config(), lead.mandate());
        let before = self.config.as_ref().map(|before| &before.schedules);
        if let Some(before) = before.filter(|before| **before != config.schedules) {
            // Up to now their old times hold: a changed schedule has none of its new ones to make up for.
            scheduler::look(shared, before, &mandate).await?;
        }
        let Some(standings) = scheduler::look(shared, &config.schedules, &mandate).await? else {
            return Ok(false);
        };
        self.config = Some(config);
        self.looked_at = Some(Instant::now());
        self.next.clear();
        for (name, decided) in standings {
            metrics::count_schedule_ticks(&name);
            self.decided(&name, decided);
        }
        Ok(true)
    }

    /// The schedules whose next tick has come, those that wait longest first.
    fn due(&self) -> Vec<String> {
        let Some(now) = self.clock.map(Clock::now) else {
            return Vec::new();
        };
        let mut due: Vec<_> = self.next.iter().filter(|(_, next)| **next <= now).collect();
        due.sort_by_key(|(_, next)| **next);
        due.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Decides the due ticks of a schedule; `false` where that is to be tried again. One that fails holds up no other.
    async fn take_turn(&mut self, shared: &Shared, lead: &Lead, name: &str) -> bool {
        let config = self.config.clone();
        let Some(schedule) = config
            .as_ref()
            .and_then(|config| config.schedules.get(name))
        else {
            return true;
        };
        let named = Named { name, schedule };
        match scheduler::take_turn(shared, named, &lead.mandate()).await {
            Ok(Turn::Decided(decided)) => {
                self.decided(name, decided);
                true
            }
            Ok(Turn::Busy | Turn::NotLeading) => false,
            Err(error) => {
                tracing::warn!(schedule.name = name, error = %error_chain(&error),
                    "ticks could not be decided; trying again");
                false
            }
        }
    }

    fn decided(&mut self, name: &str, decided: Decided) {
        self.clock = Some(Clock::at(decided.now));
        let schedules = self.config.as_ref().map(|config| &config.schedules);
        let schedule = schedules.and_then(|schedules| schedules.get(name));
        match schedule.and_then(|schedule| schedule.next_tick(decided.until)) {
            Some(next) => self.next.insert(name.to_owned(), next),
            None => self.next.remove(name),
        };
    }

    /// How long nothing is due, until the next look at the latest.
    fn wait(&self) -> Duration {
        let (Some(clock), Some(looked_at)) = (self.clock, self.looked_at) else {
            // No schedule is there: a change of the configuration wakes.
            return LOOK;
        };
        let look = LOOK.saturating_sub(looked_at.elapsed());
        let next = self.next.values().min();
        let tick = next.map(|next| (*next - clock.now()).to_std().unwrap_or_default());
        tick.map_or(look, |tick| tick.min(look))
    }
}

/// The database's clock, carried on by this process's own. It lags by an answer's way back, so whoever goes by it comes
/// a little late and never early.
#[derive(Debug, Clone, Copy)]
struct Clock {
    told: DateTime<Utc>,
    at: Instant,
}

impl Clock {
    fn at(told: DateTime<Utc>) -> Self {
        Self {
            told,
            at: Instant::now(),
        }
    }

    fn now(self) -> DateTime<Utc> {
        self.told + TimeDelta::from_std(self.at.elapsed()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{
        leader::tests::lead,
        tests::fixture::{FAST, engine},
    };

    fn agenda(text: &str) -> Agenda {
        let parsed = Config::parse(text, &["email.send"]).expect("the schedules are right");
        Agenda {
            config: Some(Arc::new(parsed.config)),
            looked_at: Some(Instant::now()),
            ..Agenda::default()
        }
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
    }

    const TWO: &str = "[schedules.often]\nkind = \"email.send\"\ncron = \"*/10 * * * * *\"\n\
                       [schedules.seldom]\nkind = \"email.send\"\ncron = \"0 0 1 1 *\"\n";

    #[test]
    fn it_sleeps_until_the_next_tick_of_the_databases_clock() {
        let mut agenda = agenda(TWO);

        for name in ["often", "seldom"] {
            agenda.decided(
                name,
                Decided {
                    now: noon(),
                    until: noon(),
                },
            );
        }

        let wait = agenda.wait();
        assert!(agenda.due().is_empty());
        assert!((9.0..=10.0).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    #[test]
    fn a_tick_that_has_come_is_due_at_once() {
        let mut agenda = agenda(TWO);
        let until = noon() - TimeDelta::seconds(30);

        agenda.decided("often", Decided { now: noon(), until });

        assert_eq!(agenda.due(), ["often"]);
        assert_eq!(agenda.wait(), Duration::ZERO);
    }

    #[test]
    fn without_a_tick_within_the_minute_it_sleeps_for_a_minute() {
        let mut agenda = agenda(TWO);

        agenda.decided(
            "seldom",
            Decided {
                now: noon(),
                until: noon(),
            },
        );

        let wait = agenda.wait();
        assert!((59.0..=60.0).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    // Fails when the time between the last look and a change is taken for time of the new expression.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_schedule_that_is_changed_makes_up_for_nothing_before_the_change(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let text =
            |cron: &str| format!("{FAST}[schedules.s]\nkind = \"test.work\"\ncron = \"{cron}\"\n");
        let queue = engine(&db, &text("0 0 29 2 *"));
        let lead = lead(&db).await?;
        let mut agenda = Agenda::default();
        Box::pin(agenda.round(&queue.shared, &lead)).await?;
        let neglected =
            "UPDATE millpond.schedules SET evaluated_until = now() - interval '50 seconds'";
        sqlx::query(neglected).execute(&db).await?;

        let live = &queue.shared.live;
        let changed = live.read(&text("* * * * * *"), &[]).expect("it is right");
        live.adopt(changed, Some(1));
        agenda.looked_at = None;
        let wait = Box::pin(agenda.round(&queue.shared, &lead)).await?;

        let ticks = "SELECT count(*) FROM millpond.schedule_ticks";
        let ticks: i64 = sqlx::query_scalar(ticks).fetch_one(&db).await?;
        assert!(ticks < 10, "{ticks}");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        Ok(())
    }
}
