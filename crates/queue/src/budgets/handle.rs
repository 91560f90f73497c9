//! What handlers draw on: a budget for an account.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

use super::{
    BudgetError, BudgetPermit, Budgets, LAST_URGENT, Whose, bucket::Bucket, decision::Call,
    exchange, stock::Report,
};

/// Longest that a job is put off whose budget claims know, as that of its kind or of its account: they heed that it is dry, and
/// let the job run as soon as there is something again, which may be long before it is sure to be: others give back what
/// they leased, limits change, and pauses end early.
const LONGEST_IF_GATED: Duration = Duration::from_secs(10);
/// Longest that other jobs are put off: of those each has to ask for itself.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Longest pause, and longest time that a provider's word means something.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Longest reason of a pause, in characters.
const LONGEST_REASON: usize = 200;

/// What the calls of an attempt are counted as.
#[derive(Debug, Clone)]
pub(crate) struct DrawsOn {
    pub(crate) budgets: Budgets,
    /// The budget that `jobs.toml` names for the kind.
    pub(crate) named: Option<String>,
    /// The account that the payload names.
    pub(crate) account: Option<String>,
    /// The job's priority.
    pub(crate) priority: i16,
}

impl DrawsOn {
    /// The budget that is named for the kind, or else this one.
    pub(crate) fn budget(&self, provider: &str, account: Option<&str>) -> BudgetHandle {
        BudgetHandle {
            budgets: self.budgets.clone(),
            name: self.named.as_deref().unwrap_or(provider).into(),
            account: account.map(Arc::from),
            urgent: self.priority <= LAST_URGENT,
            longest_wait: if self.is_gated(account) {
                LONGEST_IF_GATED
            } else {
                LONGEST_WAIT
            },
        }
    }

    /// Whether claims ask what is left for calls of this account before they start the job.
    fn is_gated(&self, account: Option<&str>) -> bool {
        self.named.is_some() || (account.is_some() && account == self.account.as_deref())
    }

    /// The budget that is named for the kind.
    pub(crate) fn named(&self) -> Option<BudgetHandle> {
        let name = self.named.as_deref()?;
        Some(self.budget(name, self.account.as_deref()))
    }
}

/// A budget, and the account whose calls are drawn from it.
#[derive(Debug, Clone)]
pub struct BudgetHandle {
    pub(super) budgets: Budgets,
    pub(super) name: Arc<str>,
    pub(super) account: Option<Arc<str>>,
    /// Whether its calls may have what is reserved.
    pub(super) urgent: bool,
    pub(super) longest_wait: Duration,
}

/// What a provider says of its quota with an answer. Times are spans, since its clock is not ours.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QuotaReport {
    /// The share that is used, 0 to 1; more where a provider lets callers go beyond it.
    pub used_share: Option<f64>,
    /// The calls that are left.
    pub remaining: Option<u64>,
    /// When that is over; `None`: after five minutes.
    pub resets_in: Option<Duration>,
}

impl BudgetHandle {
    /// Its name in `jobs.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Longest that a job is to be put off for the sake of this budget. Where claims heed it, a job that has come back waits
    /// ready, and explains why; others have to ask for themselves.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// Waits until a call may be made, for up to 10 s and the moment that spaces calls out. To be asked right before
    /// the call: what it gives counts from now on. `weight` is what the provider counts the call as; with 0 it only takes
    /// its place among those in flight. Safe to drop.
    ///
    /// # Errors
    /// [`BudgetError::Dry`] where nothing is left for now; [`BudgetError::wait`] tells what to do of each.
    pub async fn take(&self, weight: u32) -> Result<BudgetPermit, BudgetError> {
        let bucket = self.bucket()?;
        let call = Call {
            weight: weight.into(),
            urgent: self.urgent,
        };
        if let Some(most) = exchange::too_heavy(&bucket.terms().limits, call) {
            return Err(BudgetError::TooHeavy {
                budget: self.name.to_string(),
                weight: call.weight,
                most,
            });
        }
        // A task of the process's own runtime: who waits first looks after the others, and must not do so on a thread
        // that another handler can block.
        let fleet = &self.budgets.0;
        let taking = fleet.tasks.spawn(bucket.take(Arc::clone(fleet), call));
        let taken = AbortOnDropHandle::new(taking).await;
        let mut taken = taken.unwrap_or(Err(BudgetError::Stopped));
        if let Err(BudgetError::Dry { wait, .. }) = &mut taken {
            *wait = self.longest_wait.min(*wait);
        }
        taken
    }

    /// Tells the fleet what the provider said. From `slow_down_at` on calls are spaced out, from `stop_at` on none is
    /// made until the quota resets. Nothing happens where `jobs.toml` names no `feedback`.
    pub fn report(&self, report: QuotaReport) {
        let Ok(bucket) = self.bucket() else {
            return;
        };
        let terms = bucket.terms();
        if !terms.limits.listens {
            return;
        }
        let used_share = report.used_share.filter(|share| share.is_finite());
        let lasts = exchange::lasts(report.resets_in).min(LONGEST);
        let stop_at = terms.limits.stop_at;
        let said = Report {
            used_share,
            remaining: report.remaining,
            ends: Instant::now() + lasts,
        };
        bucket.stock().hear(said, stop_at);
        if report.remaining == Some(0) || used_share.is_some_and(|share| share >= stop_at) {
            self.budgets.0.wake.notify_one();
        }
    }

    /// Has nobody call for the account for so long, at most 30 days: the provider asks for that.
    pub fn pause(&self, wait: Duration, reason: &str) {
        if let Ok(bucket) = self.bucket() {
            self.pause_bucket(&bucket, wait, reason);
        }
    }

    /// Has nobody call the provider for so long, at most 30 days, for whatever account.
    pub fn pause_provider(&self, wait: Duration, reason: &str) {
        if let Ok(bucket) = self.budgets.0.bucket(&self.name, Whose::All) {
            self.pause_bucket(&bucket, wait, reason);
        }
    }

    fn bucket(&self) -> Result<Arc<Bucket>, BudgetError> {
        let account = Whose::Account(self.account.as_deref());
        self.budgets.0.bucket(&self.name, account)
    }

    fn pause_bucket(&self, bucket: &Bucket, wait: Duration, reason: &str) {
        let reason: String = reason
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_REASON)
            .collect();
        let ends = Instant::now() + wait.min(LONGEST);
        bucket.stock().pause(ends, reason);
        self.budgets.0.wake.notify_one();
    }
}
