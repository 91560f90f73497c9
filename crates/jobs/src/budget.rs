//! A budget of the engine as what lets a provider's requests out, and what providers say of their limits as what a budget
//! is told.

use std::time::Duration;

use providers::{Admission, Detail, Error as ProviderError};
use queue::{BudgetError, BudgetHandle, BudgetPermit, Outcome};

use crate::error::Error;

/// How long a provider is not called that refuses our own set-up: nobody's job gets further before that is mended.
pub(crate) const SET_UP_PAUSE: Duration = Duration::from_secs(60);

/// Lets a provider's requests out as a budget allows.
pub(crate) struct Budgeted<'a> {
    pub(crate) provider: &'static str,
    pub(crate) budget: &'a BudgetHandle,
}

impl Admission for Budgeted<'_> {
    type Pass = BudgetPermit;

    async fn admit(&self) -> Result<BudgetPermit, ProviderError> {
        let taken = self.budget.take(1).await;
        taken.map_err(|error| not_admitted(self.provider, &error))
    }
}

/// What a client is told whose call a budget does not let out.
pub(crate) fn not_admitted(provider: &'static str, error: &BudgetError) -> ProviderError {
    let detail = Detail {
        provider,
        message: error.to_string(),
        ..Detail::default()
    };
    match error.wait() {
        wait @ Some(_) => ProviderError::Postponed { wait, detail },
        None => ProviderError::Config { detail },
    }
}

/// What becomes of a job whose budget gave nothing: it waits and uses up no attempt, where waiting helps.
pub(crate) fn put_off(error: BudgetError) -> Result<Outcome, Error> {
    match error.wait() {
        Some(wait) => Ok(Outcome::Snoozed(wait)),
        None => Err(Error::Budget(error)),
    }
}

/// Has the whole fleet heed what a provider said to the calls of some jobs: the longest pause that it asked for, and that
/// it refuses our own set-up.
pub(crate) fn heed<'a>(
    budget: &BudgetHandle,
    outcomes: impl IntoIterator<Item = &'a Result<Outcome, Error>>,
) {
    let mut asked: Option<Duration> = None;
    let mut refused = None;
    for outcome in outcomes {
        if let Err(Error::Provider(failure)) = outcome {
            if let ProviderError::RateLimited { retry_after, .. } = failure {
                asked = asked.max(*retry_after);
            }
            if let ProviderError::Config { .. } = failure {
                refused = Some(failure);
            }
        }
    }
    if let Some(wait) = asked {
        budget.pause(wait, "the provider asks for a pause");
    }
    if let Some(failure) = refused {
        tracing::error!(budget.name = budget.name(), error = %failure,
            "the provider refuses our own set-up, and is not called for a minute");
        budget.pause_provider(SET_UP_PAUSE, "the provider refuses our own set-up");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_admitted_now_is_put_off_for_as_long_as_the_budget_says() {
        let wait = Duration::from_secs(90);
        let dry = BudgetError::Dry {
            budget: "meta".to_owned(),
            wait,
            until: chrono::Utc::now(),
            detail: "13500 of 15000 calls a day are used".to_owned(),
        };

        let refused = not_admitted("meta", &dry);
        let job = put_off(dry);

        assert!(
            matches!(refused, ProviderError::Postponed { wait: Some(told), .. } if told == wait),
            "{refused:?}"
        );
        assert!(
            matches!(job, Ok(Outcome::Snoozed(told)) if told == wait),
            "{job:?}"
        );
    }

    #[test]
    fn a_budget_that_is_not_there_is_a_matter_for_the_operator() {
        let unknown = || BudgetError::Unknown("metta".to_owned());

        let refused = not_admitted("meta", &unknown());
        let job = put_off(unknown());

        assert!(
            matches!(refused, ProviderError::Config { .. }),
            "{refused:?}"
        );
        let error = queue::JobError::from(job.expect_err("no wait helps"));
        assert_eq!(error.class(), queue::ErrorClass::Config);
    }
}
