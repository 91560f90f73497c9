//! The door by which the calls of jobs leave for a platform: the budget of the platform and account lets them out, a circuit
//! breaker leaves alone what is down, and what platforms say of their quotas is told to the fleet. Every call is logged.

mod breaker;
mod calls;
mod heed;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use marketing::{
    accounts::AccountId,
    sync::{LoggedCall, Syncs},
};
use providers::{
    Admission, Detail, Error as ProviderError,
    platform::{CallRecord, Door, Pass, Platform},
};
use queue::{BudgetHandle, JobContext, Outcome, config::BudgetScope};

use self::{
    breaker::{Breakers, Scope, Way},
    calls::CallLog,
    heed::{Health, Word, health, words},
};
use crate::{App, account::settled, budget::not_admitted, error::Error};

/// What the doors of a process share: circuit breakers and the log of calls. Cheap to clone.
#[derive(Clone)]
pub struct Doors(Arc<Shared>);

struct Shared {
    breakers: Arc<Breakers>,
    calls: CallLog,
}

impl Doors {
    /// Starts what stores the log of calls: it ends with this, or by [`Self::close`]. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(syncs: Syncs) -> Self {
        Self(Arc::new(Shared {
            breakers: Arc::default(),
            calls: CallLog::start(syncs),
        }))
    }

    /// Stores what is not stored yet of the log of calls, for up to 5 s. Later calls are not logged.
    pub async fn close(&self) {
        self.0.calls.close().await;
    }
}

/// A door for the calls of one attempt.
pub(crate) struct JobDoor {
    platform: Platform,
    account: Option<AccountId>,
    budget: BudgetHandle,
    scope: Scope,
    doors: Doors,
    used_share: Mutex<Option<f64>>,
    /// For how long the way was shut when the last of its calls had ended.
    shut_for: Mutex<Option<Duration>>,
}

impl JobDoor {
    /// The door for an account; without one, calls count as those of no account.
    pub(crate) fn new(
        ctx: &JobContext<App>,
        platform: Platform,
        account: Option<AccountId>,
    ) -> Self {
        let name: Option<Arc<str>> = account.map(|account| account.to_string().into());
        let budget = ctx.budget(platform.as_str(), name.as_deref());
        let config = ctx.app.queue.config();
        let is_of_account = config
            .budgets
            .get(budget.name())
            .is_none_or(|budget| budget.per == BudgetScope::Account);
        Self {
            platform,
            account,
            scope: Scope {
                platform,
                account: name.filter(|_| is_of_account),
            },
            budget,
            doors: ctx.app.doors.clone(),
            used_share: Mutex::new(None),
            shut_for: Mutex::new(None),
        }
    }

    /// The largest share of its quota that the platform has said to be used, in answers to this door's calls.
    pub(crate) fn used_share(&self) -> Option<f64> {
        *self
            .used_share
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How an attempt ended that made its calls by this door. One that failed as the way was shut comes again at no cost: it
    /// falls to some job each time to try whether a platform is up again, and in an outage of a day that would use up all.
    pub(crate) fn settled(&self, ended: Result<Outcome, Error>) -> Result<Outcome, Error> {
        let shut_for = *self.shut_for.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = shut_for.map(|wait| wait.min(self.budget.longest_wait()));
        settled(spared(ended, wait))
    }

    /// The name of the budget that lets its calls out.
    pub(crate) fn budget(&self) -> &str {
        self.budget.name()
    }

    fn remember(&self, used: Option<f64>) {
        let mut known = self
            .used_share
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = match (*known, used) {
            (Some(known), Some(used)) => Some(known.max(used)),
            (known, used) => known.or(used),
        };
    }

    fn tell(&self, word: Word, record: &CallRecord) {
        match word {
            Word::Quota(report) => self.budget.report(report),
            Word::Pause(wait, why) => self.budget.pause(wait, why),
            Word::PauseAll(wait, why) => {
                tracing::error!(
                    provider.name = self.platform.as_str(),
                    budget.name = self.budget.name(),
                    endpoint = record.endpoint,
                    status = record.status,
                    request_id = record.request_id,
                    "{why}: nothing is called there for {} s; check its credentials and version",
                    wait.as_secs()
                );
                self.budget.pause_provider(wait, why);
            }
        }
    }
}

impl Door for JobDoor {
    fn admit(&self, weight: u32) -> BoxFuture<'_, Result<Pass, ProviderError>> {
        Box::pin(async move {
            let breakers = &self.doors.0.breakers;
            let trial = match breakers.way(&self.scope, Instant::now()) {
                Way::Free => None,
                Way::Trial(trial) => Some(trial),
                Way::Shut(wait) => {
                    return Err(ProviderError::Postponed {
                        // The fleet is told of the pause: a job that comes back waits ready behind its budget.
                        wait: Some(wait.min(self.budget.longest_wait())),
                        detail: Detail {
                            provider: self.platform.as_str(),
                            message: "provider down".to_owned(),
                            ..Detail::default()
                        },
                    });
                }
            };
            let taken = self.budget.take(weight).await;
            let permit = taken.map_err(|error| not_admitted(self.platform.as_str(), &error))?;
            Ok::<Pass, ProviderError>(Box::new((permit, trial)))
        })
    }

    fn told(&self, record: CallRecord) {
        let breakers = &self.doors.0.breakers;
        let now = Instant::now();
        let opened = match health(&record) {
            Health::Answers => {
                breakers.answered(&self.scope);
                None
            }
            Health::InTrouble => breakers.failed(&self.scope, now),
        };
        let shut_for = breakers.shut_for(&self.scope, now);
        *self.shut_for.lock().unwrap_or_else(PoisonError::into_inner) = shut_for;
        if let Some(wait) = opened {
            tracing::warn!(
                provider.name = self.platform.as_str(),
                account.id = self.account.map(tracing::field::display),
                "the provider does not answer: it is left alone for {} s",
                wait.as_secs()
            );
        }
        self.remember(record.usage.used_share);
        for word in words(&record, opened) {
            self.tell(word, &record);
        }
        self.doors.0.calls.note(LoggedCall {
            account: self.account,
            call: record,
        });
    }
}

/// For clients that ask call by call and tell of none.
impl Admission for JobDoor {
    type Pass = Pass;

    async fn admit(&self) -> Result<Pass, ProviderError> {
        Door::admit(self, 1).await
    }
}

/// What becomes of an attempt that failed because the platform is down, where the way is shut for so long.
fn spared(ended: Result<Outcome, Error>, shut_for: Option<Duration>) -> Result<Outcome, Error> {
    match (ended, shut_for) {
        (
            Err(Error::Provider(
                ProviderError::Unavailable { .. } | ProviderError::TimedOut { .. },
            )),
            Some(wait),
        ) => Ok(Outcome::Snoozed(wait)),
        (ended, _) => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::scripted::{down, forbidden};

    // Fails when a long outage ends in dead letters, or when an attempt that failed for another reason is tried for ever.
    #[test]
    fn an_attempt_that_finds_a_platform_down_costs_nothing_once_it_is_left_alone() {
        let wait = Duration::from_secs(10);
        let failed = |said: ProviderError| Err(Error::Provider(said));

        let at_the_door = spared(failed(down()), Some(wait));
        let before = spared(failed(down()), None);
        let refused = spared(failed(forbidden()), Some(wait));
        let done = spared(Ok(Outcome::Succeeded), Some(wait));

        assert!(matches!(at_the_door, Ok(Outcome::Snoozed(told)) if told == wait));
        assert!(before.is_err() && refused.is_err());
        assert!(matches!(done, Ok(Outcome::Succeeded)));
    }
}
