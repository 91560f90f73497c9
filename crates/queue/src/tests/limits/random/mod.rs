//! Random situations: what is explained as runnable is what the next claim starts, and nothing else; and both are right,
//! by an oracle that shares nothing with them.

mod oracle;
mod situation;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use sqlx::PgPool;
use uuid::Uuid;

use self::{
    oracle::Oracle,
    situation::{Job, Situation, State},
};
use super::{limited, run};
use crate::{
    Gate, JobId, Queue,
    gates::{self, Ask, Sweep},
    store::claim::{self as plain, Claim, ClaimedRow},
};

/// Situations in which every job is explained.
const EXPLAINED: u64 = 60;
/// Situations in which nothing but claims is tried: they take less time.
const CLAIMED: u64 = 150;
/// Claims one after the other that may go on.
const MOST_CLAIMS: usize = 60;

/// What the worker of a situation starts.
#[derive(Debug, Default)]
struct Started<'s> {
    /// By its first claim.
    first: Vec<&'s Job>,
    /// By all, until one says that the next would give nothing, or no slot is free.
    all: Vec<&'s Job>,
}

fn of_rows<'s>(situation: &'s Situation, rows: &[ClaimedRow]) -> Vec<&'s Job> {
    let started: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
    let jobs = situation.jobs.iter();
    jobs.filter(|job| started.contains(&job.id())).collect()
}

async fn start<'s>(db: &PgPool, situation: &'s Situation) -> anyhow::Result<Started<'s>> {
    let oracle = Oracle(situation);
    let kinds: Vec<String> = oracle.kinds().iter().map(|&kind| kind.to_owned()).collect();
    let claim = Claim {
        queue: "default",
        worker: Uuid::new_v4(),
        ttl_seconds: 60.0,
        kinds: &kinds,
    };
    let mut started = Started::default();
    if situation.is_plain() {
        let mut rows = Vec::new();
        for _ in 0..oracle.free() {
            rows.extend(plain::next(db, &claim, 1).await?);
        }
        started.first = of_rows(situation, &rows);
        started.all.clone_from(&started.first);
        return Ok(started);
    }
    let mut conn = db.acquire().await?;
    let mut sweep = Sweep::default();
    for claims in 0..MOST_CLAIMS {
        let most = oracle.free().saturating_sub(started.all.len());
        let ask = Ask {
            claim: &claim,
            most,
        };
        let claimed = gates::claim(&mut conn, &ask, &mut sweep).await?;
        let jobs = of_rows(situation, &claimed.rows);
        if claims == 0 {
            started.first.clone_from(&jobs);
        }
        started.all.extend(jobs);
        if !claimed.goes_on || most == 0 {
            return Ok(started);
        }
    }
    anyhow::bail!("claims go on for ever")
}

fn judge(situation: &Situation, started: &Started<'_>) -> anyhow::Result<()> {
    let oracle = Oracle(situation);
    oracle.nothing_too_much(&started.first)?;
    oracle.nothing_too_much(&started.all)?;
    oracle.nothing_too_little(&started.all)?;
    // What earlier claims have parked comes when a later one finds its gate open.
    match (situation.has_notes(), situation.is_fair) {
        (true, _) => Ok(()),
        (false, true) => oracle.by_turns(&started.first),
        (false, false) => oracle.in_order(&started.first),
    }
}

/// The jobs that are explained as runnable, once what is told of each was found right. Counts the gates that keep jobs.
async fn explain<'s>(
    queue: &Queue,
    situation: &'s Situation,
    seen: &mut BTreeMap<&'static str, usize>,
) -> anyhow::Result<Vec<&'s Job>> {
    let oracle = Oracle(situation);
    let mut runnable = Vec::new();
    let waiting = situation.jobs.iter();
    for job in waiting.filter(|job| job.state != State::Running) {
        let told = queue.explain_job(JobId(job.id()), None).await?;
        let gates: Vec<Gate> = told.gates.iter().map(|it| it.gate).collect();
        ensure!(
            told.state == job.state.as_str() && gates == Gate::ALL,
            "{told:?}"
        );
        let blocking = told.gates.iter().filter(|gate| gate.blocking);
        let mut blocking: BTreeSet<&'static str> = blocking.map(|it| it.gate.as_str()).collect();
        for gate in &blocking {
            *seen.entry(*gate).or_default() += 1;
        }
        ensure!(
            told.runnable == blocking.is_empty(),
            "{job:?} is kept or runnable: {told:?}"
        );
        if told.runnable {
            runnable.push(job);
        }
        // Both may be for the sake of jobs that go first.
        blocking.remove("backlog");
        let gates = oracle.gates(job);
        if oracle.has_places(job) && !gates.contains("key_limit") {
            blocking.remove("key_limit");
        }
        ensure!(blocking == gates, "{gates:?} keep {job:?}: {told:?}");
    }
    Ok(runnable)
}

// Fails when a claim and an explanation go by different predicates, or by the same in another order; when a gate is told
// that does not keep the job, or one is left out that does.
#[sqlx::test(migrations = "../../migrations")]
async fn what_is_explained_as_runnable_is_what_the_next_claim_starts(
    db: PgPool,
) -> anyhow::Result<()> {
    let queue = limited(&db, "").await?;
    let mut seen = BTreeMap::new();
    for case in 0..EXPLAINED {
        let situation = Situation::new(case);
        let told = || format!("case {case}: {situation:?}");
        run(&db, &situation.sql()).await.with_context(told)?;

        let runnable = explain(&queue, &situation, &mut seen)
            .await
            .with_context(told)?;
        let started = start(&db, &situation).await.with_context(told)?;

        ensure!(
            runnable == started.first,
            "{}: {runnable:?} are explained as runnable, {:?} were started",
            told(),
            started.first
        );
        judge(&situation, &started).with_context(told)?;
    }

    for gate in Gate::ALL {
        assert!(seen.contains_key(gate.as_str()), "{gate}: {seen:?}");
    }
    Ok(())
}

// Fails when a gate lets through what it should keep, or keeps what it should let through, when jobs start in another order
// than that of arrival or of turns, and when a claim says that nothing is left where something is.
#[sqlx::test(migrations = "../../migrations")]
async fn claims_start_what_may_start_and_leave_nothing_that_may(db: PgPool) -> anyhow::Result<()> {
    limited(&db, "").await?;
    let (mut plain, mut fair) = (0, 0);
    for case in EXPLAINED..EXPLAINED + CLAIMED {
        let situation = Situation::new(case);
        let told = || format!("case {case}: {situation:?}");
        run(&db, &situation.sql()).await.with_context(told)?;

        let started = start(&db, &situation).await.with_context(told)?;

        judge(&situation, &started).with_context(told)?;
        plain += usize::from(situation.is_plain()) * started.all.len();
        fair += usize::from(situation.is_fair) * started.all.len();
    }

    assert!(plain > 20, "only {plain} jobs were started without limits");
    assert!(fair > 20, "only {fair} jobs were started by turns");
    Ok(())
}
