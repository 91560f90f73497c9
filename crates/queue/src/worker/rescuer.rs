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

const LOST: &str = "the worker died or lost its lease";

/// Takes back up to 500 jobs of a queue; tells how many. Each has a `lost` attempt in its history; one that was lost
/// too often, or had no attempt left, becomes a dead letter.
pub(crate) async fn rescue(shared: &Shared, queue: &str) -> Result<u64, DatabaseError> {
    let window = shared.config.lease.lost_window.as_secs_f64();
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
        Ok(plan.kinds)
    })
    .await;
    let rescued = session.end(rescued)?;
    if rescued.is_empty() {
        return Ok(0);
    }
    for (kind, outcome) in &rescued {
        let labels = AttemptLabels {
            queue,
            kind,
            outcome: *outcome,
            class: Some(ErrorClass::Lost),
        };
        metrics::attempt_settled(
            AttemptLabels {
                outcome: AttemptOutcome::Lost,
                ..labels
            },
            None,
        );
        if *outcome == AttemptOutcome::Dead {
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
    kinds: Vec<(String, AttemptOutcome)>,
}

impl Plan {
    fn of(shared: &Shared, expired: Vec<Expired>) -> Self {
        let mut plan = Self::default();
        for job in expired {
            let policy = shared.config.policy(&job.kind);
            let most = job
                .max_attempts
                .unwrap_or_else(|| i32::try_from(policy.max_attempts).unwrap_or(i32::MAX));
            let lost_too_often = job.lost_before + 1 >= i64::from(shared.config.lease.max_lost);
            let is_dead = lost_too_often
                || job.attempts_used >= most
                || matches!(policy.on.action(ErrorClass::Lost), Action::Dead);
            let outcome = if job.cancel_requested {
                end(
                    &mut plan.cancelled,
                    job.id,
                    job.token,
                    AttemptOutcome::Cancelled,
                );
                AttemptOutcome::Cancelled
            } else if is_dead {
                // The attempt was lost; that it was the last one makes the job dead.
                end(&mut plan.dead, job.id, job.token, AttemptOutcome::Lost);
                plan.fingerprints
                    .push(fingerprint(&job.kind, ErrorClass::Lost, None, LOST));
                AttemptOutcome::Dead
            } else {
                ready_again(&mut plan.ready, job.id, job.token, LOST);
                AttemptOutcome::Lost
            };
            plan.kinds.push((job.kind, outcome));
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
