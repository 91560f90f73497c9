//! Limits of the fleet: what many claimers may start together, what waits behind which gate, and what is told of it.

mod account_budgets;
mod calls_a_day;
mod explain;
mod explain_queue;
mod fair;
mod holds;
mod keys;
mod locked;
mod meanwhile;
mod parked;
mod queues;
mod random;
mod strays;
mod told;

use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Barrier;
use uuid::Uuid;

use super::fixture::{engine, succeed};
use crate::{
    NewJob, Queue,
    gates::{self, Ask, Claimed, Sweep},
    store::{
        claim::{Claim, ClaimedRow},
        settle::{self, Ended},
    },
};

/// Claimers that come at the same moment.
const CROWD: usize = 20;
/// Two attempts with one key never run at once.
const ONE_PER_KEY: &str = "[kinds.\"test.work\"]\nkey = \"name\"\nper_key_concurrency = 1\n";

/// An engine whose limits every process knows.
async fn limited(db: &PgPool, config: &str) -> anyhow::Result<Queue> {
    let queue = engine(db, config);
    queue.announce().await?;
    Ok(queue)
}

fn claim_by<'a>(queue: &'a str, kinds: &'a [String]) -> Claim<'a> {
    Claim {
        queue,
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds,
    }
}

/// Claims as a feeder does, and goes on behind where it was left.
async fn claim_on(
    conn: &mut PgConnection,
    queue: &str,
    most: usize,
    sweep: &mut Sweep,
) -> anyhow::Result<Claimed> {
    let kinds = ["test.work".to_owned(), "test.together".to_owned()];
    let ask = Ask {
        claim: &claim_by(queue, &kinds),
        most,
    };
    Ok(gates::claim(conn, &ask, sweep).await?)
}

/// Claims once.
async fn claim(db: &PgPool, queue: &str, most: usize) -> anyhow::Result<Vec<ClaimedRow>> {
    let mut conn = db.acquire().await?;
    let claimed = claim_on(&mut conn, queue, most, &mut Sweep::default()).await?;
    Ok(claimed.rows)
}

/// Claims until a claim says that the next one would give nothing.
async fn claim_all(db: &PgPool, queue: &str, most: usize) -> anyhow::Result<Vec<ClaimedRow>> {
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    let mut rows = Vec::new();
    loop {
        let claimed = claim_on(&mut conn, queue, most, &mut sweep).await?;
        rows.extend(claimed.rows);
        if !claimed.goes_on {
            return Ok(rows);
        }
    }
}

/// Connections for a crowd and for who watches it: the pool of a test has five, which is too few for claims to meet.
async fn roomy(connection: PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    let options = PgPoolOptions::new().max_connections(CROWD as u32 + 2);
    options.connect_with(connection).await
}

/// What a crowd gets that comes to these queues by turns at the same moment, each claimer as often as `times` says.
async fn crowd(
    db: &PgPool,
    queues: &[&str],
    most: usize,
    times: usize,
) -> anyhow::Result<Vec<ClaimedRow>> {
    let barrier = &Barrier::new(CROWD);
    let claimers = (0..CROWD).zip(queues.iter().cycle());
    let claimers = claimers.map(|(_, queue)| async move {
        let mut conn = db.acquire().await?;
        barrier.wait().await;
        let mut rows = Vec::new();
        for _ in 0..times {
            let claimed = claim_on(&mut conn, queue, most, &mut Sweep::default()).await?;
            rows.extend(claimed.rows);
        }
        anyhow::Ok(rows)
    });
    let claimed = futures::future::try_join_all(claimers).await?;
    Ok(claimed.into_iter().flatten().collect())
}

/// Ends attempts.
async fn settle(db: &PgPool, queue: &str, jobs: &[ClaimedRow]) -> anyhow::Result<usize> {
    let ended = Ended {
        ids: jobs.iter().map(|job| job.id).collect(),
        tokens: jobs.iter().map(|job| job.token).collect(),
        ..Ended::default()
    };
    Ok(settle::delete(db, queue, &ended).await?.len())
}

fn keyed(name: &str, key: &str) -> NewJob {
    NewJob {
        key: Some(key.to_owned()),
        ..succeed(name)
    }
}

fn of_tenant(name: &str, tenant: &str) -> NewJob {
    NewJob {
        tenant: Some(tenant.to_owned()),
        ..succeed(name)
    }
}

async fn enqueue_all(queue: &Queue, jobs: impl IntoIterator<Item = NewJob>) -> anyhow::Result<()> {
    let jobs = jobs.into_iter().map(|job| (job, None)).collect();
    for answer in queue.enqueue_batch(jobs, true).await? {
        answer?;
    }
    Ok(())
}

async fn run(db: &PgPool, sql: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sql).execute(db).await?;
    Ok(())
}

/// How many jobs are like this.
async fn count(db: &PgPool, like: &str) -> anyhow::Result<i64> {
    let sql = format!("SELECT count(*) FROM millpond.jobs WHERE {like}");
    Ok(sqlx::query_scalar(&sql).fetch_one(db).await?)
}

/// The names in the payloads of claimed jobs, in the order of their places.
fn names(jobs: &[ClaimedRow]) -> Vec<String> {
    let name = |job: &ClaimedRow| {
        let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap_or_default();
        payload["name"].as_str().unwrap_or_default().to_owned()
    };
    let mut names: Vec<String> = jobs.iter().map(name).collect();
    names.sort();
    names
}
