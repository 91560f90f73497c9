//! Schedules: how they stand, pause and resume, and a job now, beside the ticks.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::{
    Actor, AdminError, Paused, audit,
    queues::{check_reason, check_until},
};
use crate::{
    EnqueueError, Queue,
    client::Shared,
    config::{Misfire, Overlap, Schedule},
    db::within,
    job::{Enqueued, JobId, JobState},
    metrics,
    schedules::jobs::{self, Named},
    store::{
        self,
        insert::Answer,
        schedules::{self, ScheduleRow},
    },
};

/// Ticks to come that are told of a schedule.
const NEXT: usize = 5;

/// Whether a schedule's ticks make jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ScheduleState {
    /// They do.
    #[serde(rename = "active")]
    Active,
    /// Not until it is resumed.
    #[serde(rename = "paused")]
    Paused,
    /// There are no ticks: this release has no handler for its kind.
    #[serde(rename = "no such kind")]
    NoSuchKind,
    /// Its payload does not fit its kind: every tick is refused.
    #[serde(rename = "invalid")]
    Invalid,
}

impl ScheduleState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::NoSuchKind => "no such kind",
            Self::Invalid => "invalid",
        }
    }
}

/// The latest tick of a schedule.
#[derive(Debug, Clone, Serialize)]
pub struct LastTick {
    /// When it was due.
    pub tick: DateTime<Utc>,
    /// A word of [`crate::TickOutcome`].
    pub outcome: String,
    /// Its job, where it has one.
    pub job: Option<JobId>,
    /// What became of the job: `succeeded`, `cancelled`, `dead`, or `gone` where nothing of it is left. `None` while it
    /// is still to be done, and some seconds longer.
    pub ended: Option<String>,
    /// Why there is no job, where it was refused.
    pub detail: Option<String>,
}

/// How a schedule stands.
#[derive(Debug, Clone, Serialize)]
pub struct ScheduleStatus {
    /// Its name.
    pub name: String,
    /// Whether its ticks make jobs.
    pub state: ScheduleState,
    /// What is wrong with its payload, where that does not fit its kind.
    pub problem: Option<String>,
    /// The kind of its jobs.
    pub kind: String,
    /// Its cron expression.
    pub cron: String,
    /// The zone whose clock it goes by.
    pub timezone: &'static str,
    /// `skip`, `run_once` or `run_all`.
    pub misfire: &'static str,
    /// `allow` or `skip`.
    pub overlap: &'static str,
    /// The longest random delay of a tick's job.
    pub jitter_seconds: f64,
    /// `None`: not paused.
    pub paused: Option<Paused>,
    /// The next five ticks, whether they will make jobs or not.
    pub next: Vec<DateTime<Utc>>,
    /// `None`: it has not ticked yet.
    pub last: Option<LastTick>,
    /// When the latest job of a tick succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl Queue {
    /// How every schedule of the configuration stands, by name.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn schedules(&self) -> Result<Vec<ScheduleStatus>, AdminError> {
        let config = self.shared.config();
        let mut session = self.shared.db.request().await?;
        let rows = within(schedules::list(session.conn(), None)).await;
        let rows = session.end(rows)?;
        let standing = |name: &str| rows.iter().find(|row| row.name == name);
        let schedules = config.schedules.iter();
        Ok(schedules
            .map(|(name, schedule)| status(&self.shared, Named { name, schedule }, standing(name)))
            .collect())
    }

    /// How a schedule stands.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for one that the configuration does not have.
    pub async fn schedule(&self, name: &str) -> Result<ScheduleStatus, AdminError> {
        let config = self.shared.config();
        let schedule = config.schedules.get(name).ok_or(AdminError::NotFound)?;
        let mut session = self.shared.db.request().await?;
        let rows = within(schedules::list(session.conn(), Some(name))).await;
        let rows = session.end(rows)?;
        Ok(status(&self.shared, Named { name, schedule }, rows.first()))
    }

    /// Pauses a schedule: none of its ticks makes a job, and none of them is caught up later.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for one that the configuration does not have, [`AdminError::Invalid`] for an end in the
    /// past.
    pub async fn pause_schedule(
        &self,
        name: &str,
        reason: Option<&str>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
    ) -> Result<ScheduleStatus, AdminError> {
        self.known_schedule(name)?;
        check_until(until)?;
        check_reason(reason)?;
        let mut session = self.shared.db.request().await?;
        let paused = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            schedules::pause(&mut *tx, name, &actor.name, reason, until).await?;
            let mut row = audit(actor, "schedule.pause", Some(name));
            (row.reason, row.detail) = (reason, json!({"until": until}));
            store::audit::note(&mut *tx, &row).await?;
            tx.commit().await
        })
        .await;
        session.end(paused)?;
        metrics::admin_action("schedule.pause");
        self.schedule(name).await
    }

    /// Resumes a schedule from its next tick on; one that is not paused stays as it is.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for one that the configuration does not have.
    pub async fn resume_schedule(
        &self,
        name: &str,
        actor: &Actor,
    ) -> Result<ScheduleStatus, AdminError> {
        self.known_schedule(name)?;
        let mut session = self.shared.db.request().await?;
        let resumed = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let resumed = schedules::resume(&mut *tx, name).await?;
            if resumed {
                store::audit::note(&mut *tx, &audit(actor, "schedule.resume", Some(name))).await?;
            }
            tx.commit().await?;
            Ok(resumed)
        })
        .await;
        if session.end(resumed)? {
            metrics::admin_action("schedule.resume");
        }
        self.schedule(name).await
    }

    /// Makes a job of a schedule now, also of one that is paused. No tick is used up.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for one that the configuration does not have, [`AdminError::NotEnqueued`] where its job
    /// cannot be made.
    pub async fn trigger_schedule(
        &self,
        name: &str,
        reason: Option<&str>,
        actor: &Actor,
    ) -> Result<Enqueued, AdminError> {
        check_reason(reason)?;
        let config = self.shared.config();
        let schedule = config.schedules.get(name).ok_or(AdminError::NotFound)?;
        let job = Named { name, schedule }.job(Utc::now());
        let row = self.shared.prepare(job).map_err(AdminError::NotEnqueued)?;
        let mut session = self.shared.db.request().await?;
        let stored = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let mut answers = jobs::store(&mut tx, std::slice::from_ref(&row)).await?;
            let answer = answers.pop().unwrap_or(Err(EnqueueError::NotKept));
            if let Ok(answer) = &answer {
                schedules::note_trigger(&mut *tx, name, answer.stored.id).await?;
                let mut row = audit(actor, "schedule.trigger", Some(name));
                (row.reason, row.detail) = (reason, json!({"job": answer.stored.id}));
                store::audit::note(&mut *tx, &row).await?;
                tx.commit().await?;
            }
            Ok(answer)
        })
        .await;
        let answer = session.end(stored)?.map_err(AdminError::NotEnqueued)?;
        metrics::admin_action("schedule.trigger");
        jobs::announce(&self.shared, &schedule.kind, &answer);
        Ok(enqueued(&schedule.kind, answer))
    }

    fn known_schedule(&self, name: &str) -> Result<(), AdminError> {
        match self.shared.config().schedules.contains_key(name) {
            true => Ok(()),
            false => Err(AdminError::NotFound),
        }
    }
}

fn enqueued(kind: &str, answer: Answer) -> Enqueued {
    Enqueued {
        id: JobId(answer.stored.id),
        kind: kind.into(),
        queue: answer.queue,
        state: answer.stored.state.parse().unwrap_or(JobState::Ready),
        run_at: answer.stored.run_at,
        outcome: answer.outcome,
        repeated: false,
    }
}

fn status(shared: &Shared, named: Named<'_>, row: Option<&ScheduleRow>) -> ScheduleStatus {
    let Named { name, schedule } = named;
    let now = Utc::now();
    let paused = row.and_then(paused);
    let problem = shared
        .prepare(named.job(now))
        .err()
        .filter(|_| shared.has_kind(&schedule.kind))
        .map(|error| jobs::reason(&error));
    let state = if !shared.has_kind(&schedule.kind) {
        ScheduleState::NoSuchKind
    } else if problem.is_some() {
        ScheduleState::Invalid
    } else if paused.is_some() {
        ScheduleState::Paused
    } else {
        ScheduleState::Active
    };
    ScheduleStatus {
        name: name.to_owned(),
        state,
        problem,
        kind: schedule.kind.clone(),
        cron: schedule.cron.clone(),
        timezone: schedule.timezone.name(),
        misfire: misfire(schedule),
        overlap: overlap(schedule),
        jitter_seconds: schedule.jitter.as_secs_f64(),
        paused,
        next: schedule.ticks_after(now).take(NEXT).collect(),
        last: row.and_then(last_tick),
        last_success_at: row.and_then(|row| row.last_success_at),
    }
}

fn misfire(schedule: &Schedule) -> &'static str {
    match schedule.misfire {
        Misfire::Skip => "skip",
        Misfire::RunOnce => "run_once",
        Misfire::RunAll => "run_all",
    }
}

fn overlap(schedule: &Schedule) -> &'static str {
    match schedule.overlap {
        Overlap::Allow => "allow",
        Overlap::Skip => "skip",
    }
}

fn paused(row: &ScheduleRow) -> Option<Paused> {
    let (since, by) = row.paused_at.zip(row.paused_by.clone())?;
    row.is_paused.then(|| Paused {
        by,
        reason: row.pause_reason.clone(),
        since,
        until: row.paused_until,
    })
}

fn last_tick(row: &ScheduleRow) -> Option<LastTick> {
    let (tick, outcome) = row.last_tick.zip(row.last_outcome.clone())?;
    Some(LastTick {
        tick,
        outcome,
        job: row.tick_job.map(JobId),
        ended: row.tick_ended.clone(),
        detail: row.tick_detail.clone(),
    })
}
