//! Schedules against a real PostgreSQL: ticks and their jobs match one to one, whoever dies and whoever else leads.

mod life;
mod overlap;
mod people;
mod turns;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::fixture::{FAST, registry, until};
use crate::{
    Database, Queue,
    config::{Config, Schedule},
    leader::Mandate,
    schedules::{
        jobs::Named,
        scheduler::{self, Decided, Turn},
    },
    store::leader,
};

/// A schedule that ticks every second and lets its jobs overlap; tests add what they need.
const OFTEN: &str = r#"
[schedules.s]
kind = "test.work"
payload = { do = "succeed", name = "x" }
cron = "* * * * * *"
overlap = "allow"
"#;

/// The kinds of the fixture, and a configuration over [`FAST`].
fn engine(db: &PgPool, text: &str) -> Queue {
    let kinds: Vec<_> = registry().kinds().cloned().collect();
    let config = Config::parse(&format!("{FAST}{text}"), &["test.work", "test.together"])
        .expect("the test's configuration is right")
        .config;
    Queue::new(Database::from_pool(db.clone()), Arc::new(config), kinds)
        .expect("schemas of tests compile")
}

/// An engine that leads, and has looked at its schedules once.
struct Scene {
    db: PgPool,
    queue: Queue,
    mandate: Mandate,
}

impl Scene {
    async fn new(db: &PgPool, text: &str) -> anyhow::Result<Self> {
        let holder = Uuid::new_v4();
        let term = leader::lead(db, "fleet", holder, 3_600.0).await?;
        let scene = Self {
            db: db.clone(),
            queue: engine(db, text),
            mandate: Mandate {
                holder,
                term: term.context("nobody else leads")?,
            },
        };
        scene.queue.announce().await?;
        scene.look().await?;
        Ok(scene)
    }

    /// The same fleet after its configuration was changed.
    fn with(self, text: &str) -> Self {
        let queue = engine(&self.db, text);
        Self { queue, ..self }
    }

    fn schedule(&self) -> Schedule {
        self.queue.config().schedules["s"].clone()
    }

    async fn look(&self) -> anyhow::Result<BTreeMap<String, Decided>> {
        let config = self.queue.config();
        let seen = scheduler::look(&self.queue.shared, &config.schedules, &self.mandate).await?;
        seen.context("this process leads")
    }

    async fn turn_as(&self, mandate: &Mandate) -> anyhow::Result<Turn> {
        let schedule = self.schedule();
        let named = Named {
            name: "s",
            schedule: &schedule,
        };
        Ok(scheduler::take_turn(&self.queue.shared, named, mandate).await?)
    }

    /// Takes a turn that nothing stands in the way of.
    async fn turn(&self) -> anyhow::Result<Decided> {
        match self.turn_as(&self.mandate).await? {
            Turn::Decided(decided) => Ok(decided),
            other => anyhow::bail!("not decided: {other:?}"),
        }
    }

    /// Takes turns until no tick is due.
    async fn catch_up(&self) -> anyhow::Result<Decided> {
        let mut last = self.turn().await?;
        while last.until < last.now {
            last = self.turn().await?;
        }
        Ok(last)
    }

    /// Takes turns until the schedule ticks again; gives what its new ticks became.
    async fn tick_again(&self) -> anyhow::Result<Vec<String>> {
        let before = self.ticks().await?.len();
        until("it ticks again", || async {
            self.turn().await?;
            Ok(self.ticks().await?.len() > before)
        })
        .await?;
        let ticks = self.ticks().await?.into_iter().skip(before);
        Ok(ticks.map(|(_, outcome)| outcome).collect())
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }

    /// Nobody has looked at the schedule for so long; gives until when somebody had.
    async fn neglect(&self, interval: &str) -> anyhow::Result<DateTime<Utc>> {
        let until = "UPDATE millpond.schedules SET evaluated_until = now() - $1::text::interval RETURNING evaluated_until";
        Ok(sqlx::query_scalar(until)
            .bind(interval)
            .fetch_one(&self.db)
            .await?)
    }

    /// Every tick of the schedule with its outcome.
    async fn ticks(&self) -> anyhow::Result<Vec<(DateTime<Utc>, String)>> {
        let ticks =
            "SELECT tick, outcome FROM millpond.schedule_ticks WHERE schedule = 's' ORDER BY tick";
        Ok(sqlx::query_as(ticks).fetch_all(&self.db).await?)
    }

    /// The ticks after the one moment up to the other, by the schedule itself.
    fn expected(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let schedule = self.schedule();
        let ticks = schedule.ticks_after(from);
        ticks.take_while(|tick| *tick <= to).collect()
    }

    /// Asserts that each tick after the one moment up to the other is there and has a job of its own, and no other is
    /// there; gives how many.
    async fn assert_one_job_each(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> anyhow::Result<i64> {
        let ticks = self.ticks().await?.into_iter();
        let ticks: Vec<_> = ticks.map(|(tick, _)| tick).collect();
        assert_eq!(ticks, self.expected(from, to));
        let all = i64::try_from(ticks.len())?;
        assert_eq!(self.matches().await?, (all, all, all));
        Ok(all)
    }

    async fn count(&self, sql: &str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.db).await?)
    }

    /// Ticks that say they have a job of their own, jobs of schedules, and how many of the two belong together.
    async fn matches(&self) -> anyhow::Result<(i64, i64, i64)> {
        let sql = "SELECT (SELECT count(*) FROM millpond.schedule_ticks WHERE outcome = 'enqueued'),
                          (SELECT count(*) FROM millpond.jobs WHERE tags ->> 'schedule' = 's'),
                          (SELECT count(*) FROM millpond.schedule_ticks t JOIN millpond.jobs j ON j.id = t.job_id
                            WHERE (j.payload ->> 'scheduled_for')::timestamptz = t.tick)";
        Ok(sqlx::query_as(sql).fetch_one(&self.db).await?)
    }
}

fn outcomes(ticks: &[(DateTime<Utc>, String)]) -> Vec<&str> {
    ticks.iter().map(|(_, outcome)| outcome.as_str()).collect()
}
