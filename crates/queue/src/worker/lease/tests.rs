//! No attempt's words and no silence of the database may cost another attempt its lease, or let two run at once.

use std::{net::TcpListener, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use sqlx::PgPool;

use super::*;
use crate::{
    DatabaseSettings,
    store::claim::{self, Claim, ClaimedRow},
    tests::fixture::{FAST, engine, succeed},
};

fn config(ttl: Duration) -> config::Lease {
    config::Lease {
        ttl,
        renew_every: ttl / 3,
        max_lost: 3,
        lost_window: Duration::from_secs(3_600),
    }
}

fn hold(leases: &Leases, row: ClaimedRow) -> ClaimedJob {
    let job = ClaimedJob {
        row,
        stop: Arc::default(),
        recorded: Arc::default(),
    };
    leases.hold(&Arc::from("default"), &job, Instant::now());
    job
}

fn row() -> ClaimedRow {
    ClaimedRow {
        id: Uuid::now_v7(),
        kind: "test.work".to_owned(),
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
    let config = config(Duration::from_secs(2));
    let kinds = ["test.work".to_owned()];
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: config.ttl.as_secs_f64(),
        kinds: &kinds,
    };
    let leases = Arc::new(Leases::default());
    let job = hold(&leases, claim::next(&db, &claim, 1).await?.remove(0));
    let keeper = LeaseKeeper::start(Database::from_pool(db.clone()), Arc::clone(&leases), config)?;

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
    let config = config(Duration::from_secs(2));
    let leases = Leases::default();
    let began = Instant::now();
    let job = hold(&leases, row());
    let never = CancellationToken::new();

    tokio::select! {
        () = keep(&db, &leases, &config, &never) => {}
        () = job.stop.token().cancelled() => {}
    }

    assert_eq!(job.stop.reason(), Some(StopReason::LeaseLost));
    assert!(began.elapsed() < config.ttl, "{:?}", began.elapsed());
    Ok(())
}
