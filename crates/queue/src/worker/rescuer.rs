//! The rescuer: takes back jobs whose lease ran out. Safe to run in every process at once.

use uuid::Uuid;

use super::{fingerprint::fingerprint, settler::ready_again};
use crate::{
    client::Shared,
    config::Action,
    db::{DatabaseError, within},
    job::{AttemptOutcome, ErrorClass},
    metrics::{self, AttemptLabels},
    store::{
        lease::{self, Expired},
        settle::{self, Again, Ended},
    },
};

/// Jobs taken back by one transaction.
const TOGETHER: u64 = 500;

const LOST: &str = "the worker died or lost its lease";

/// Takes back all jobs of a queue whose lease ran out; tells how many. Each has a `lost` attempt in its history; one
/// that was lost too often, or had no attempt left, becomes a dead letter.
pub(crate) async fn rescue(shared: &Shared, queue: &str) -> Result<u64, DatabaseError> {
    let mut total = 0;
    loop {
        let rescued = rescue_some(shared, queue).await?;
        total += rescued;
        if rescued < TOGETHER {
            return Ok(total);
        }
    }
}

async fn rescue_some(shared: &Shared, queue: &str) -> Result<u64, DatabaseError> {
    let window = shared.config().lease.lost_window.as_secs_f64();
    let mut session = shared.db.engine().await?;
    let rescued = within(async {
        let mut tx = sqlx::Connection::begin(session.conn()).await?;
        let expired = lease::expired(&mut *tx, queue, window).await?;
        if expired.is_empty() {
            return Ok(Vec::new());
        }
        let plan = Plan::of(shared, expired);
        let none = vec![None; plan.cancelled.ids.len()];
        settle::finish(&mut *tx, queue, &plan.cancelled, &none).await?;
        settle::bury(&mut *tx, queue, &plan.dead, &plan.fingerprints).await?;
        settle::put_back(&mut *tx, queue, &plan.ready.0, &plan.ready.1).await?;
        tx.commit().await?;
        Ok(plan.fates)
    })
    .await;
    let rescued = session.end(rescued)?;
    if rescued.is_empty() {
        return Ok(0);
    }
    for (kind, fate) in &rescued {
        let labels = AttemptLabels {
            queue,
            kind,
            outcome: fate.outcome(),
            class: Some(ErrorClass::Lost),
        };
        metrics::attempt_settled(labels);
        if *fate == Fate::Dead {
            metrics::died_of_loss(queue, kind);
        }
    }
    metrics::rescued(queue, rescued.len() as u64);
    tracing::warn!(
        queue.name = queue,
        jobs = rescued.len(),
        "jobs were rescued from workers that died or lost their leases"
    );
    shared.bell.ring(queue);
    Ok(rescued.len() as u64)
}

/// What becomes of expired jobs.
#[derive(Default)]
struct Plan {
    cancelled: Ended,
    dead: Ended,
    fingerprints: Vec<String>,
    ready: (Ended, Again),
    fates: Vec<(String, Fate)>,
}

/// What becomes of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Cancelled,
    Dead,
    Ready,
}

impl Fate {
    /// How the attempt ended: one that was lost is lost, also where it was the last.
    fn outcome(self) -> AttemptOutcome {
        match self {
            Self::Cancelled => AttemptOutcome::Cancelled,
            Self::Dead | Self::Ready => AttemptOutcome::Lost,
        }
    }
}

impl Plan {
    fn of(shared: &Shared, expired: Vec<Expired>) -> Self {
        let mut plan = Self::default();
        let config = shared.config();
        for job in expired {
            let policy = config.policy(&job.kind);
            let most = job
                .max_attempts
                .unwrap_or_else(|| i32::try_from(policy.max_attempts).unwrap_or(i32::MAX));
            let lost_too_often = job.lost_before + 1 >= i64::from(config.lease.max_lost);
            let is_dead = lost_too_often
                || job.attempts_used >= most
                || matches!(policy.on.action(ErrorClass::Lost), Action::Dead);
            let fate = if job.cancel_requested {
                Fate::Cancelled
            } else if is_dead {
                Fate::Dead
            } else {
                Fate::Ready
            };
            match fate {
                Fate::Cancelled => end(&mut plan.cancelled, job.id, job.token, fate.outcome()),
                Fate::Dead => {
                    end(&mut plan.dead, job.id, job.token, fate.outcome());
                    plan.fingerprints
                        .push(fingerprint(&job.kind, ErrorClass::Lost, None, LOST));
                }
                Fate::Ready => ready_again(&mut plan.ready, job.id, job.token, LOST),
            }
            plan.fates.push((job.kind, fate));
        }
        plan
    }
}

fn end(ended: &mut Ended, id: Uuid, token: Uuid, outcome: AttemptOutcome) {
    ended.ids.push(id);
    ended.tokens.push(token);
    ended.outcomes.push(outcome.as_str().to_owned());
    ended
        .classes
        .push(Some(ErrorClass::Lost.as_str().to_owned()));
    ended.errors.push(Some(LOST.to_owned()));
    ended.progress.push(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_job_counts_as_cancelled_and_a_dead_one_as_lost() {
        assert_eq!(Fate::Cancelled.outcome(), AttemptOutcome::Cancelled);
        assert_eq!(Fate::Dead.outcome(), AttemptOutcome::Lost);
        assert_eq!(Fate::Ready.outcome(), AttemptOutcome::Lost);
    }
}
