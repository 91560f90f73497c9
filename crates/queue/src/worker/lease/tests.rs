//! No attempt's words and no silence of the database may cost another attempt its lease, or let two run at once.

use std::{net::TcpListener, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{
    DatabaseSettings,
    config::Config,
    live::LiveConfig,
    store::claim::{self, Claim, ClaimedRow},
    tests::fixture::{FAST, engine, succeed},
};

/// For how long the leases of these tests were claimed.
const TTL: Duration = Duration::from_secs(2);

fn config(ttl: Duration) -> config::Lease {
    config::Lease {
        ttl,
        renew_every: ttl / 3,
        max_lost: 3,
        lost_window: Duration::from_secs(3_600),
    }
}

/// A configuration with such leases, which can change.
fn terms(ttl: Duration) -> LiveConfig {
    let mut configured = Config::builtin();
    configured.lease = config(ttl);
    LiveConfig::new(Arc::new(configured), Arc::new([]))
}

fn hold(leases: &Leases, row: ClaimedRow) -> ClaimedJob {
    let job = ClaimedJob {
        row,
        stop: Arc::default(),
        recorded: Arc::default(),
    };
    leases.hold(&Arc::from("default"), &job, Instant::now(), TTL);
    job
}

fn row() -> ClaimedRow {
    ClaimedRow {
        id: Uuid::now_v7(),
        kind: "test.work".to_owned(),
        priority: 5,
        token: Uuid::new_v4(),
        attempt: 1,
        attempts_used: 1,
        max_attempts: None,
        tenant: None,
        key: None,
        payload: "{}".to_owned(),
        run_at: DateTime::UNIX_EPOCH,
        created_at: DateTime::UNIX_EPOCH,
        claimed_at: Utc::now(),
        replay_of: None,
        traceparent: None,
        last_error_class: None,
    }
}

// Fails when a refused portion is not renewed without its progress.
#[sqlx::test(migrations = "../../migrations")]
async fn progress_that_the_database_refuses_costs_no_attempt_its_lease(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.enqueue(succeed("a"), None).await?;
    queue.enqueue(succeed("b"), None).await?;
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 5.0,
        kinds: &kinds,
    };
    let leases = Leases::default();
    for (row, said) in claim::next(&db, &claim, 10)
        .await?
        .into_iter()
        .zip(["\0", "half"])
    {
        let job = hold(&leases, row);
        let mut recorded = job.recorded.lock().expect("nobody panics with it");
        recorded.progress = Some(json!(said));
        recorded.progress_is_new = true;
    }

    renew(
        &Pool::from(db.clone()),
        &leases,
        &config(Duration::from_secs(60)),
    )
    .await;

    let renewed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM millpond.jobs WHERE lease_until > now() + interval '30 seconds'",
    )
    .fetch_one(&db)
    .await?;
    assert_eq!(renewed, 2);
    Ok(())
}

/// Holds up whoever calls, and with it, in a test, the one thread of the process's runtime.
fn hold_up(time: Duration) {
    let (_nobody, said) = std::sync::mpsc::sync_channel::<()>(1);
    assert!(said.recv_timeout(time).is_err(), "nobody says anything");
}

// Fails when leases are kept on the runtime of the process, which anything in it can hold up.
#[sqlx::test(migrations = "../../migrations")]
async fn leases_are_renewed_while_the_process_is_held_up(db: PgPool) -> anyhow::Result<()> {
    let queue = engine(&db, FAST);
    queue.enqueue(succeed("a"), None).await?;
    let ttl = Duration::from_secs(2);
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: ttl.as_secs_f64(),
        kinds: &kinds,
    };
    let leases = Arc::new(Leases::default());
    let job = hold(&leases, claim::next(&db, &claim, 1).await?.remove(0));
    let keeper = LeaseKeeper::start(
        Database::from_pool(db.clone()),
        Arc::clone(&leases),
        terms(ttl).changes(),
    )?;

    hold_up(Duration::from_secs(3));
    let is_held: bool = sqlx::query_scalar("SELECT lease_until > now() FROM millpond.jobs")
        .fetch_one(&db)
        .await?;

    assert!(is_held);
    assert_eq!(job.stop.reason(), None);
    keeper.stop().await;
    Ok(())
}

// Fails when leases are looked at only after a renewal was answered.
#[tokio::test]
async fn an_attempt_is_stopped_before_its_lease_ends_while_the_database_says_nothing()
-> anyhow::Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let db = Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(format!("postgres://a:b@{}/c", silent.local_addr()?)),
        requests: 1,
        enqueues: 1,
        engine: 1,
        claims: 1,
        application_name: "leases".to_owned(),
    })?;
    let terms = terms(TTL);
    let leases = Leases::default();
    let began = Instant::now();
    let job = hold(&leases, row());
    let never = CancellationToken::new();

    let terms = terms.changes();
    tokio::select! {
        () = keep(&db, &leases, &terms, &never) => {}
        () = job.stop.token().cancelled() => {}
    }

    assert_eq!(job.stop.reason(), Some(StopReason::LeaseLost));
    assert!(began.elapsed() < TTL, "{:?}", began.elapsed());
    Ok(())
}

// Fails when the time of a lease is that of the configuration of now instead of the one that it was claimed under.
#[test]
fn a_shorter_time_for_leases_takes_none_that_was_claimed_for_longer() {
    let leases = Leases::default();
    let job = ClaimedJob {
        row: row(),
        stop: Arc::default(),
        recorded: Arc::default(),
    };
    let long_ago = Instant::now() - Duration::from_secs(30);
    leases.hold(
        &Arc::from("default"),
        &job,
        long_ago,
        Duration::from_secs(60),
    );

    leases.stop_overdue();
    let due = leases.due(&config(TTL));

    assert_eq!(job.stop.reason(), None);
    assert_eq!(due.values().map(Vec::len).sum::<usize>(), 1);
}

// Fails when leases that were claimed for a short time wait for the slow round of renewals that a longer one has.
#[test]
fn leases_are_renewed_at_once_when_their_time_becomes_longer() {
    let leases = Leases::default();
    hold(&leases, row());

    let fresh = leases.due(&config(TTL));
    let due = leases.due(&config(Duration::from_secs(60)));

    assert!(fresh.is_empty());
    assert_eq!(due.values().map(Vec::len).sum::<usize>(), 1);
}

// Fails when an attempt goes by the longer time that its lease had, although a renewal may have shortened it.
#[test]
fn a_renewal_that_shortens_a_lease_counts_also_where_its_answer_is_lost() {
    let leases = Leases::default();
    let claimed_at = Instant::now();
    let job = hold(&leases, row());
    let portion = [(job.row.id, job.row.token, None)];

    leases.asked(&portion, claimed_at, TTL);
    leases.stop_overdue();
    let before = job.stop.reason();
    leases.asked(&portion, claimed_at, Duration::ZERO);
    leases.stop_overdue();

    assert_eq!(before, None);
    assert_eq!(job.stop.reason(), Some(StopReason::LeaseLost));
}
