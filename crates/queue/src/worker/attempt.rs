//! One call of a handler: from the payload's text to an outcome for each job. Panics, time-outs, cancellations, lost
//! leases and shutdown end here, and each is the outcome of its own job and of nobody else's.

use std::{
    borrow::Cow,
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{
    claimed::{ClaimedJob, Settlement, Stop, StopReason, Unit},
    feeder::Feeder,
    lease::Leases,
    threads::QueueThreads,
    verdict::{CallEnd, Facts, Verdict, verdict},
};
use crate::{
    budgets::DrawsOn,
    client::{Shared, account_of},
    config::Policy,
    error_chain,
    handler::{Invocation, JobContext, JobError, JobInfo, Outcome, Recorded, Registry},
    job::{ErrorClass, JobId},
    sealing::{self, Unopened},
    store::{claim::ClaimedRow, insert::JobRow},
};

/// How long an attempt that was told to stop may take before it is aborted.
const GRACE: Duration = Duration::from_secs(5);
/// The part of a lease that an attempt may take for it that lost its own: half of what is left when nobody renewed it.
const LEFT_OF_LEASE: u32 = 12;

/// Runs the units of one queue.
pub(crate) struct Runner<A> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Arc<Registry<A>>,
    pub(crate) app: Arc<A>,
    pub(crate) feeder: Arc<Feeder>,
    pub(crate) threads: Arc<QueueThreads>,
    /// Cancelled when the process may not wait any longer for its attempts.
    pub(crate) interrupt: CancellationToken,
}

/// What an attempt has: time of its own, and a lease for so long at a time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    timeout: Duration,
    lease: Duration,
}

type Answers = Vec<Result<Outcome, JobError>>;
type Call = JoinHandle<Result<Answers, Box<dyn std::any::Any + Send>>>;

impl<A: Send + Sync + 'static> Runner<A> {
    /// Runs a unit and gives a settlement for each of its jobs.
    pub(crate) async fn run(&self, unit: Unit) -> Vec<Settlement> {
        let Unit {
            mut jobs,
            slot,
            claimed_at,
        } = unit;
        self.complete_batch(&mut jobs).await;
        let sealed = self.open_payloads(&mut jobs);
        let mut holding = Holding {
            leases: &self.feeder.leases,
            held: jobs.iter().map(|job| (job.row.id, job.row.token)).collect(),
        };
        let Some(first) = jobs.first() else {
            return Vec::new();
        };
        let kind: Arc<str> = first.row.kind.as_str().into();
        // What holds now holds for the whole attempt, whatever changes meanwhile.
        let config = self.shared.config();
        let policy = config.policy(&kind);
        let limits = Limits {
            timeout: policy.timeout,
            lease: config.lease.ttl,
        };
        let started = Instant::now();
        let ends = self.call(&kind, &jobs, limits, slot).await;
        let took = started.elapsed();
        tracing::debug!(job.kind = %kind, jobs = jobs.len(), duration_ms = took.as_millis(),
            claim_to_start_ms = started.duration_since(claimed_at).as_millis(), "attempts ended");
        let settlements: Vec<Settlement> = jobs
            .into_iter()
            .zip(ends)
            .zip(sealed)
            .filter_map(|((job, end), was_sealed)| {
                let settlement = self.settlement(job, end, &policy, (Arc::clone(&kind), took))?;
                Some(Settlement {
                    is_wiped: settlement.is_wiped || was_sealed,
                    ..settlement
                })
            })
            .collect();
        let settled: HashSet<Uuid> = settlements.iter().map(|s| s.id.0).collect();
        // What is settled is let go of when that is stored.
        holding.held.retain(|(id, _)| !settled.contains(id));
        settlements
    }

    /// Waits a moment for more jobs of the same kind and key where the kind takes them together.
    async fn complete_batch(&self, jobs: &mut Vec<ClaimedJob>) {
        let Some((most, wait)) = jobs
            .first()
            .and_then(|job| self.registry.batch(&job.row.kind))
        else {
            return;
        };
        let room = most.saturating_sub(jobs.len());
        if room == 0 || jobs.iter().any(ClaimedJob::runs_alone) {
            return;
        }
        // Nothing more is claimed once the process is told to stop.
        tokio::select! {
            biased;
            () = self.feeder.stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let Some(first) = jobs.first() else { return };
        match self.feeder.mates(&first.row, room).await {
            Ok(mates) => jobs.extend(mates),
            Err(error) => {
                tracing::debug!(error = %error_chain(&error), "a batch goes without more jobs");
            }
        }
    }

    /// Calls the handler with the jobs whose payload is JSON; the others fail here. The slot is the call's: a handler
    /// that blocks its thread keeps it when its time is over, so that no more than fit are ever under way.
    async fn call(
        &self,
        kind: &str,
        jobs: &[ClaimedJob],
        limits: Limits,
        slot: OwnedSemaphorePermit,
    ) -> Vec<CallEnd> {
        let mut unreadable: Vec<Option<CallEnd>> = Vec::with_capacity(jobs.len());
        let mut invocations = Vec::with_capacity(jobs.len());
        let mut stops = Vec::with_capacity(jobs.len());
        for job in jobs {
            match self.payload(&job.row) {
                Ok(payload) => {
                    invocations.push(Invocation {
                        payload,
                        ctx: self.context(job),
                    });
                    stops.push(Arc::clone(&job.stop));
                    unreadable.push(None);
                }
                Err(why) => unreadable.push(Some(CallEnd::Answered(Err(why)))),
            }
        }
        let mut ends = match self.registry.handler(kind) {
            Some(handler) if !invocations.is_empty() => {
                let span = span(kind, jobs);
                let threads = self.threads.present();
                let call = threads.at_home(handler(invocations));
                let call = async move {
                    let ended = AssertUnwindSafe(call).catch_unwind().await;
                    drop(slot);
                    ended
                };
                let call = threads.spawn(call.instrument(span));
                self.wait(call, &stops, limits).await
            }
            _ => Vec::new(),
        }
        .into_iter();
        unreadable
            .into_iter()
            .map(|known| {
                known
                    .or_else(|| ends.next())
                    .unwrap_or_else(|| CallEnd::Answered(Err(unanswered())))
            })
            .collect()
    }

    /// Opens payloads that lie encrypted, and tells which did. One that does not open stays as it is, and fails where it is
    /// read.
    fn open_payloads(&self, jobs: &mut [ClaimedJob]) -> Vec<bool> {
        let mut sealed = Vec::with_capacity(jobs.len());
        for job in jobs {
            let row = &mut job.row;
            sealed.push(sealing::is_sealed(&row.payload));
            let opened = match sealing::opened(self.shared.sealer(), row.id, &row.payload) {
                Ok(Cow::Owned(plain)) => Some(plain),
                Ok(Cow::Borrowed(_)) | Err(_) => None,
            };
            if let Some(plain) = opened {
                row.payload = plain;
            }
        }
        sealed
    }

    /// What the handler gets.
    fn payload(&self, row: &ClaimedRow) -> Result<Box<RawValue>, JobError> {
        let opened = sealing::opened(self.shared.sealer(), row.id, &row.payload);
        let text = opened.map_err(|why| unopened(&why))?.into_owned();
        RawValue::from_string(text).map_err(|_| undecodable())
    }

    fn context(&self, job: &ClaimedJob) -> JobContext<A> {
        let row = &job.row;
        let info = JobInfo {
            id: JobId(row.id),
            kind: row.kind.as_str().into(),
            queue: Arc::clone(&self.feeder.queue),
            attempt: row.attempt.unsigned_abs(),
            tenant: row.tenant.clone(),
            replay_of: row.replay_of.map(JobId),
            created_at: row.created_at,
            run_at: row.run_at,
        };
        JobContext::new(
            Arc::clone(&self.app),
            info,
            job.stop.token().clone(),
            Arc::clone(&job.recorded),
            self.draws_on(row),
        )
    }

    /// What the job's calls are counted as.
    fn draws_on(&self, row: &ClaimedRow) -> DrawsOn {
        let config = self.shared.config();
        let policy = config.policy(&row.kind);
        let account = policy.account.as_deref();
        DrawsOn {
            budgets: self.shared.budgets.clone(),
            named: self.shared.budgets.named_for(&row.kind),
            account: account.and_then(|field| account_of(&row.payload, field)),
            priority: row.priority,
        }
    }

    /// Waits for the call's end, or for a reason to end it: then it has a moment to stop by itself before it is aborted.
    async fn wait(&self, mut call: Call, stops: &[Arc<Stop>], limits: Limits) -> Vec<CallEnd> {
        // All are cancel-safe.
        let why = tokio::select! {
            ended = &mut call => return ends(ended, None, stops),
            () = tokio::time::sleep(limits.timeout) => Why::TimedOut(limits.timeout),
            why = stopped(stops) => why,
            () = self.interrupt.cancelled() => Why::Interrupted,
        };
        for stop in stops {
            stop.token().cancel();
        }
        let grace = match why {
            Why::Lost => {
                let shortest = limits.lease.min(self.shared.config().lease.ttl);
                GRACE.min(shortest / LEFT_OF_LEASE)
            }
            Why::Interrupted => GRACE / 5,
            Why::TimedOut(_) | Why::Cancelled => GRACE,
        };
        match tokio::time::timeout(grace, &mut call).await {
            Ok(ended) => ends(ended, Some(why), stops),
            Err(_) => {
                call.abort();
                stops.iter().map(|stop| why.end(stop)).collect()
            }
        }
    }

    fn settlement(
        &self,
        job: ClaimedJob,
        end: CallEnd,
        policy: &Policy,
        (kind, took): (Arc<str>, Duration),
    ) -> Option<Settlement> {
        let row = &job.row;
        let mut recorded: Recorded =
            std::mem::take(&mut *job.recorded.lock().unwrap_or_else(PoisonError::into_inner));
        let follow_ups = std::mem::take(&mut recorded.follow_ups);
        if recorded.lines_left_out > 0 {
            tracing::info!(job.id = %row.id, lines = recorded.lines_left_out, "a job's log was longer than is kept");
        }
        let account = policy.account.as_deref();
        let account = account.and_then(|field| account_of(&row.payload, field));
        let facts = Facts {
            kind: &kind,
            policy,
            attempts_used: row.attempts_used.unsigned_abs(),
            max_attempts: row
                .max_attempts
                .map_or(policy.max_attempts, i32::unsigned_abs),
            account: account.as_deref(),
            random: rand::random(),
        };
        let (end, follow_ups) = match (end, self.prepare(follow_ups)) {
            (CallEnd::Answered(Ok(outcome)), Ok(rows)) => (CallEnd::Answered(Ok(outcome)), rows),
            (CallEnd::Answered(Ok(_)), Err(error)) => (CallEnd::Answered(Err(error)), Vec::new()),
            (end, _) => (end, Vec::new()),
        };
        let verdict = verdict(end, &facts)?;
        log_failure(&job, &kind, &verdict);
        let follow_ups = if matches!(verdict, Verdict::Succeeded { .. }) {
            follow_ups
        } else {
            Vec::new()
        };
        Some(Settlement {
            id: JobId(row.id),
            token: row.token,
            attempt: row.attempt,
            kind,
            verdict,
            recorded,
            follow_ups,
            // Also where there are no keys: what is about people stays as long as it is needed.
            is_wiped: policy.encrypt,
            took,
        })
    }

    fn prepare(&self, jobs: Vec<crate::job::NewJob>) -> Result<Vec<JobRow>, JobError> {
        let prepared: Result<Vec<JobRow>, _> = jobs
            .into_iter()
            .map(|job| self.shared.prepare(job))
            .collect();
        prepared.map_err(|error| JobError::new(ErrorClass::Internal, error))
    }
}

/// The leases of a unit, which are let go of when its run does not come to its end: kept alive they would keep its jobs
/// from everybody. So are those of attempts that are left to the rescuer.
struct Holding<'a> {
    leases: &'a Leases,
    held: Vec<(Uuid, Uuid)>,
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        for (id, token) in self.held.drain(..) {
            self.leases.release(id, token);
        }
    }
}

/// Waits until no job of a call is wanted any more, or a lease is lost: no other worker may run that job beside this
/// call. A cancelled job whose mates go on sees its token.
async fn stopped(stops: &[Arc<Stop>]) -> Why {
    let waiting = stops.iter().map(|stop| async move {
        stop.token().cancelled().await;
        stop.reason()
    });
    let mut waiting: FuturesUnordered<_> = waiting.collect();
    while let Some(reason) = waiting.next().await {
        if reason == Some(StopReason::LeaseLost) {
            return Why::Lost;
        }
    }
    Why::Cancelled
}

/// Why a call was ended from outside.
enum Why {
    TimedOut(Duration),
    Cancelled,
    Lost,
    Interrupted,
}

impl Why {
    /// What it means for one job of the call.
    fn end(&self, stop: &Stop) -> CallEnd {
        match (self, stop.reason()) {
            (Self::TimedOut(limit), _) => CallEnd::TimedOut(*limit),
            (Self::Cancelled, _) | (Self::Lost, Some(StopReason::Cancelled)) => CallEnd::Cancelled,
            (Self::Lost, Some(StopReason::LeaseLost)) => CallEnd::Lost,
            // Its mate lost the lease: this job's own attempt was only broken off.
            (Self::Lost, None) | (Self::Interrupted, _) => CallEnd::Interrupted,
        }
    }
}

type Ended = Result<Result<Answers, Box<dyn std::any::Any + Send>>, tokio::task::JoinError>;

/// What a call that came to its end means for each job. What it did counts even where it had been told to stop.
fn ends(ended: Ended, why: Option<Why>, stops: &[Arc<Stop>]) -> Vec<CallEnd> {
    let Ok(Ok(answers)) = ended else {
        return stops.iter().map(|_| CallEnd::Panicked).collect();
    };
    let mut answers = answers.into_iter();
    stops
        .iter()
        .map(|stop| match (answers.next(), &why) {
            (Some(Ok(outcome @ (Outcome::Succeeded | Outcome::SucceededWith(_)))), _) => {
                CallEnd::Answered(Ok(outcome))
            }
            (_, Some(why)) => why.end(stop),
            (Some(answer), None) => CallEnd::Answered(answer),
            (None, None) => CallEnd::Answered(Err(unanswered())),
        })
        .collect()
}

fn unopened(why: &Unopened) -> JobError {
    let class = if why.is_of_setup() {
        ErrorClass::Config
    } else {
        ErrorClass::Invalid
    };
    JobError::from_text(class, &error_chain(why)).code("sealed_payload")
}

fn undecodable() -> JobError {
    JobError::from_text(
        ErrorClass::Invalid,
        "the payload is not JSON that can be decoded",
    )
    .code("payload")
}

fn unanswered() -> JobError {
    JobError::from_text(
        ErrorClass::Internal,
        "the handler gave no outcome for this job",
    )
}

fn span(kind: &str, jobs: &[ClaimedJob]) -> tracing::Span {
    let first = jobs.first().map(|job| &job.row);
    tracing::info_span!(
        "attempt",
        job.kind = kind,
        job.id = first.map(|row| row.id.to_string()),
        job.attempt = first.map(|row| row.attempt),
        job.trace = first.and_then(|row| row.traceparent.as_deref()),
        jobs = jobs.len(),
    )
}

fn log_failure(job: &ClaimedJob, kind: &str, verdict: &Verdict) {
    let Some(failure) = verdict.failure() else {
        return;
    };
    let (id, attempt, class) = (job.row.id, job.row.attempt, failure.class);
    match verdict {
        Verdict::Dead(_) => {
            tracing::warn!(job.id = %id, job.kind = kind, job.attempt = attempt, error_class = %class, error = failure.error,
                "the job failed for good and is a dead letter");
        }
        Verdict::Again { delay, .. } => {
            tracing::info!(job.id = %id, job.kind = kind, job.attempt = attempt, error_class = %class, error = failure.error,
                wait_ms = delay.as_millis(), "the attempt failed; the job waits");
        }
        Verdict::Held { account, .. } => {
            tracing::warn!(job.id = %id, job.kind = kind, job.attempt = attempt, error_class = %class, account.id = account,
                error = failure.error, "the account cannot be used and is held; the job waits for it");
        }
        Verdict::Succeeded { .. } | Verdict::Cancelled { .. } => {}
    }
}
