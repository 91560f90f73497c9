//! Why is this job not running? Sees what a claim would see now, by one snapshot and without any lock, and tells of every
//! gate whether it keeps the job, who holds it, and until when.

mod answers;
mod behind;
mod estimate;
mod holders;
mod job;
mod queue;

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use super::{
    Gate,
    decide::{Candidate, Decision, decide},
    survey::{Look, Survey},
};
use crate::{
    Queue,
    admin::AdminError,
    db::within,
    job::JobId,
    store::{
        gates::fleet::{self, PauseRow, ShareRow},
        jobs,
    },
};

/// Most jobs that one claim starts.
const MOST_TOGETHER: usize = 500;
/// Up to so many jobs are counted.
const COUNTED: i64 = 10_000;

/// What keeps a job or a queue from going on, and when it should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// A job's state; a queue is `open` or `paused`.
    pub state: String,
    /// Whether the next claim starts the job, or any job of the queue.
    pub runnable: bool,
    /// Every gate; none for a job that does not wait.
    pub gates: Vec<GateAnswer>,
    /// How many jobs go first, counted up to 10,000. In a fair queue that is about how many.
    pub ahead: i64,
    /// When it should start; `None` where nobody knows.
    pub expected_start: Option<DateTime<Utc>>,
}

/// What a gate does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GateAnswer {
    /// Which.
    pub gate: Gate,
    /// Whether it keeps the job, or jobs of the queue, from starting now.
    pub blocking: bool,
    /// Who or what holds it.
    pub detail: String,
    /// Until when, where that is known: until the first of the ends that are told. What takes the places of a key has them
    /// by leases, which are renewed for as long as its attempts run.
    pub until: Option<DateTime<Utc>>,
}

impl Queue {
    /// Why a job is not running, and when it should. A tenant is told of its own jobs alone: how many of others' go first
    /// is not told, nor anything from which that would follow, such as how many run.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's job.
    pub async fn explain_job(
        &self,
        id: JobId,
        tenant: Option<&str>,
    ) -> Result<Explanation, AdminError> {
        let silent = self.shared.config().lease.ttl;
        let mut session = self.shared.db.request().await?;
        let explained = Box::pin(within(async {
            let mut tx = begin(session.conn()).await?;
            let Some(job) = fleet::live(&mut *tx, id.0, tenant).await? else {
                let ended = jobs::get(&mut *tx, id.0, tenant).await?;
                return Ok(ended.map(|job| job::ended(job.summary.state)));
            };
            let mut view = View::of(&mut tx, &job.queue, silent).await?;
            view.tells_of_all = tenant.is_none();
            let told = job::explain(&mut tx, view, (id.0, job), tenant).await?;
            tx.rollback().await?;
            Ok(Some(told))
        }))
        .await;
        session.end(explained)?.ok_or(AdminError::NotFound)
    }

    /// Whether a queue's jobs are running, what keeps those that are not, and when a job that came now should start.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an unknown queue.
    pub async fn explain_queue(&self, name: &str) -> Result<Explanation, AdminError> {
        let silent = self.shared.config().lease.ttl;
        let mut session = self.shared.db.request().await?;
        let explained = Box::pin(within(async {
            let mut tx = begin(session.conn()).await?;
            let view = View::of(&mut tx, name, silent).await?;
            let told = queue::explain(&mut tx, view).await?;
            tx.rollback().await?;
            Ok(told)
        }))
        .await;
        session.end(explained)?.ok_or(AdminError::NotFound)
    }
}

/// All of an explanation is of one moment.
async fn begin(
    conn: &mut PgConnection,
) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, sqlx::Error> {
    let mut tx = conn
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await?;
    fleet::go_by_indexes(&mut *tx).await?;
    Ok(tx)
}

/// What a claim of all the live workers of a queue together would see and do now.
#[derive(Debug)]
struct View {
    queue: String,
    /// Whether it is told how much all tenants do together.
    tells_of_all: bool,
    pause: Option<PauseRow>,
    workers: usize,
    /// Those that any live worker of the queue has registered.
    kinds: Vec<String>,
    slots: i64,
    running: i64,
    survey: Survey,
    decision: Decision,
}

impl View {
    async fn of(
        conn: &mut PgConnection,
        queue: &str,
        silent: Duration,
    ) -> Result<Self, sqlx::Error> {
        let shares = fleet::shares(&mut *conn, queue, silent.as_secs_f64()).await?;
        let slots = shares.iter().map(|share| share.slots).sum::<i64>().max(0);
        let running = fleet::running(&mut *conn, queue, slots).await?;
        let kinds = kinds_of(&shares);
        let free = usize::try_from(slots - running).unwrap_or(0);
        let look = Look {
            queue,
            kinds: &kinds,
            most: free.min(MOST_TOGETHER),
            spare: 0,
            behind: ("", ""),
            takes_turn: false,
        };
        let survey = Survey::make(&mut *conn, look).await?;
        let decision = decide(&survey.candidates, &survey.facts, survey.room);
        Ok(Self {
            queue: queue.to_owned(),
            tells_of_all: true,
            pause: fleet::pause(conn, queue).await?,
            workers: shares.len(),
            kinds,
            slots,
            running,
            survey,
            decision,
        })
    }

    /// What the next claim starts, in its order.
    fn starts(&self) -> impl Iterator<Item = &Candidate> {
        let places = self.decision.start.iter();
        places.filter_map(move |place| self.survey.candidates.get(*place))
    }

    /// How many of its jobs can run at a time.
    fn lanes(&self) -> i64 {
        let standing = self.survey.standing.as_ref();
        let places = standing.and_then(|standing| standing.places);
        places.map_or(self.slots, |(_, places)| {
            self.slots.min(i64::try_from(places).unwrap_or(i64::MAX))
        })
    }
}

fn kinds_of(shares: &[ShareRow]) -> Vec<String> {
    let kinds = shares.iter().flat_map(|share| &share.kinds);
    let kinds: BTreeSet<&String> = kinds.collect();
    kinds.into_iter().cloned().collect()
}
