//! The numbers of a plan against what happens when its text is applied and the engine goes by it.

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::fleet::Fleet;
use crate::{
    AdminError, BudgetError, ConfigText, EnqueueError, Leader, NewJob,
    budgets::DrawsOn,
    leader::Mandate,
    plan::{ConfigPlan, Counted, Drain, Harm, Kept, SchedulePlan, weigh},
    schedules::{
        jobs::Named,
        scheduler::{self, Turn},
    },
    store::leader,
    tests::fixture::{FAST, in_state, registry, succeed, until, waiting_for_locks, work},
    worker::rescuer::rescue,
};

/// So many attempts, and no second one while a test runs.
fn with_attempts(most: u32) -> String {
    format!(
        "[defaults]\nmax_attempts = {most}\nbackoff = {{ strategy = \"fixed\", base = \"1h\", jitter = \"none\" }}\n"
    )
}

// Fails when a job is counted by the attempts it has used and not by the next one, when one that would have died anyway
// is counted, and when one with a number of attempts of its own is.
#[sqlx::test(migrations = "../../migrations")]
async fn as_many_waiting_jobs_die_at_their_next_failure_as_the_plan_says(
    db: PgPool,
) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &with_attempts(8)).await?;
    fleet
        .run(
            "INSERT INTO millpond.jobs
                    (id, queue, kind, state, priority, run_at, attempt, attempts_used, max_attempts, payload)
             SELECT millpond.new_job_id(), 'default', 'test.work', CASE n % 3 WHEN 0 THEN 'ready' ELSE 'retrying' END, 5,
                    now(), n % 7, n % 7, CASE WHEN n > 70 THEN 20 END, '{\"do\": \"fail\", \"class\": \"transient\"}'
               FROM generate_series(1, 77) AS n",
        )
        .await?;
    let text = with_attempts(4);

    let plan = fleet.plan(&text).await?;
    fleet.apply(&text).await?;
    let (workers, _) = work(&fleet.queue).await?;
    until("each had its attempt", || async {
        let due = "SELECT count(*) FROM millpond.jobs WHERE state <> 'retrying' OR run_at <= now()";
        Ok(fleet.count(due).await? == 0)
    })
    .await?;
    workers.drain().await;

    let [told] = plan.attempts.as_slice() else {
        bail!("{:?}", plan.attempts);
    };
    let dead = fleet
        .count("SELECT count(*) FROM millpond.dead_letters")
        .await?;
    assert_eq!((told.last_chance, told.used_up, told.running), (40, 30, 0));
    assert_eq!(dead, told.last_chance);
    assert_eq!(plan.harms, [Harm::DeadLetters]);
    assert_eq!(plan.jobs_counted, Counted::Exact);
    fleet.follower.stop().await;
    Ok(())
}

// Fails when running jobs are counted as waiting ones, or not at all.
#[sqlx::test(migrations = "../../migrations")]
async fn as_many_lost_jobs_die_at_once_as_the_plan_says(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &with_attempts(8)).await?;
    fleet
        .run(
            "INSERT INTO millpond.jobs
                    (id, queue, kind, state, priority, run_at, attempt, attempts_used, payload, started_at,
                     lease_token, lease_until, worker)
             SELECT millpond.new_job_id(), 'default', 'test.work', 'running', 5, now(), n % 7 + 1, n % 7 + 1,
                    '{\"do\": \"panic\"}', now(), gen_random_uuid(), now() - interval '1 second', gen_random_uuid()
               FROM generate_series(1, 70) AS n",
        )
        .await?;
    let text = with_attempts(4);

    let plan = fleet.plan(&text).await?;
    fleet.apply(&text).await?;
    let rescued = rescue(&fleet.queue.shared, "default").await?;

    let [told] = plan.attempts.as_slice() else {
        bail!("{:?}", plan.attempts);
    };
    let dead = fleet
        .count("SELECT count(*) FROM millpond.dead_letters")
        .await?;
    assert_eq!((told.last_chance, told.running), (0, 40));
    assert_eq!((rescued, dead), (70, told.running));
    fleet.follower.stop().await;
    Ok(())
}

/// Finished jobs and dead letters of several ages. Those of `nobody.knows` stand in a day of their own and outside of all
/// days; the oldest are beyond what holds before the change too, and so are none of its doing. A worker that is to be
/// forgotten stands for the end of a round of retention.
const OF_ALL_AGES: &str = r#"
DO $$
DECLARE day date := (now() AT TIME ZONE 'UTC')::date - 10;
BEGIN
    EXECUTE format('CREATE TABLE millpond.%I PARTITION OF millpond.job_history FOR VALUES FROM (%L) TO (%L)',
                   'job_history_' || to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                   (day + 1)::timestamp AT TIME ZONE 'UTC');
END $$;
INSERT INTO millpond.job_history (id, queue, kind, state, priority, run_at, created_at, attempts_used, payload, finished_at)
SELECT gen_random_uuid(), 'default', r.kind, 'succeeded', 5, now(), now(), 1, '{}', r.at
  FROM (VALUES ('test.work', now() - interval '1 hour', 5), ('test.work', now() - interval '3 days', 7),
               ('test.work', now() - interval '40 days', 2), ('email.send', now() - interval '12 days', 4),
               ('nobody.knows', now() - interval '1 hour', 1), ('nobody.knows', now() - interval '5 days', 3),
               ('nobody.knows', date_trunc('day', now() - interval '10 days', 'UTC') + interval '12 hours', 6)) AS r (kind, at, jobs)
 CROSS JOIN LATERAL generate_series(1, r.jobs);
INSERT INTO millpond.dead_letters
       (id, queue, kind, priority, run_at, created_at, attempts_used, payload, error_class, error, fingerprint, died_at,
        resolution, resolved_at)
SELECT gen_random_uuid(), 'default', 'test.work', 5, now(), now(), 1, '{}', 'internal', 'x', 'f', r.at,
       CASE WHEN n = 1 THEN 'discarded' END, CASE WHEN n = 1 THEN now() END
  FROM (VALUES (now() - interval '1 day', 2), (now() - interval '10 days', 4), (now() - interval '100 days', 1)) AS r (at, letters)
 CROSS JOIN LATERAL generate_series(1, r.letters) AS n;
INSERT INTO millpond.workers (id, host, pid, version, roles, kinds, slots, seen_at)
VALUES (gen_random_uuid(), 'gone', 1, 'old', '{}', '{}', '{}', now() - interval '2 days');
"#;

fn keeping(history: &str, letters: &str) -> String {
    format!(
        "[defaults]\nretain_succeeded = \"{history}\"\n[dead_letters]\nretain = \"{letters}\"\n"
    )
}

// Fails when rows that are deleted either way are counted, or those of kinds that nobody knows are not.
#[sqlx::test(migrations = "../../migrations")]
async fn retention_deletes_as_many_rows_as_the_plan_says(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &keeping("30d", "90d")).await?;
    fleet.run(OF_ALL_AGES).await?;
    let finished =
        "SELECT count(*) FROM millpond.job_history WHERE finished_at > now() - interval '29 days'";
    let letters =
        "SELECT count(*) FROM millpond.dead_letters WHERE died_at > now() - interval '89 days'";
    let before = (fleet.count(finished).await?, fleet.count(letters).await?);
    let text = keeping("2d", "7d");

    let plan = fleet.plan(&text).await?;
    fleet.apply(&text).await?;
    let leader = Leader::start(fleet.queue.clone());
    until("a round of retention is over", || async {
        Ok(fleet.count("SELECT count(*) FROM millpond.workers").await? == 0)
    })
    .await?;
    leader.stop().await;

    let rows = |of: Kept, kind: Option<&str>| {
        let is_meant = |row: &&crate::plan::Deletion| row.of == of && row.kind.as_deref() == kind;
        plan.deletions
            .iter()
            .filter(is_meant)
            .map(|row| row.rows)
            .sum::<i64>()
    };
    let told = [Some("test.work"), Some("email.send"), None].map(|k| rows(Kept::FinishedJobs, k));
    assert_eq!(told, [7, 4, 9]);
    assert_eq!(rows(Kept::DeadLetters, None), 4);
    let left = (fleet.count(finished).await?, fleet.count(letters).await?);
    assert_eq!(before.0 - left.0, told.iter().sum::<i64>());
    assert_eq!(before.1 - left.1, 4);
    let open = plan.deletions.iter().find_map(|row| row.open);
    assert_eq!(open, Some(3));
    assert!(
        plan.deletions
            .iter()
            .all(|row| row.counted == Counted::Exact)
    );
    assert_eq!(plan.harms, [Harm::RowsDeleted]);
    fleet.follower.stop().await;
    Ok(())
}

// Fails when a statement of a plan sees what was stored after the one before it, and when a process makes two at a time.
#[sqlx::test(migrations = "../../migrations")]
async fn all_numbers_of_a_plan_are_of_one_moment(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &keeping("30d", "90d")).await?;
    fleet.run(OF_ALL_AGES).await?;
    let mut barrier = db.begin().await?;
    sqlx::query("LOCK TABLE millpond.workers IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *barrier)
        .await?;
    let text = keeping("2d", "7d");

    let meanwhile = async {
        until("the plan is being made", || async {
            Ok(waiting_for_locks(&db).await? == 1)
        })
        .await?;
        fleet
            .run("DELETE FROM millpond.job_history; DELETE FROM millpond.dead_letters")
            .await?;
        barrier.commit().await?;
        anyhow::Ok(())
    };
    let (first, second, meanwhile) = tokio::join!(fleet.plan(&text), fleet.plan(&text), meanwhile);

    meanwhile?;
    let deleted = |plan: ConfigPlan| plan.deletions.iter().map(|row| row.rows).sum::<i64>();
    assert_eq!((deleted(first?), deleted(second?)), (7 + 4 + 9 + 4, 0));
    fleet.follower.stop().await;
    Ok(())
}

fn schedule(name: &str, cron: &str) -> String {
    format!(
        "[schedules.{name}]\nkind = \"test.work\"\ncron = \"{cron}\"\nmisfire = \"run_all\"\noverlap = \"allow\"\n\
         payload = {{ do = \"succeed\", name = \"x\" }}\n"
    )
}

fn of_schedule<'a>(plan: &'a ConfigPlan, name: &str) -> anyhow::Result<&'a SchedulePlan> {
    let found = plan.schedules.iter().find(|told| told.schedule == name);
    found.with_context(|| format!("{name} is not told"))
}

/// The ticks of a schedule that made jobs, up to a moment.
async fn fired(
    db: &PgPool,
    name: &str,
    until: DateTime<Utc>,
) -> anyhow::Result<Vec<DateTime<Utc>>> {
    let ticks = "SELECT tick FROM millpond.schedule_ticks
                  WHERE schedule = $1 AND outcome = 'enqueued' AND tick <= $2 ORDER BY tick";
    let ticks = sqlx::query_scalar(ticks).bind(name).bind(until);
    Ok(ticks.fetch_all(db).await?)
}

// Fails when the plan has other ticks than the scheduler makes. The day that the plan looks ahead to is the one that has
// just passed: so long ago it is asked, and since then nobody has looked.
#[sqlx::test(migrations = "../../migrations")]
async fn the_ticks_of_the_plan_are_those_that_come(db: PgPool) -> anyhow::Result<()> {
    let before = schedule("s", "*/10 * * * *") + &schedule("gone", "0 * * * *");
    let after = schedule("s", "5,35 * * * *") + &schedule("new", "20 * * * *");
    let fleet = Fleet::new(&db, &registry(), &before).await?;
    let shared = &fleet.queue.shared;
    let holder = Uuid::new_v4();
    let term = leader::lead(&db, "fleet", holder, 3_600.0).await?;
    let mandate = Mandate {
        holder,
        term: term.context("nobody else leads")?,
    };
    scheduler::look(shared, &shared.config().schedules, &mandate).await?;

    let (sides, mut facts) = fleet.queue.gather(ConfigText::New(after.clone())).await?;
    facts.at -= TimeDelta::hours(24);
    let (from, end) = (facts.at, facts.at + TimeDelta::hours(24));
    let plan = weigh(sides, &facts);
    fleet.apply(&after).await?;
    let config = shared.config();
    scheduler::look(shared, &config.schedules, &mandate).await?;
    sqlx::query("UPDATE millpond.schedules SET evaluated_until = $1")
        .bind(from)
        .execute(&db)
        .await?;
    for name in ["s", "new"] {
        let schedule = &config.schedules[name];
        let turn = scheduler::take_turn(shared, Named { name, schedule }, &mandate).await?;
        assert!(matches!(turn, Turn::Decided(_)), "{turn:?}");
    }

    let (changed, new) = (of_schedule(&plan, "s")?, of_schedule(&plan, "new")?);
    let (of_changed, of_new) = (fired(&db, "s", end).await?, fired(&db, "new", end).await?);
    assert_eq!((changed.ticks_before, changed.ticks_after), (144, 48));
    assert_eq!(of_changed.len(), changed.ticks_after);
    assert_eq!(of_changed.first(), changed.next_after.as_ref());
    assert_eq!(of_changed[..3], changed.gained);
    assert!(changed.lost.iter().all(|tick| !of_changed.contains(tick)));
    assert_eq!((of_new.len(), new.ticks_after), (24, 24));
    assert!(of_schedule(&plan, "gone")?.stops);
    assert!(fired(&db, "gone", end).await?.is_empty());
    assert_eq!(plan.harms, [Harm::SchedulesStop]);
    fleet.follower.stop().await;
    Ok(())
}

// Fails when jobs of a queue that goes are not told, or are claimed after all.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_a_queue_that_goes_wait_as_the_plan_says(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &format!("{FAST}[queues.extra]\n")).await?;
    for name in ["a", "b", "c"] {
        let job = NewJob {
            queue: Some("extra".to_owned()),
            ..succeed(name)
        };
        fleet.queue.enqueue(job, None).await?;
    }

    let plan = fleet.plan(FAST).await?;
    fleet.apply(FAST).await?;
    let (workers, _) = work(&fleet.queue).await?;
    let other = fleet.queue.enqueue(succeed("other"), None).await?.id;
    in_state(&fleet.queue, other, "succeeded").await?;
    workers.drain().await;

    let told: Vec<_> = plan
        .unclaimed
        .iter()
        .map(|row| (row.queue.as_str(), row.jobs))
        .collect();
    assert_eq!(told, [("extra", 3)]);
    assert_eq!(plan.harms, [Harm::JobsUnclaimed]);
    assert_eq!(plan.removed_sections, ["queues.extra"]);
    let waiting = "SELECT count(*) FROM millpond.jobs WHERE queue = 'extra' AND state = 'ready'";
    assert_eq!(fleet.count(waiting).await?, 3);
    fleet.follower.stop().await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_queue_that_is_over_its_new_limit_refuses_as_the_plan_says(
    db: PgPool,
) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), FAST).await?;
    for n in 0..5 {
        fleet.queue.enqueue(succeed(&n.to_string()), None).await?;
    }
    let text = format!("{FAST}[queues.default]\nmax_ready = 3\n");

    let plan = fleet.plan(&text).await?;
    fleet.apply(&text).await?;
    let refused = fleet.queue.enqueue(succeed("more"), None).await;

    let told: Vec<_> = plan
        .over_limits
        .iter()
        .map(|over| (over.limit.as_str(), over.most, over.now))
        .collect();
    assert_eq!(told, [("max_ready", 3, 5)]);
    assert!(
        matches!(refused, Err(EnqueueError::QueueFull { .. })),
        "{refused:?}"
    );
    fleet.follower.stop().await;
    Ok(())
}

// Fails when jobs that no worker takes are reckoned with as if one did.
#[sqlx::test(migrations = "../../migrations")]
async fn jobs_of_a_held_account_wait_as_the_plan_says(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), FAST).await?;
    for name in ["a", "b", "c"] {
        fleet.queue.enqueue(succeed(name), None).await?;
    }
    fleet
        .run(
            "UPDATE millpond.jobs SET account = 'act_1';
             INSERT INTO millpond.holds (account, reason, by) VALUES ('act_1', 'its token expired', 'test')",
        )
        .await?;
    let text = format!("{FAST}[queues.default]\nconcurrency = 2\n");

    let (workers, _) = work(&fleet.queue).await?;
    until("the worker is known", || async {
        Ok(!fleet.queue.workers().await?.is_empty())
    })
    .await?;
    let plan = fleet.plan(&text).await?;
    fleet.apply(&text).await?;
    let other = fleet.queue.enqueue(succeed("other"), None).await?.id;
    in_state(&fleet.queue, other, "succeeded").await?;
    workers.drain().await;

    let told = plan.queues.iter().find(|queue| queue.queue == "default");
    let told = told.context("the queue is told")?;
    let after = told.after.as_ref().context("it stays")?;
    assert_eq!((told.ready, told.held, after.drain), (3, 3, Drain::Held));
    let waiting = "SELECT count(*) FROM millpond.jobs WHERE account = 'act_1' AND state = 'ready'";
    assert_eq!(fleet.count(waiting).await?, 3);
    fleet.follower.stop().await;
    Ok(())
}

// Fails when calls of another window are counted, or those that are kept for urgent jobs.
#[sqlx::test(migrations = "../../migrations")]
async fn a_budget_beyond_its_new_day_gives_nothing_as_the_plan_says(
    db: PgPool,
) -> anyhow::Result<()> {
    let daily = |calls: u32| format!("[budgets.meta]\ndaily = {calls}\n");
    let fleet = Fleet::new(&db, &registry(), &daily(5_000)).await?;
    fleet
        .run(
            "INSERT INTO millpond.budgets (name, account) VALUES ('meta', 'act_1');
             INSERT INTO millpond.budget_usage (name, account, slot, used)
             VALUES ('meta', 'act_1', to_timestamp(floor(extract(epoch FROM now()) / 300) * 300), 950),
                    ('meta', 'act_1', now() - interval '2 days', 4000)",
        )
        .await?;
    let takes = |priority| {
        let draws_on = DrawsOn {
            budgets: fleet.queue.shared.budgets.clone(),
            named: None,
            account: None,
            priority,
        };
        let budget = draws_on.budget("meta", Some("act_1"));
        async move { budget.take(1).await }
    };

    let plan = fleet.plan(&daily(1_000)).await?;
    fleet.apply(&daily(1_000)).await?;
    let (ordinary, urgent) = (takes(5).await, takes(0).await);

    let told: Vec<_> = plan
        .over_limits
        .iter()
        .map(|over| (over.limit.as_str(), over.of.as_str(), over.most, over.now))
        .collect();
    assert_eq!(told, [("daily", "meta", 900, 950)]);
    assert!(
        matches!(ordinary, Err(BudgetError::Dry { .. })),
        "{ordinary:?}"
    );
    assert!(urgent.is_ok(), "{urgent:?}");
    fleet.follower.stop().await;
    Ok(())
}

fn slots(count: u32) -> String {
    format!("[queues.default]\nconcurrency = {count}\n")
}

// Fails when the plan of an earlier revision is not that of its text, and when a plan leaves a trace.
#[sqlx::test(migrations = "../../migrations")]
async fn a_plan_of_an_earlier_revision_changes_nothing(db: PgPool) -> anyhow::Result<()> {
    let fleet = Fleet::new(&db, &registry(), &slots(2)).await?;
    fleet.apply(&slots(5)).await?;
    let traces = "SELECT (SELECT count(*) FROM millpond.audit) + (SELECT count(*) FROM millpond.config_revisions)";
    let before = fleet.count(traces).await?;

    let back = fleet.queue.plan_config(ConfigText::Of(1)).await?;
    let same = fleet.plan(&slots(5)).await?;
    let unknown = fleet.queue.plan_config(ConfigText::Of(9)).await;
    let empty = ConfigText::New(" \n".to_owned());
    let empty = fleet.queue.plan_config(empty).await;

    let [change] = back.changes.as_slice() else {
        bail!("{:?}", back.changes);
    };
    let value = |setting: &Option<crate::plan::Setting>| {
        setting.as_ref().map(|setting| setting.value.clone())
    };
    assert_eq!(
        (value(&change.before), value(&change.after)),
        (Some(json!(5)), Some(json!(2)))
    );
    assert_eq!(back.revision, Some(2));
    assert!(same.is_empty() && unknown.is_err());
    assert!(
        matches!(empty, Err(AdminError::Invalid { .. })),
        "{empty:?}"
    );
    assert_eq!(fleet.count(traces).await?, before);
    fleet.follower.stop().await;
    Ok(())
}
