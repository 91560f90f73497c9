//! More callers than the API has places for.

use std::time::{Duration, Instant};

use reqwest::Method;
use sqlx::{Connection, PgConnection, types::Uuid};
use tokio::task::JoinSet;

use super::{
    Enqueue, enqueue_for_later, p99,
    process::{Process, allow_files},
};
use crate::harness::{Client, World};

/// The API has 1,024 places for requests at work.
const CALLERS: usize = 1_200;
/// Callers that must have found no place before refusals are timed, of the 176 who cannot find one.
const TURNED_AWAY: usize = 100;
/// Calls that are timed then.
const LATE: usize = 100;
/// How long all callers call without a pause.
const FLOOD: Duration = Duration::from_secs(4);
/// Twice the promised 250 ms.
const REFUSED_WITHIN: Duration = Duration::from_millis(500);
/// The promised 100 MiB.
const MOST_GROWTH_KIB: u64 = 100 * 1_024;
/// Twice the promised 5 s.
const NORMAL_WITHIN: Duration = Duration::from_secs(10);
/// What normal is: the slowest of twenty calls, one after the other, in a debug build.
const NORMAL: Duration = Duration::from_millis(250);

/// Calls once by every caller at the same time.
fn call_all(client: &Client) -> JoinSet<anyhow::Result<Enqueue>> {
    let mut calls = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        calls.spawn(async move { enqueue_for_later(&client).await });
    }
    calls
}

/// Opens a connection for every caller, so that the storm does not begin with a thousand handshakes.
async fn connect_all(client: &Client) -> anyhow::Result<()> {
    let all = (0..CALLERS).map(|_| async {
        let answer = client.bare(Method::GET, "/livez").send().await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
        // Only a connection whose answer was read is used again.
        answer.bytes().await?;
        anyhow::Ok(())
    });
    futures::future::try_join_all(all).await?;
    Ok(())
}

/// Holds the table of jobs against all who would write to it.
async fn hold_jobs(world: &World) -> anyhow::Result<PgConnection> {
    let mut holder = world.sql().await?;
    for statement in ["BEGIN", "LOCK TABLE millpond.jobs IN SHARE MODE"] {
        sqlx::query(statement).execute(&mut holder).await?;
    }
    Ok(holder)
}

/// Fills all places while nothing can be stored, and calls some more, one after the other. Gives what became of those
/// that filled the places and of those that came too late.
async fn storm(world: &World, client: &Client) -> anyhow::Result<(Vec<Enqueue>, Vec<Enqueue>)> {
    connect_all(client).await?;
    enqueue_for_later(client).await?;
    let holder = hold_jobs(world).await?;
    let mut calls = call_all(client);
    let mut answers = Vec::new();
    // The first answers come to those who found no place: nothing can be stored yet.
    while answers.len() < TURNED_AWAY
        && let Some(answer) = calls.join_next().await
    {
        answers.push(answer??);
    }
    let mut late = Vec::new();
    for _ in 0..LATE {
        late.push(enqueue_for_later(client).await?);
    }
    holder.close().await?;
    while let Some(answer) = calls.join_next().await {
        answers.push(answer??);
    }
    Ok((answers, late))
}

/// Calls by every caller, again and again, for some seconds.
async fn flood(client: &Client) -> anyhow::Result<Vec<Enqueue>> {
    let until = Instant::now() + FLOOD;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            let mut answers = Vec::new();
            while Instant::now() < until {
                answers.push(enqueue_for_later(&client).await?);
            }
            anyhow::Ok(answers)
        });
    }
    let mut all = Vec::new();
    while let Some(answers) = callers.join_next().await {
        all.extend(answers??);
    }
    Ok(all)
}

/// Tells how long it took until calls were as fast as ever.
async fn until_normal(client: &Client) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let answer = enqueue_for_later(client).await?;
            slowest = slowest.max(if answer.id.is_some() {
                answer.took
            } else {
                NORMAL_WITHIN
            });
        }
        if slowest <= NORMAL || began.elapsed() > NORMAL_WITHIN {
            return Ok(began.elapsed());
        }
    }
}

async fn stored(world: &World, ids: &[Uuid]) -> anyhow::Result<i64> {
    let count = sqlx::query_scalar("SELECT count(*) FROM millpond.jobs WHERE id = ANY ($1)");
    Ok(count.bind(ids).fetch_one(&mut world.sql().await?).await?)
}

// Fails when requests at work are not counted (no refusals, memory grows), when a refusal waits for a place or for the
// database, when one lacks Retry-After, and when a job is acknowledged before it is committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_callers_than_places_are_sent_away_at_once_and_nothing_accepted_is_lost()
-> anyhow::Result<()> {
    allow_files()?;
    let world = World::new().await?;
    let (_program, client) = world.serve().await?;
    let process = Process::only(&world).await?;
    enqueue_for_later(&client).await?;
    let before_kib = process.resident_kib()?;

    let (mut answers, late) = storm(&world, &client).await?;
    answers.extend(flood(&client).await?);
    let normal_after = until_normal(&client).await?;

    let refused = late.iter().filter(|answer| answer.id.is_none());
    let refusals_took: Vec<Duration> = refused.map(|answer| answer.took).collect();
    assert!(
        refusals_took.len() > LATE / 2,
        "no place was free: {late:?}"
    );
    let refusals_took = p99(refusals_took);
    assert!(refusals_took <= REFUSED_WITHIN, "{refusals_took:?}");
    answers.extend(late);
    let odd = answers.iter().find(|answer| !answer.is_orderly());
    assert!(odd.is_none(), "{odd:?}");
    let ids: Vec<Uuid> = answers.iter().filter_map(|answer| answer.id).collect();
    assert!(ids.len() > CALLERS, "{} were accepted", ids.len());
    assert_eq!(stored(&world, &ids).await?, i64::try_from(ids.len())?);
    let grown_kib = process.peak_kib()?.saturating_sub(before_kib);
    assert!(grown_kib <= MOST_GROWTH_KIB, "{grown_kib} KiB");
    assert!(normal_after <= NORMAL_WITHIN, "{normal_after:?}");
    Ok(())
}
