//! Plays operations on the real store and on the model, and compares after each.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    actual,
    expected::{Expected, Foreseen, key_text},
    operations::{Idempotency, Operation, Place, Request, Take, Token, Unique},
    settle,
};
use crate::{
    AdminError, DeadFilter, EnqueueError, EnqueueOutcome, JobDetail, JobId, JobState, NewJob,
    Queue, ReplayRequest, Selection, Start,
    store::{
        claim::{self, Claim},
        lease::{self, Renewals},
        poll,
        settle::unclaim,
    },
    tests::fixture::{actor, engine, succeed},
    worker::rescuer::rescue,
};

/// Attempts and losses as the model counts them; no backoff is over before the test says so.
const CONFIG: &str = r#"
[lease]
max_lost = 2
[defaults]
max_attempts = 3
"#;
pub(super) const QUEUE: &str = "default";
const KIND: &str = "test.work";
const TTL_SECONDS: f64 = 3_600.0;
/// Longer than any test runs.
pub(super) const LATER: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The real thing.
pub(super) struct World {
    db: PgPool,
    queue: Queue,
    workers: [Uuid; 3],
}

impl World {
    pub(super) fn new(db: PgPool) -> Self {
        Self {
            queue: engine(&db, CONFIG),
            db,
            workers: [(); 3].map(|()| Uuid::new_v4()),
        }
    }

    /// Plays a sequence on empty tables; fails at the first step at which they are not what the model says.
    pub(super) async fn play(&self, operations: &[Operation]) -> anyhow::Result<()> {
        actual::reset(&self.db).await?;
        let mut expected = Expected::default();
        for (step, operation) in (1..).zip(operations) {
            let step_name = || format!("step {step}, {operation:?}");
            // Boxed, since it is as large as the largest of what it may do.
            let applied = Box::pin(self.apply(operation, &mut expected)).await;
            applied.with_context(step_name)?;
            self.compare(&mut expected).await.with_context(step_name)?;
        }
        Ok(())
    }

    async fn compare(&self, expected: &mut Expected) -> anyhow::Result<()> {
        let actual = actual::read(&self.db).await?;
        expected.take_back_keys(&actual);
        let expected = expected.seen();
        for (id, job) in &actual {
            actual::check(*id, job)?;
        }
        let ids: BTreeSet<&Uuid> = actual.keys().chain(expected.keys()).collect();
        for id in ids {
            let (actual, expected) = (actual.get(id), expected.get(id));
            ensure!(
                actual == expected,
                "job {id} is {actual:?} and should be {expected:?}"
            );
        }
        actual::check_groups(&self.db).await
    }

    async fn apply(&self, operation: &Operation, expected: &mut Expected) -> anyhow::Result<()> {
        let step = expected.next_step();
        match operation {
            Operation::Enqueue(request) => self.enqueue(request, expected).await,
            Operation::Claim { worker, take } => self.claim(*worker, *take, expected).await,
            Operation::Renew(held) => self.renew(held, expected).await,
            Operation::Expire(place) => self.expire(*place, expected).await,
            Operation::Rescue => {
                let rescued = rescue(&self.queue.shared, QUEUE).await?;
                same(rescued, expected.rescue())
            }
            Operation::Settle(endings) => settle::play(&self.db, endings, expected).await,
            Operation::HandBack(held) => self.hand_back(held, expected).await,
            Operation::Cancel(place) => self.cancel(*place, expected).await,
            Operation::RunNow(place) => self.run_now(*place, expected).await,
            Operation::ComeDue(place) => self.come_due(*place, step, expected).await,
            Operation::Promote => {
                let promoted = poll::promote(&self.db, QUEUE).await?;
                same(promoted, expected.promote())
            }
            Operation::Replay(place) => self.replay(*place, expected).await,
        }
    }

    async fn enqueue(&self, request: &Request, expected: &mut Expected) -> anyhow::Result<()> {
        let foreseen = expected.foresee(request);
        let idempotency = request.idempotency.as_ref().map(idempotency);
        let answer = self.queue.enqueue(new_job(request), idempotency).await;
        match (&foreseen, &answer) {
            (Foreseen::Created, Ok(new))
                if new.outcome == EnqueueOutcome::Created
                    && !new.repeated
                    && !expected.knows(new.id.0) =>
            {
                expected.created(new.id.0, request);
            }
            (Foreseen::Kept(id), Ok(kept))
                if kept.id.0 == *id
                    && kept.outcome == EnqueueOutcome::Deduplicated
                    && !kept.repeated =>
            {
                expected.answered(request, *id, EnqueueOutcome::Deduplicated);
            }
            (Foreseen::Replaced(id), Ok(new))
                if new.id.0 == *id && new.outcome == EnqueueOutcome::Replaced && !new.repeated =>
            {
                expected.replaced(*id, request);
            }
            (Foreseen::Repeated(id, outcome), Ok(first))
                if first.id.0 == *id && first.outcome == *outcome && first.repeated => {}
            (Foreseen::Conflict(id), Err(EnqueueError::Conflict { existing }))
                if existing.0 == *id => {}
            (Foreseen::Mismatch, Err(EnqueueError::IdempotencyMismatch)) => {}
            _ => bail!("answered {answer:?} and should be {foreseen:?}"),
        }
        Ok(())
    }

    async fn claim(
        &self,
        worker: usize,
        take: Take,
        expected: &mut Expected,
    ) -> anyhow::Result<()> {
        let kinds = [KIND.to_owned()];
        let worker = self.workers[worker % self.workers.len()];
        let claim = Claim {
            queue: QUEUE,
            worker,
            ttl_seconds: TTL_SECONDS,
            kinds: &kinds,
        };
        let (rows, most) = match take {
            Take::Next(most) => {
                let rows = claim::next(&self.db, &claim, most).await?;
                (rows, if most < 10 { 1 } else { most })
            }
            Take::Mates(most) => {
                let rows = claim::mates(&self.db, &claim, KIND, None, most).await?;
                (rows, usize::try_from(most)?)
            }
        };
        let ids: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
        same(ids, expected.claimable(most))?;
        ensure!(
            !rows.iter().any(|row| expected.was_drawn(row.token)),
            "a token was drawn twice"
        );
        for row in rows {
            let numbers = expected.claimed(row.id, worker, row.token);
            same(Some((row.attempt, row.attempts_used)), numbers)?;
        }
        Ok(())
    }

    async fn renew(&self, held: &[(Place, Token)], expected: &mut Expected) -> anyhow::Result<()> {
        let held = named(held, expected);
        let renewals = Renewals {
            ids: held.iter().map(|(id, _)| *id).collect(),
            tokens: held.iter().map(|(_, token)| *token).collect(),
            progress: held.iter().map(|_| None).collect(),
        };

        let renewed = lease::renew(&self.db, QUEUE, &renewals, TTL_SECONDS).await?;

        let renewed: BTreeSet<_> = renewed
            .into_iter()
            .map(|lease| (lease.id, lease.token, lease.cancel_requested))
            .collect();
        let foreseen = held
            .into_iter()
            .filter_map(|(id, token)| Some((id, token, expected.renewed(id, token)?)))
            .collect();
        same(renewed, foreseen)
    }

    async fn expire(&self, place: Place, expected: &mut Expected) -> anyhow::Result<()> {
        let Some(id) = expected.at(place) else {
            return Ok(());
        };
        sqlx::query(
            "UPDATE millpond.jobs SET lease_until = now() - interval '1 second' WHERE id = $1 AND state = 'running'",
        )
        .bind(id)
        .execute(&self.db)
        .await?;
        expected.expired(id);
        Ok(())
    }

    async fn hand_back(
        &self,
        held: &[(Place, Token)],
        expected: &mut Expected,
    ) -> anyhow::Result<()> {
        let (ids, tokens): (Vec<Uuid>, Vec<Uuid>) = named(held, expected).into_iter().unzip();

        let back = unclaim(&self.db, QUEUE, &ids, &tokens).await?;

        let pairs = ids.into_iter().zip(tokens);
        let foreseen = pairs
            .filter(|(id, token)| expected.handed_back(*id, *token))
            .count();
        same(back.len(), foreseen)
    }

    async fn cancel(&self, place: Place, expected: &mut Expected) -> anyhow::Result<()> {
        let Some(id) = expected.at(place) else {
            return Ok(());
        };
        let done = self.queue.cancel(JobId(id), &actor()).await;
        allowed(done, expected.cancelled(id))
    }

    async fn run_now(&self, place: Place, expected: &mut Expected) -> anyhow::Result<()> {
        let Some(id) = expected.at(place) else {
            return Ok(());
        };
        let done = self.queue.run_now(JobId(id), &actor()).await;
        allowed(done, expected.run_now(id))
    }

    async fn come_due(
        &self,
        place: Place,
        step: i64,
        expected: &mut Expected,
    ) -> anyhow::Result<()> {
        let Some(id) = expected.at(place) else {
            return Ok(());
        };
        sqlx::query(
            "UPDATE millpond.jobs SET run_at = to_timestamp($2::bigint)
              WHERE id = $1 AND state IN ('scheduled', 'retrying')",
        )
        .bind(id)
        .bind(step)
        .execute(&self.db)
        .await?;
        expected.came_due(id);
        Ok(())
    }

    async fn replay(&self, place: Option<Place>, expected: &mut Expected) -> anyhow::Result<()> {
        let only = place.and_then(|place| expected.at(place));
        let selection = match only {
            Some(id) => Selection::Ids(vec![JobId(id)]),
            None => Selection::Filter(DeadFilter {
                kind: Some(KIND.to_owned()),
                ..DeadFilter::default()
            }),
        };
        let request = ReplayRequest {
            selection,
            dry_run: false,
            patch: None,
            reason: None,
        };

        let answer = self.queue.replay(request, &actor()).await?;

        let letters = expected.open_letters(only);
        same(answer.will_enqueue, letters.len() as u64)?;
        for letter in letters {
            let detail = self.queue.dead_letter(JobId(letter), None).await?;
            let id = detail
                .summary
                .job
                .replayed_as
                .context("it was not replayed")?;
            ensure!(
                !expected.knows(id.0),
                "the replay of {letter} is no new job"
            );
            expected.replayed(letter, id.0);
        }
        Ok(())
    }
}

/// The jobs and the tokens that are meant, each pair once.
fn named(held: &[(Place, Token)], expected: &Expected) -> Vec<(Uuid, Uuid)> {
    let pairs = held.iter().filter_map(|(place, token)| {
        let id = expected.at(*place)?;
        Some((id, expected.token(id, *token)))
    });
    pairs.collect::<BTreeSet<_>>().into_iter().collect()
}

fn new_job(request: &Request) -> NewJob {
    let states = |unique: &Unique| {
        let mut states = vec![JobState::Scheduled, JobState::Ready, JobState::Retrying];
        states.extend(unique.while_running.then_some(JobState::Running));
        states
    };
    NewJob {
        priority: Some(request.priority),
        start: if request.is_delayed {
            Start::After(LATER)
        } else {
            Start::Now
        },
        max_attempts: request.max_attempts,
        unique: request.unique.as_ref().map(|unique| crate::Unique {
            key: key_text(unique.key),
            states: states(unique),
            on_conflict: unique.on_conflict,
        }),
        ..succeed("x")
    }
}

fn idempotency(asked: &Idempotency) -> crate::Idempotency {
    crate::Idempotency {
        client: "model".to_owned(),
        key: asked.key.to_string(),
        fingerprint: [asked.body; 32],
    }
}

/// An action is carried out, or refused because of the job's state.
fn allowed(done: Result<JobDetail, AdminError>, foreseen: bool) -> anyhow::Result<()> {
    match done {
        Ok(_) => same(true, foreseen),
        Err(AdminError::State { .. }) => same(false, foreseen),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(actual: T, expected: T) -> anyhow::Result<()> {
    ensure!(
        actual == expected,
        "gave {actual:?} and should give {expected:?}"
    );
    Ok(())
}
