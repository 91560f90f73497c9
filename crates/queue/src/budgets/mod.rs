//! Budgets: providers' quotas, shared by every worker of the fleet. What is left of each stands in the database; a process
//! leases small chunks of it ([`exchange`]), draws its calls from what it has leased ([`stock`]) and spaces them out
//! ([`pacer`]). What providers say of their quotas is stored there too, so that all heed it.

mod bucket;
mod chunks;
mod decision;
mod exchange;
mod handle;
mod keeper;
mod limits;
mod pacer;
mod places;
mod status;
mod stock;
mod window;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use bucket::BudgetPermit;
pub(crate) use handle::DrawsOn;
pub use handle::{BudgetHandle, QuotaReport};
pub use status::BudgetStatus;
pub(crate) use status::{announce, gauges, ordinary_calls, standings};

use self::{
    bucket::{Bucket, Key},
    exchange::Terms,
    limits::Limits,
};
use crate::{
    config::{BudgetScope, Config},
    db::{Database, DatabaseError},
    live::InForce,
};

/// Longest that a call waits here. A job that waits longer is better put off: it takes a slot that others could use.
const PATIENCE: Duration = Duration::from_secs(10);
/// Exchanges that a process makes at a time: each holds a connection that settlements need too.
const EXCHANGES: usize = 2;
/// The account under which calls are counted that name none, where each account has a budget.
pub(crate) const NO_ACCOUNT: &str = "-";
/// Jobs of this priority and those before it are urgent: somebody waits for them, and a part of each budget is theirs alone.
/// The view `stopped_accounts` goes by the same number.
pub(crate) const LAST_URGENT: i16 = 1;
/// Longest name of an account, in characters.
const LONGEST_ACCOUNT: usize = 255;
/// The account that stands for a provider as a whole.
const ALL_ACCOUNTS: &str = "";

/// Why a call may not be made.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// Nothing is left for now. The job waits and uses up no attempt: see [`BudgetError::wait`].
    #[error("the budget {budget} is dry until {until}: {detail}")]
    Dry {
        /// Which budget.
        budget: String,
        /// How long the job should be put off: no longer than it makes sense not to look again.
        wait: Duration,
        /// From when on there is something again if nothing else happens, by the database's clock.
        until: DateTime<Utc>,
        /// Why.
        detail: String,
    },
    /// `jobs.toml` has no such budget, and it is no provider's.
    #[error("there is no budget named {0:?}")]
    Unknown(String),
    /// The call weighs more than the budget ever gives: split it.
    #[error("the call weighs {weight}, and the budget {budget} never gives more than {most}")]
    TooHeavy {
        /// Which budget.
        budget: String,
        /// What the call weighs.
        weight: u64,
        /// The most that it may weigh.
        most: u64,
    },
    /// The database could not be asked what is left.
    #[error("the budget {budget} could not be asked")]
    Unavailable {
        /// Which budget.
        budget: String,
        /// Why.
        #[source]
        source: DatabaseError,
    },
    /// The process stops.
    #[error("the process stops")]
    Stopped,
}

impl BudgetError {
    /// How long a job should be snoozed for it; `None`: waiting does not help.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Dry { wait, .. } => Some(*wait),
            Self::Unavailable { .. } => Some(Duration::from_secs(5)),
            Self::Stopped => Some(Duration::from_secs(1)),
            Self::Unknown(_) | Self::TooHeavy { .. } => None,
        }
    }
}

/// The budgets as this process draws on them; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Budgets(Arc<Fleet>);

/// What all budgets of a process share.
#[derive(Debug)]
struct Fleet {
    db: Database,
    in_force: watch::Receiver<Arc<InForce>>,
    /// Under this name the process holds what it leased; random, new at every start.
    holder: Uuid,
    buckets: Mutex<HashMap<Key, Arc<Bucket>>>,
    exchanges: Semaphore,
    /// Something is due without a call.
    wake: Notify,
    tasks: TaskTracker,
}

impl Budgets {
    /// Starts what gives back and renews; it ends with `stop`. What is leased by then is given back by
    /// [`Self::give_back`], or counts as used.
    pub(crate) fn start(
        db: Database,
        in_force: watch::Receiver<Arc<InForce>>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let fleet = Arc::new(Fleet {
            db,
            in_force,
            holder: Uuid::new_v4(),
            buckets: Mutex::default(),
            exchanges: Semaphore::new(EXCHANGES),
            wake: Notify::new(),
            tasks: tasks.clone(),
        });
        tasks.spawn(keeper::keep(Arc::clone(&fleet), stop));
        Self(fleet)
    }

    /// Gives back what is leased and not used, at an orderly end.
    pub(crate) async fn give_back(&self) {
        keeper::give_back(&self.0).await;
    }

    /// The budget that `jobs.toml` names for a kind.
    pub(crate) fn named_for(&self, kind: &str) -> Option<String> {
        self.0.config().kinds.get(kind)?.budget.clone()
    }
}

impl Fleet {
    /// What `jobs.toml` says now.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.in_force.borrow().config)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<Key, Arc<Bucket>>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bucket of an account, or of the provider as a whole, under the terms that hold now.
    fn bucket(&self, name: &str, whose: Whose<'_>) -> Result<Arc<Bucket>, BudgetError> {
        let unknown = || BudgetError::Unknown(name.to_owned());
        let config = self.config();
        let budget = config.budgets.get(name).ok_or_else(unknown)?;
        let account = match (whose, budget.per) {
            (Whose::All, _) | (Whose::Account(_), BudgetScope::Provider) => ALL_ACCOUNTS,
            (Whose::Account(account), BudgetScope::Account) => account
                .filter(|account| is_account(account))
                .unwrap_or(NO_ACCOUNT),
        };
        let key = Key {
            name: name.into(),
            account: account.into(),
        };
        let terms = Arc::new(Terms {
            limits: Limits::of(name, budget),
            ttl: config.lease.ttl,
            renew_every: config.lease.renew_every,
        });
        let mut buckets = self.buckets();
        if let Some(bucket) = buckets.get(&key) {
            bucket.set_terms(terms);
            return Ok(Arc::clone(bucket));
        }
        let bucket = Arc::new(Bucket::new(key.clone(), terms));
        buckets.insert(key, Arc::clone(&bucket));
        // Whoever keeps it is asleep while there is none.
        self.wake.notify_one();
        Ok(bucket)
    }
}

/// Whether a text can be an account's name, as it can for gates: what cannot is none.
fn is_account(text: &str) -> bool {
    (1..=LONGEST_ACCOUNT).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy)]
enum Whose<'a> {
    /// An account's; `None` for calls that name none. Where the provider has the quota it is the provider's.
    Account(Option<&'a str>),
    /// The provider's: what is said of it holds for every account.
    All,
}
