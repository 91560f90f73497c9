//! Budgets against a real PostgreSQL: several processes, each with connections of its own, share what there is.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json, value::to_raw_value};
use sqlx::{ConnectOptions, PgPool};
use tokio::task::JoinSet;

use super::fixture::{FAST, in_state, until};
use crate::{
    BudgetError, BudgetHandle, Database, DatabaseSettings, Job, JobContext, JobDetail, JobError,
    NewJob, Outcome, Queue, QuotaReport, Registry, Source, WorkerSettings, Workers,
    budgets::{self, DrawsOn},
    config::Config,
    store,
};

const ORDINARY: i16 = 5;
const URGENT: i16 = 0;
/// A rate and a number of calls at a time that hinder nobody.
const WIDE: &str = "[budgets.meta]\nconcurrent = 10000\nrate = \"1000000/s\"\n";

/// A process of the fleet.
fn process(db: &PgPool, config: &str) -> anyhow::Result<Queue> {
    let database = Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
        requests: 1,
        enqueues: 1,
        engine: 2,
        claims: 1,
        application_name: "budgets".to_owned(),
    })?;
    Ok(Queue::new(database, Arc::new(parsed(config)), [])?)
}

fn parsed(config: &str) -> Config {
    Config::parse(config, &[])
        .expect("the test's configuration is right")
        .config
}

async fn end(processes: impl IntoIterator<Item = Queue>) {
    for queue in processes {
        queue.close().await;
        queue.database().close().await;
    }
}

fn meta(queue: &Queue, account: &str, priority: i16) -> BudgetHandle {
    let draws_on = DrawsOn {
        budgets: queue.shared.budgets.clone(),
        named: None,
        account: None,
        priority,
    };
    draws_on.budget("meta", Some(account))
}

/// Has eight tasks of each process make calls until there is nothing left; tells how many they made.
async fn call_until_dry(processes: &[Queue], priority: i16) -> anyhow::Result<usize> {
    let mut callers = JoinSet::new();
    for queue in processes {
        for _ in 0..8 {
            let budget = meta(queue, "a", priority);
            callers.spawn(async move {
                let mut made = 0_usize;
                loop {
                    match budget.take(1).await {
                        Ok(_permit) => made += 1,
                        Err(BudgetError::Dry { .. }) => return Ok(made),
                        Err(error) => return Err(error),
                    }
                }
            });
        }
    }
    let mut made = 0;
    for caller in callers.join_all().await {
        made += caller?;
    }
    Ok(made)
}

async fn used(db: &PgPool) -> anyhow::Result<i64> {
    let used = "SELECT COALESCE(sum(used), 0)::int8 FROM millpond.budget_usage";
    Ok(sqlx::query_scalar(used).fetch_one(db).await?)
}

/// What the gate of claims sees: account, detail, whether urgent jobs wait too.
type Stopped = (Option<String>, String, bool);

async fn stopped(db: &PgPool) -> anyhow::Result<Vec<Stopped>> {
    let stopped = "SELECT account, detail, for_urgent FROM millpond.dry_budgets
                    WHERE budget = 'meta' AND until > now() ORDER BY account";
    Ok(sqlx::query_as(stopped).fetch_all(db).await?)
}

fn is_dry<T>(taken: &Result<T, BudgetError>) -> bool {
    matches!(taken, Err(BudgetError::Dry { .. }))
}

// Fails when what is used is read before the row is locked, when a lease is forgotten, and when one process keeps to
// itself what is left.
#[sqlx::test(migrations = "../../migrations")]
async fn three_processes_make_as_many_calls_as_a_day_allows_to_the_call(
    db: PgPool,
) -> anyhow::Result<()> {
    let config = format!("{WIDE}daily = 1500");
    let processes = [
        process(&db, &config)?,
        process(&db, &config)?,
        process(&db, &config)?,
    ];

    let ordinary = call_until_dry(&processes, ORDINARY).await?;
    let urgent = call_until_dry(&processes, URGENT).await?;

    assert_eq!((ordinary, urgent), (1_350, 150));
    assert_eq!(used(&db).await?, 1_500);
    end(processes).await;
    Ok(())
}

// Fails when the limit is one of each process, and when a process never lets go of a place that others wait for.
#[sqlx::test(migrations = "../../migrations")]
async fn three_processes_have_no_more_calls_in_flight_than_the_limit(
    db: PgPool,
) -> anyhow::Result<()> {
    let config = "[budgets.meta]\nconcurrent = 5\nrate = \"1000000/s\"";
    let processes = [
        process(&db, config)?,
        process(&db, config)?,
        process(&db, config)?,
    ];
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));

    let mut callers = JoinSet::new();
    for queue in &processes {
        for _ in 0..4 {
            let budget = meta(queue, "a", ORDINARY);
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            callers.spawn(async move {
                for _ in 0..40 {
                    let permit = budget.take(1).await?;
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
                Ok::<(), BudgetError>(())
            });
        }
    }
    let ended: Result<Vec<()>, BudgetError> = callers.join_all().await.into_iter().collect();

    ended?;
    let most = most.load(Ordering::SeqCst);
    assert!((1..=5).contains(&most), "{most} at a time");
    end(processes).await;
    Ok(())
}

// Fails when a place is counted by a number that a crash leaves behind.
#[sqlx::test(migrations = "../../migrations")]
async fn the_places_of_a_process_that_is_gone_are_free_again(db: PgPool) -> anyhow::Result<()> {
    let config = format!("{FAST}[budgets.meta]\nconcurrent = 1\nrate = \"1000000/s\"");
    let (crashed, other) = (process(&db, &config)?, process(&db, &config)?);
    let in_flight = meta(&crashed, "a", ORDINARY).take(1).await?;
    let began = Instant::now();
    // Nobody renews its places any more.
    drop(crashed);

    let taken = meta(&other, "a", ORDINARY).take(1).await;

    assert!(taken.is_ok(), "{taken:?}");
    assert!(
        began.elapsed() > Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    drop((taken, in_flight));
    end([other]).await;
    Ok(())
}

// Fails when each process has the rate for itself.
#[sqlx::test(migrations = "../../migrations")]
async fn three_processes_together_keep_to_the_rate(db: PgPool) -> anyhow::Result<()> {
    const RATE: usize = 20;
    const FOR: Duration = Duration::from_secs(3);
    let config = format!("[budgets.meta]\nconcurrent = 10000\nrate = \"{RATE}/s\"");
    let processes = [
        process(&db, &config)?,
        process(&db, &config)?,
        process(&db, &config)?,
    ];
    let made = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();

    let mut callers = JoinSet::new();
    for queue in &processes {
        for _ in 0..4 {
            let (budget, made) = (meta(queue, "a", ORDINARY), Arc::clone(&made));
            callers.spawn(async move {
                while began.elapsed() < FOR {
                    let _permit = budget.take(1).await?;
                    made.lock()
                        .expect("no caller panics while it holds this")
                        .push(began.elapsed());
                }
                Ok::<(), BudgetError>(())
            });
        }
    }
    let ended: Result<Vec<()>, BudgetError> = callers.join_all().await.into_iter().collect();

    ended?;
    let mut made = made.lock().expect("nobody panicked").clone();
    made.sort_unstable();
    let second = Duration::from_secs(1);
    let within = |end: &Duration| {
        made.iter()
            .filter(|at| *at <= end && **at + second > *end)
            .count()
    };
    let most = made.iter().map(within).max().unwrap_or(0);
    assert!(most <= RATE * 3 / 2, "{most} in a second");
    assert!(made.len() >= RATE, "{} in all", made.len());
    end(processes).await;
    Ok(())
}

// Fails when claims are not told of a dry budget, or are told for ever.
#[sqlx::test(migrations = "../../migrations")]
async fn a_dry_budget_stands_in_the_view_until_calls_are_forgotten(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = process(&db, &format!("{WIDE}daily = 10"))?;
    let budget = meta(&queue, "a", ORDINARY);
    for _ in 0..9 {
        drop(budget.take(1).await?);
    }

    let at_the_last = stopped(&db).await?;
    let refused = budget.take(1).await;
    let of_another = meta(&queue, "b", ORDINARY).take(1).await;
    sqlx::raw_sql("UPDATE millpond.budget_usage SET slot = slot - interval '25 hours'")
        .execute(&db)
        .await?;
    until("calls are forgotten", || async {
        Ok(budget.take(1).await.is_ok())
    })
    .await?;

    let detail = "9 of 10 calls a day are used, and the rest is kept for urgent jobs";
    assert_eq!(
        at_the_last,
        [(Some("a".to_owned()), detail.to_owned(), false)]
    );
    assert!(is_dry(&refused), "{refused:?}");
    assert!(of_another.is_ok(), "{of_another:?}");
    assert!(stopped(&db).await?.is_empty());
    drop(of_another);
    end([queue]).await;
    Ok(())
}

// Fails when a limit that was raised helps nobody before a day has passed.
#[sqlx::test(migrations = "../../migrations")]
async fn a_budget_is_looked_at_anew_under_other_limits(db: PgPool) -> anyhow::Result<()> {
    let before = process(&db, &format!("{WIDE}daily = 10"))?;
    let dry = call_until_dry(std::slice::from_ref(&before), ORDINARY).await?;

    before.announce().await?;
    let under_the_same = stopped(&db).await?.len();
    let after = process(&db, &format!("{WIDE}daily = 20"))?;
    after.announce().await?;
    let under_others = stopped(&db).await?.len();
    let more = call_until_dry(std::slice::from_ref(&after), ORDINARY).await?;

    assert_eq!((dry, under_the_same, under_others, more), (9, 1, 0, 9));
    end([before, after]).await;
    Ok(())
}

// Fails when what one process is told stays with it.
#[sqlx::test(migrations = "../../migrations")]
async fn what_a_provider_says_to_one_process_holds_for_all(db: PgPool) -> anyhow::Result<()> {
    let (one, other) = (process(&db, WIDE)?, process(&db, WIDE)?);
    let nearly_used_up = QuotaReport {
        used_share: Some(0.97),
        resets_in: Some(Duration::from_secs(60)),
        ..QuotaReport::default()
    };

    meta(&one, "a", ORDINARY).report(nearly_used_up);
    until("the report is stored", || async {
        Ok(stopped(&db).await?.len() == 1)
    })
    .await?;
    let of_a = meta(&other, "a", URGENT).take(1).await;
    let of_b = meta(&other, "b", URGENT).take(1).await;
    meta(&one, "a", ORDINARY).pause_provider(Duration::from_secs(60), "it is down");
    until("the pause is stored", || async {
        Ok(stopped(&db).await?.len() == 2)
    })
    .await?;
    let of_c = meta(&other, "c", URGENT).take(1).await;

    let rows = stopped(&db).await?;
    let used = "the provider says that 97 % are used".to_owned();
    assert_eq!(rows[0], (Some("a".to_owned()), used, true));
    assert_eq!(rows[1], (None, "it is down".to_owned(), true));
    assert!(
        is_dry(&of_a) && of_b.is_ok() && is_dry(&of_c),
        "{of_a:?} {of_b:?} {of_c:?}"
    );
    drop(of_b);
    end([one, other]).await;
    Ok(())
}

// Fails when the answer to a call that was under way, maybe of another of the provider's allowances, lets calls go on.
#[sqlx::test(migrations = "../../migrations")]
async fn that_calls_are_to_stop_holds_until_the_quota_is_there_again(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = process(&db, WIDE)?;
    let budget = meta(&queue, "a", ORDINARY);
    let said = |share| QuotaReport {
        used_share: Some(share),
        resets_in: Some(Duration::from_secs(60)),
        ..QuotaReport::default()
    };
    budget.report(said(0.97));
    until("the report is stored", || async {
        Ok(stopped(&db).await?.len() == 1)
    })
    .await?;

    budget.report(said(0.2));
    let after = budget.take(1).await;

    assert!(is_dry(&after), "{after:?}");
    assert_eq!(stopped(&db).await?.len(), 1);
    end([queue]).await;
    Ok(())
}

// Fails when a process keeps what it does not need, or takes it along when it stops.
#[sqlx::test(migrations = "../../migrations")]
async fn calls_that_are_not_made_go_back(db: PgPool) -> anyhow::Result<()> {
    let config = format!("{WIDE}daily = 1000");
    let (idle, stopping) = (process(&db, &config)?, process(&db, &config)?);
    for queue in [&idle, &stopping] {
        let budget = meta(queue, "a", ORDINARY);
        for _ in 0..20 {
            drop(budget.take(1).await?);
        }
    }

    stopping.shared.budgets.give_back().await;
    let status = idle.budgets().await?;
    until("what is not used is given back", || async {
        Ok(used(&db).await? == 40)
    })
    .await?;
    let holders = "SELECT count(*) FROM millpond.budget_holders";
    until("nobody holds anything", || async {
        Ok(sqlx::query_scalar::<_, i64>(holders).fetch_one(&db).await? == 0)
    })
    .await?;

    let of_a = status
        .iter()
        .find(|budget| budget.account.as_deref() == Some("a"));
    let of_a = of_a.expect("it was called");
    assert!(
        of_a.used.is_some_and(|used| (40..100).contains(&used)),
        "{of_a:?}"
    );
    end([idle, stopping]).await;
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_call_that_can_never_be_made_is_told_apart(db: PgPool) -> anyhow::Result<()> {
    let queue = process(&db, &format!("{WIDE}daily = 10"))?;
    let draws_on = DrawsOn {
        budgets: queue.shared.budgets.clone(),
        named: Some("metta".to_owned()),
        account: None,
        priority: ORDINARY,
    };

    let heavy = meta(&queue, "a", ORDINARY).take(10).await;
    let unknown = draws_on.budget("meta", None).take(1).await;

    assert!(
        matches!(heavy, Err(BudgetError::TooHeavy { most: 9, .. })),
        "{heavy:?}"
    );
    assert!(
        matches!(unknown, Err(BudgetError::Unknown(_))),
        "{unknown:?}"
    );
    end([queue]).await;
    Ok(())
}

/// Makes a call, or waits as long as its budget says.
#[derive(Debug, Deserialize, JsonSchema)]
struct Calling {}

impl Job for Calling {
    const KIND: &'static str = "test.calling";
    type App = ();
    type Error = JobError;

    async fn run(self, ctx: &JobContext<()>) -> Result<Outcome, JobError> {
        match ctx.budget("meta", Some("a")).take(1).await {
            Ok(_permit) => Ok(Outcome::Succeeded),
            Err(error) => Ok(Outcome::Snoozed(error.wait().unwrap_or_default())),
        }
    }
}

/// Has a job meet a dry budget, and tells how it waits then.
async fn put_off(db: &PgPool, payload: &Value) -> anyhow::Result<JobDetail> {
    let registry = || Registry::new().with::<Calling>();
    let config = parsed(&format!("{FAST}{WIDE}daily = 1"));
    let kinds: Vec<_> = registry().kinds().cloned().collect();
    let queue = Queue::new(Database::from_pool(db.clone()), Arc::new(config), kinds)?;
    queue.announce().await?;
    drop(meta(&queue, "a", ORDINARY).take(1).await?);
    let settings = WorkerSettings {
        queues: None,
        roles: vec!["worker".to_owned()],
        version: "test".to_owned(),
    };
    let workers = Workers::start(queue.clone(), registry(), Arc::new(()), settings).await?;

    let job = NewJob::new("test.calling", to_raw_value(payload)?, Source::Http);
    let id = queue.enqueue(job, None).await?.id;
    let waits = in_state(&queue, id, "scheduled").await?;
    workers.drain().await;
    Ok(waits)
}

// Fails when a dry budget costs a job an attempt.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_meets_a_dry_budget_waits_and_uses_no_attempt(db: PgPool) -> anyhow::Result<()> {
    let waits = put_off(&db, &json!({})).await?;

    assert_eq!(waits.summary.attempts_used, 0);
    assert_eq!(waits.attempts[0].outcome, "snoozed");
    let wait = waits.summary.run_at - waits.summary.created_at;
    assert!((14..=16).contains(&wait.num_minutes()), "{wait}");
    Ok(())
}

// Fails when a job waits by the clock for long whose account's budget claims ask: it would miss that there is something again.
#[sqlx::test(migrations = "../../migrations")]
async fn a_job_that_names_the_account_of_a_dry_budget_is_back_soon(
    db: PgPool,
) -> anyhow::Result<()> {
    let waits = put_off(&db, &json!({"account_id": "a"})).await?;

    assert_eq!(waits.attempts[0].outcome, "snoozed");
    let wait = waits.summary.run_at - waits.summary.created_at;
    assert!((9..=20).contains(&wait.num_seconds()), "{wait}");
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn gauges_show_the_account_that_has_least(db: PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
         VALUES ('meta', 'a', now() + interval '1 hour', 'told to');
         INSERT INTO millpond.budget_usage (name, account, slot, used)
         VALUES ('meta', 'a', now(), 5), ('meta', 'b', now(), 8), ('meta', 'c', now() - interval '2 days', 10)",
    )
    .execute(&db)
    .await?;
    let config = parsed("[budgets.meta]\ndaily = 10");

    let gauges = budgets::gauges(&mut *db.acquire().await?, &config).await?;

    let of = |name: &str| {
        gauges
            .iter()
            .find(|gauge| gauge.budget == name)
            .expect("it is there")
    };
    let (meta, x) = (of("meta"), of("x"));
    assert!((meta.remaining_ratio - 0.2).abs() < 1e-9, "{meta:?}");
    assert!(meta.paused_until > 0.0, "{meta:?}");
    assert_eq!((x.remaining_ratio, x.paused_until), (1.0, 0.0));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn what_counts_no_more_is_deleted(db: PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "INSERT INTO millpond.budgets (name, account, asked_at, paused_until, pause_reason)
         VALUES ('meta', 'old', now() - interval '8 days', NULL, NULL),
                ('meta', 'paused', now() - interval '8 days', now() + interval '8 days', 'told to'),
                ('meta', 'new', now(), NULL, NULL);
         INSERT INTO millpond.budget_usage (name, account, slot, used)
         VALUES ('meta', 'a', now() - interval '50 hours', 5), ('meta', 'a', now() - interval '25 hours', 5);
         INSERT INTO millpond.budget_holders (name, account, holder, places, expires_at)
         VALUES ('meta', 'a', gen_random_uuid(), 1, now() - interval '2 days'),
                ('meta', 'a', gen_random_uuid(), 1, now())",
    )
    .execute(&db)
    .await?;

    let first = store::budgets::prune(&db).await?;
    let second = store::budgets::prune(&db).await?;

    assert_eq!((first, second), (3, 0));
    Ok(())
}

// Fails when every look for a dry budget walks over all that were dry once.
#[sqlx::test(migrations = "../../migrations")]
async fn pauses_and_dry_spells_that_have_ended_are_forgotten(db: PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(
        "INSERT INTO millpond.budgets (name, account, paused_until, pause_reason)
         VALUES ('meta', 'was paused', now() - interval '1 minute', 'told to'),
                ('meta', 'paused', now() + interval '1 hour', 'told to');
         INSERT INTO millpond.budgets (name, account, dry_until, dry_detail, dry_for_urgent, dry_under)
         VALUES ('meta', 'was dry', now() - interval '1 minute', 'used up', false, 'x'),
                ('meta', 'dry', now() + interval '1 hour', 'used up', false, 'x')",
    )
    .execute(&db)
    .await?;

    let forgotten = store::budgets::prune(&db).await?;

    let stopped: Vec<String> = sqlx::query_scalar(
        "SELECT account FROM millpond.budgets
          WHERE paused_until IS NOT NULL OR dry_until IS NOT NULL ORDER BY account",
    )
    .fetch_all(&db)
    .await?;
    assert_eq!(
        (forgotten, stopped),
        (2, vec!["dry".to_owned(), "paused".to_owned()])
    );
    Ok(())
}
