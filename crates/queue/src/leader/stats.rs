//! The fleet's gauges: read from the database by the leader, absent everywhere else.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use sqlx::{Connection, PgConnection};

use super::{
    FleetGauges, Lead, failed,
    schedule_stats::{ScheduleGauges, note_ended},
};
use crate::{
    budgets,
    client::Shared,
    db::{DatabaseError, within},
    gates::Gate,
    metrics::{self, fleet},
    store::{queues, stats},
};

/// Counting touches every job that is still to be done, so it happens less often while that takes long.
const SHARE_OF_TIME: u32 = 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most kinds that are told as unclaimable.
const MOST_UNCLAIMABLE: usize = 100;
/// Every status of a replay, so that those without a run show zero.
const STATUSES: [&str; 6] = [
    "running",
    "canary",
    "paused",
    "done",
    "aborted",
    "stopped_by_failures",
];

/// What the leader has shown. It stays known when the lead is lost: whoever leads again must set to zero what it showed
/// before and is no more.
#[derive(Default)]
pub(super) struct Gauges {
    /// Series that must fall to zero when the database names them no more.
    dead: HashSet<(String, String)>,
    unclaimable: HashSet<String>,
    workers: HashSet<String>,
    replays: HashSet<String>,
    ready: HashSet<String>,
    running: HashSet<String>,
    oldest_dead: HashSet<String>,
    budgets: HashSet<String>,
    schedules: ScheduleGauges,
    others: Vec<Arc<dyn FleetGauges>>,
    shown: bool,
    not_before: Option<Instant>,
}

impl Gauges {
    /// None shown yet; beside our own those of other crates.
    pub(super) fn with(others: Vec<Arc<dyn FleetGauges>>) -> Self {
        Self {
            others,
            ..Self::default()
        }
    }

    /// Reads and shows all of them, unless that took long a moment ago, whether it succeeded or not. Withdraws them once
    /// the term has passed.
    pub(super) async fn collect(
        &mut self,
        shared: &Shared,
        lead: &Lead,
    ) -> Result<(), DatabaseError> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(());
        }
        let started = Instant::now();
        if let Err(error) = note_ended(shared, lead).await {
            failed("ends of ticks' jobs", &error);
        }
        let mut session = shared.db.request().await?;
        let shown = within(async {
            let mut tx = session.conn().begin().await?;
            let leads = lead.hold(&mut tx).await?;
            if leads {
                self.show(&mut tx, shared).await?;
                let gauges = budgets::gauges(&mut tx, &shared.config())
                    .await?
                    .into_iter();
                let gauges = gauges.map(|it| (it.budget, it.remaining_ratio, it.paused_until));
                show_budgets(gauges, &mut self.budgets, fleet::budget);
                for gauges in &self.others {
                    gauges.show(&mut tx).await?;
                }
            }
            tx.commit().await?;
            Ok(leads)
        })
        .await;
        self.not_before =
            Some(Instant::now() + (started.elapsed() * SHARE_OF_TIME).min(LONGEST_PAUSE));
        if !session.end(shown)? {
            self.withdraw();
            return Ok(());
        }
        fleet::term(lead.term);
        fleet::collected(Utc::now());
        metrics::show_fleet(true);
        self.shown = true;
        Ok(())
    }

    /// Takes the gauges off this process's metrics.
    pub(super) fn withdraw(&mut self) {
        if self.shown {
            metrics::show_fleet(false);
            self.shown = false;
        }
        self.not_before = None;
    }

    async fn show(&mut self, conn: &mut PgConnection, shared: &Shared) -> Result<(), sqlx::Error> {
        let silent = shared.config().lease.ttl;
        let live = stats::live_kinds(&mut *conn, silent.as_secs_f64()).await?;
        let counted = stats::count_jobs(&mut *conn).await?;
        let unclaimable = unclaimable(&counted, &live);
        show_counts(unclaimable, &mut self.unclaimable, fleet::unclaimable);
        for depth in stats::keep_depths(&mut *conn, &depths(&counted)).await? {
            fleet::queue_jobs(&depth.queue, &depth.state, depth.jobs);
        }
        let mut paused = HashSet::new();
        for queue in queues::list(&mut *conn).await? {
            fleet::paused(&queue.name, queue.paused_at.is_some());
            if queue.paused_at.is_some() {
                paused.insert(queue.name);
            }
        }
        for (gate, jobs) in blocked(&counted, &paused, &live) {
            fleet::blocked(gate.as_str(), jobs);
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
        let workers = stats::workers(&mut *conn, silent.as_secs_f64()).await?;
        show_counts(workers, &mut self.workers, fleet::workers);
        let replays = stats::replays(&mut *conn).await?;
        self.replays.extend(STATUSES.map(str::to_owned));
        show_counts(replays, &mut self.replays, fleet::replays);
        for table in stats::tables(&mut *conn).await? {
            fleet::table(&table.table, table.dead_tuples, table.hot_ratio);
        }
        fleet::oldest_snapshot(stats::oldest_snapshot(&mut *conn).await?);
        self.schedules.show(conn, shared).await
    }

    async fn show_dead_letters(&mut self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let open = stats::dead_letters(conn).await?;
        let mut gone = std::mem::take(&mut self.dead);
        for letters in open {
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

/// The jobs of each queue and state.
fn depths(counted: &[stats::JobCount]) -> stats::Depths {
    let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for count in counted {
        *sums
            .entry((count.queue.as_str(), count.state.as_str()))
            .or_default() += count.jobs;
    }
    let mut depths = stats::Depths::default();
    for ((queue, state), jobs) in sums {
        depths.queues.push(queue.to_owned());
        depths.states.push(state.to_owned());
        depths.jobs.push(jobs);
    }
    depths
}

/// The jobs that each gate keeps, told by the first that does. Which of those that a queue's limits keep would run if they
/// did not is nobody's to say: they are in the queue's depth.
fn blocked(
    counted: &[stats::JobCount],
    paused: &HashSet<String>,
    live: &[String],
) -> [(Gate, i64); 6] {
    let mut gates = [
        Gate::QueuePaused,
        Gate::NotDue,
        Gate::KeyLimit,
        Gate::Budget,
        Gate::AccountHeld,
        Gate::NoWorker,
    ]
    .map(|gate| (gate, 0));
    for count in counted {
        let keeps = |gate: Gate| match gate {
            Gate::NotDue => count.state != "ready",
            Gate::QueuePaused => paused.contains(&count.queue),
            Gate::NoWorker => !live.contains(&count.kind),
            gate => count.parked_gate.as_deref() == Some(gate.as_str()),
        };
        let waits = count.state != "running";
        let first = gates.iter_mut().find(|(gate, _)| waits && keeps(*gate));
        if let Some((_, jobs)) = first {
            *jobs += count.jobs;
        }
    }
    gates
}

/// The ready jobs of the kinds that no live worker has registered, those of which there are most.
fn unclaimable(counted: &[stats::JobCount], live: &[String]) -> Vec<stats::Counted> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    let ready = counted.iter().filter(|count| count.state == "ready");
    for count in ready.filter(|count| !live.contains(&count.kind)) {
        *sums.entry(count.kind.as_str()).or_default() += count.jobs;
    }
    let mut kinds: Vec<stats::Counted> = sums
        .into_iter()
        .map(|(kind, count)| stats::Counted {
            word: kind.to_owned(),
            count,
        })
        .collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds.truncate(MOST_UNCLAIMABLE);
    kinds
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

/// Of a budget that the configuration names no more nothing is known: no alert compares with that.
fn show_budgets(
    budgets: impl Iterator<Item = (String, f64, f64)>,
    known: &mut HashSet<String>,
    mut show: impl FnMut(&str, f64, f64),
) {
    let mut gone = known.clone();
    for (budget, remaining_ratio, paused_until) in budgets {
        show(&budget, remaining_ratio, paused_until);
        gone.remove(&budget);
        known.insert(budget);
    }
    for budget in gone {
        show(&budget, f64::NAN, 0.0);
    }
}

fn show_counts(
    counts: Vec<stats::Counted>,
    known: &mut HashSet<String>,
    mut show: impl FnMut(&str, i64),
) {
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

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;
    use crate::{
        leader::tests::{lead, succeed_to},
        tests::fixture::{FAST, engine},
    };

    fn jobs(queue: &str, state: &str, kind: &str, jobs: i64) -> stats::JobCount {
        stats::JobCount {
            queue: queue.to_owned(),
            state: state.to_owned(),
            kind: kind.to_owned(),
            parked_gate: None,
            jobs,
        }
    }

    #[test]
    fn a_job_is_counted_at_one_gate_that_keeps_it() {
        let parked = |gate: &str, count| stats::JobCount {
            parked_gate: Some(gate.to_owned()),
            ..jobs("a", "ready", "known", count)
        };
        let counted = [
            jobs("a", "ready", "known", 1_000),
            jobs("a", "running", "known", 2_000),
            jobs("a", "retrying", "known", 3),
            parked("key_limit", 5),
            parked("account_held", 7),
            jobs("a", "ready", "strange", 11),
            jobs("paused", "ready", "strange", 13),
        ];

        let paused = HashSet::from(["paused".to_owned()]);
        let blocked = blocked(&counted, &paused, &["known".to_owned()]);

        let blocked = blocked.map(|(gate, jobs)| (gate.as_str(), jobs));
        assert_eq!(
            blocked,
            [
                ("queue_paused", 13),
                ("not_due", 3),
                ("key_limit", 5),
                ("budget", 0),
                ("account_held", 7),
                ("no_worker", 11),
            ]
        );
    }

    #[test]
    fn ready_jobs_that_nobody_can_claim_are_told_by_kind() {
        let counted = [
            jobs("a", "ready", "known", 7),
            jobs("a", "ready", "strange", 2),
            jobs("b", "ready", "strange", 3),
            jobs("b", "running", "strange", 9),
        ];

        let found = unclaimable(&counted, &["known".to_owned()]);

        let found: Vec<_> = found.iter().map(|kind| (&*kind.word, kind.count)).collect();
        assert_eq!(found, [("strange", 5)]);
    }

    // Fails when gauges are read whatever has become of the term.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_leader_whose_term_has_passed_shows_no_gauges(db: PgPool) -> anyhow::Result<()> {
        let queue = engine(&db, FAST);
        let former = lead(&db).await?;
        let mut gauges = Gauges::default();
        gauges.collect(&queue.shared, &former).await?;
        let shown_before = gauges.shown;
        succeed_to(&db).await?;
        gauges.not_before = None;

        gauges.collect(&queue.shared, &former).await?;

        assert!(shown_before && !gauges.shown);
        Ok(())
    }

    // Fails when a budget that was taken out of the file while it was nearly used up raises its alert for ever.
    #[test]
    fn a_budget_that_is_taken_away_is_neither_used_up_nor_paused() {
        let mut known = HashSet::new();
        let nearly_used_up = [("crm".to_owned(), 0.01, 4e9)];
        show_budgets(nearly_used_up.into_iter(), &mut known, |_, _, _| {});
        let mut shown = Vec::new();

        show_budgets(std::iter::empty(), &mut known, |budget, ratio, paused| {
            shown.push((budget.to_owned(), ratio.is_nan(), paused));
        });

        assert_eq!(shown, [("crm".to_owned(), true, 0.0)]);
    }

    #[test]
    fn what_is_no_more_falls_to_zero_also_when_the_lead_was_lost_meanwhile() {
        let mut gauges = Gauges::default();
        let one = stats::Counted {
            word: "0.1.0".to_owned(),
            count: 1,
        };
        show_counts(vec![one], &mut gauges.workers, |_, _| {});
        let mut shown = Vec::new();

        gauges.shown = true;
        gauges.withdraw();
        show_counts(Vec::new(), &mut gauges.workers, |word, count| {
            shown.push((word.to_owned(), count));
        });

        assert_eq!(shown, [("0.1.0".to_owned(), 0)]);
    }
}
