//! Queues and workers: how they stand, pause and resume.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::{Actor, AdminError, audit};
use crate::{
    Queue,
    db::within,
    metrics,
    store::{
        self,
        queues::{self, QueueRow},
        workers::{self, WorkerStatus},
    },
};

/// Longest reason.
pub(super) const LONGEST_REASON: usize = 500;

/// A queue's pause.
#[derive(Debug, Clone, Serialize)]
pub struct Paused {
    /// Who paused it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; `None`: until somebody resumes it.
    pub until: Option<DateTime<Utc>>,
}

/// How a queue stands.
#[derive(Debug, Clone, Serialize)]
pub struct QueueStatus {
    /// Its name.
    pub name: String,
    /// Jobs by state; beyond 10,000 of a state the leader's last count.
    pub depth: BTreeMap<String, i64>,
    /// How long the oldest ready job has waited; `None` where none is ready.
    pub oldest_ready_seconds: Option<f64>,
    /// Slots of all live workers.
    pub slots: i64,
    /// Jobs running now.
    pub slots_used: i64,
    /// `None`: not paused.
    pub paused: Option<Paused>,
}

impl Queue {
    /// How every queue stands, by name.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn queues(&self, tenant: Option<&str>) -> Result<Vec<QueueStatus>, AdminError> {
        let silent = self.shared.config().lease.ttl.as_secs_f64();
        let mut session = self.shared.db.request().await?;
        let read = within(async {
            let conn = session.conn();
            let rows = queues::list(&mut *conn).await?;
            let depths = queues::depths(&mut *conn, tenant).await?;
            let oldest = queues::oldest_ready(&mut *conn).await?;
            let workers = workers::list(&mut *conn, silent).await?;
            Ok((rows, depths, oldest, workers))
        })
        .await;
        let (rows, depths, oldest, workers) = session.end(read)?;
        let mut statuses: BTreeMap<String, QueueStatus> = rows
            .into_iter()
            .map(|row| (row.name.clone(), status(row, &workers)))
            .collect();
        for depth in depths {
            if let Some(status) = statuses.get_mut(&depth.queue) {
                if depth.state == "running" {
                    status.slots_used = depth.jobs;
                }
                status.depth.insert(depth.state, depth.jobs);
            }
        }
        for age in oldest {
            if let Some(status) = statuses.get_mut(&age.queue) {
                status.oldest_ready_seconds = Some(age.seconds.max(0.0));
            }
        }
        Ok(statuses.into_values().collect())
    }

    /// Pauses a queue: what runs goes on, nothing more is claimed.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an unknown queue, [`AdminError::Invalid`] for an end in the past.
    pub async fn pause_queue(
        &self,
        name: &str,
        reason: Option<&str>,
        until: Option<DateTime<Utc>>,
        actor: &Actor,
    ) -> Result<QueueStatus, AdminError> {
        check_until(until)?;
        check_reason(reason)?;
        let mut session = self.shared.db.request().await?;
        let paused = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let paused = queues::pause(&mut *tx, name, &actor.name, reason, until).await?;
            if paused {
                let mut row = audit(actor, "queue.pause", Some(name));
                (row.reason, row.detail) = (reason, json!({"until": until}));
                store::audit::note(&mut *tx, &row).await?;
            }
            tx.commit().await?;
            Ok(paused)
        })
        .await;
        if !session.end(paused)? {
            return Err(AdminError::NotFound);
        }
        metrics::admin_action("queue.pause");
        self.queue_status(name).await
    }

    /// Resumes a queue; one that is not paused stays as it is.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for an unknown queue.
    pub async fn resume_queue(&self, name: &str, actor: &Actor) -> Result<QueueStatus, AdminError> {
        let mut session = self.shared.db.request().await?;
        let resumed = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let resumed = queues::resume(&mut *tx, name).await?;
            if resumed {
                store::audit::note(&mut *tx, &audit(actor, "queue.resume", Some(name))).await?;
            }
            tx.commit().await?;
            Ok(resumed)
        })
        .await;
        if !session.end(resumed)? {
            return Err(AdminError::NotFound);
        }
        metrics::admin_action("queue.resume");
        self.shared.bell.ring(name);
        self.queue_status(name).await
    }

    async fn queue_status(&self, name: &str) -> Result<QueueStatus, AdminError> {
        let queues = self.queues(None).await?;
        queues
            .into_iter()
            .find(|queue| queue.name == name)
            .ok_or(AdminError::NotFound)
    }

    /// The workers that were seen within a lease's time.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn workers(&self) -> Result<Vec<WorkerStatus>, AdminError> {
        let silent = self.shared.config().lease.ttl.as_secs_f64();
        let mut session = self.shared.db.request().await?;
        let workers = within(workers::list(session.conn(), silent)).await;
        Ok(session.end(workers)?)
    }
}

/// Refuses an end of a pause that has passed.
pub(super) fn check_until(until: Option<DateTime<Utc>>) -> Result<(), AdminError> {
    match until {
        Some(until) if until <= Utc::now() => {
            Err(AdminError::invalid("/until", "lies in the past"))
        }
        _ => Ok(()),
    }
}

/// Refuses a reason that cannot be kept.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), AdminError> {
    let fits = |reason: &str| reason.chars().count() <= LONGEST_REASON && !reason.contains('\0');
    if reason.is_none_or(fits) {
        return Ok(());
    }
    Err(AdminError::invalid(
        "/reason",
        "must have at most 500 characters and no U+0000",
    ))
}

fn status(row: QueueRow, workers: &[WorkerStatus]) -> QueueStatus {
    let slots = workers
        .iter()
        .filter_map(|worker| worker.slots.get(&row.name)?.as_i64())
        .sum();
    let paused = row.paused_at.zip(row.paused_by).map(|(since, by)| Paused {
        by,
        reason: row.paused_reason,
        since,
        until: row.paused_until,
    });
    QueueStatus {
        name: row.name,
        depth: BTreeMap::new(),
        oldest_ready_seconds: None,
        slots,
        slots_used: 0,
        paused,
    }
}
