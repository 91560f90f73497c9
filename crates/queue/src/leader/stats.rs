//! The fleet's gauges: read from the database by the leader, absent everywhere else.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use sqlx::PgConnection;

use crate::{
    client::Shared,
    db::{DatabaseError, within},
    metrics::{self, fleet},
    store::{queues, stats},
};

/// Counting touches every job that is still to be done, so it happens less often while that takes long.
const SHARE_OF_TIME: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the leader has shown.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Series that must fall to zero when the database names them no more.
    dead: HashSet<(String, String)>,
    unclaimable: HashSet<String>,
    workers: HashSet<String>,
    ready: HashSet<String>,
    running: HashSet<String>,
    oldest_dead: HashSet<String>,
    shown: bool,
    not_before: Option<Instant>,
}

impl Gauges {
    /// Reads and shows all of them.
    pub(super) async fn collect(
        &mut self,
        shared: &Shared,
        term: i64,
    ) -> Result<(), DatabaseError> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(());
        }
        let started = Instant::now();
        let silent = shared.config.lease.ttl;
        let mut session = shared.db.engine().await?;
        let shown = within(self.show(session.conn(), silent)).await;
        session.end(shown)?;
        fleet::term(term);
        fleet::collected(Utc::now());
        metrics::show_fleet(true);
        self.shown = true;
        self.not_before =
            Some(Instant::now() + (started.elapsed() * SHARE_OF_TIME).min(LONGEST_PAUSE));
        Ok(())
    }

    /// Takes the gauges off this process's metrics.
    pub(super) fn withdraw(&mut self) {
        if self.shown {
            metrics::show_fleet(false);
            *self = Self::default();
        }
    }

    async fn show(&mut self, conn: &mut PgConnection, silent: Duration) -> Result<(), sqlx::Error> {
        for depth in stats::count_jobs(&mut *conn).await? {
            fleet::queue_jobs(&depth.queue, &depth.state, depth.jobs);
        }
        for queue in queues::list(&mut *conn).await? {
            fleet::paused(&queue.name, queue.paused_at.is_some());
        }
        let ready = queues::oldest_ready(&mut *conn)
            .await?
            .into_iter()
            .map(|age| (age.queue, age.seconds.max(0.0)));
        show_ages(ready, &mut self.ready, fleet::oldest_ready);
        let running = stats::oldest_running(&mut *conn)
            .await?
            .into_iter()
            .map(|age| (age.queue, age.seconds));
        show_ages(running, &mut self.running, fleet::oldest_running);
        let dead = stats::oldest_dead(&mut *conn)
            .await?
            .into_iter()
            .map(|age| (age.queue, age.seconds));
        show_ages(dead, &mut self.oldest_dead, fleet::oldest_dead);
        self.show_dead_letters(&mut *conn).await?;
        let unclaimable = stats::unclaimable(&mut *conn, silent.as_secs_f64()).await?;
        show_counts(unclaimable, &mut self.unclaimable, fleet::unclaimable);
        let workers = stats::workers(&mut *conn, silent.as_secs_f64()).await?;
        show_counts(workers, &mut self.workers, fleet::workers);
        for replays in stats::replays(&mut *conn).await? {
            fleet::replays(&replays.word, replays.count);
        }
        for table in stats::tables(&mut *conn).await? {
            fleet::table(&table.table, table.dead_tuples, table.hot_ratio);
        }
        fleet::oldest_snapshot(stats::oldest_snapshot(conn).await?);
        Ok(())
    }

    async fn show_dead_letters(&mut self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut gone = std::mem::take(&mut self.dead);
        for letters in stats::dead_letters(conn).await? {
            fleet::dead_letters(&letters.queue, &letters.kind, letters.open);
            let series = (letters.queue, letters.kind);
            gone.remove(&series);
            self.dead.insert(series);
        }
        for (queue, kind) in gone {
            fleet::dead_letters(&queue, &kind, 0);
        }
        Ok(())
    }
}

fn show_ages(
    ages: impl Iterator<Item = (String, f64)>,
    known: &mut HashSet<String>,
    show: fn(&str, f64),
) {
    let mut gone = known.clone();
    for (queue, seconds) in ages {
        show(&queue, seconds);
        gone.remove(&queue);
        known.insert(queue);
    }
    for queue in gone {
        show(&queue, 0.0);
    }
}

fn show_counts(counts: Vec<stats::Counted>, known: &mut HashSet<String>, show: fn(&str, i64)) {
    let mut gone = known.clone();
    for counted in counts {
        show(&counted.word, counted.count);
        gone.remove(&counted.word);
        known.insert(counted.word);
    }
    for word in gone {
        show(&word, 0);
    }
}
