//! Events to Meta, with our own token or an account's.

use chrono::{DateTime, Utc};
use providers::{
    Admission, Error as ProviderError,
    meta::{
        Destination, EventsReceived, Meta,
        conversions::{Event, Refused, ServerEvent, prepare},
    },
    platform::{Access, Door, Receipt, RequestOutcome},
};
use secrecy::SecretString;

use super::{carrier::Carrier, of_platforms::said};
use crate::accounts::{AccountId, Accounts};

/// Meta drops repeats for 48 hours.
const DEDUPES_HOURS: u32 = 47;

/// Brings events to a data set of Meta.
pub(super) struct ToMeta<'a, A> {
    pub(super) meta: &'a Meta,
    pub(super) dataset: &'a str,
    pub(super) test_event_code: Option<&'a str>,
    pub(super) token: MetaToken<'a>,
    pub(super) admission: &'a A,
}

/// What Meta is called with.
pub(super) enum MetaToken<'a> {
    /// Our own.
    Own(&'a SecretString),
    /// An account's.
    Of {
        accounts: &'a Accounts,
        account: AccountId,
        /// By which a new token is fetched.
        door: &'a dyn Door,
    },
}

type Answers = Vec<Result<EventsReceived, ProviderError>>;

impl<A: Admission> ToMeta<'_, A> {
    async fn send_with(&self, token: &SecretString, events: &[ServerEvent]) -> Answers {
        let to = Destination {
            dataset_id: self.dataset,
            token,
            test_event_code: self.test_event_code,
        };
        self.meta.send_batch(to, events, self.admission).await
    }
}

impl<A: Admission> Carrier for ToMeta<'_, A> {
    type Ready = ServerEvent;

    fn dedupes_hours(&self) -> u32 {
        DEDUPES_HOURS
    }

    fn prepare(
        &self,
        event: &Event,
        now: DateTime<Utc>,
    ) -> Result<(ServerEvent, Vec<String>), Refused> {
        let prepared = prepare(event, now)?;
        Ok((prepared.event, prepared.left_out))
    }

    async fn send(&self, events: Vec<(ServerEvent, bool)>) -> Vec<Result<Receipt, ProviderError>> {
        let events: Vec<ServerEvent> = events.into_iter().map(|(event, _)| event).collect();
        let answers = match self.token {
            MetaToken::Own(token) => self.send_with(token, &events).await,
            MetaToken::Of {
                accounts,
                account,
                door,
            } => {
                let events = &events[..];
                let ask = |access: Access| async move {
                    let answers = self.send_with(&access.token, events).await;
                    match spent(&answers) {
                        Some(spent) => Err(spent),
                        None => Ok(answers),
                    }
                };
                match Box::pin(accounts.with_fresh_token(account, door, ask)).await {
                    Ok(answers) => answers,
                    Err(error) => vec![Err(said(error)); events.len()],
                }
            }
        };
        answers
            .into_iter()
            .map(|answer| answer.map(receipt))
            .collect()
    }

    async fn outcome(&self, _: &str, _: usize) -> Result<RequestOutcome, ProviderError> {
        Ok(RequestOutcome::Done)
    }
}

/// That the token is spent, where that is all there is to say: another one may be tried then.
fn spent(answers: &Answers) -> Option<ProviderError> {
    let is_spent = |answer: &Result<EventsReceived, ProviderError>| {
        matches!(answer, Err(ProviderError::AuthExpired { .. }))
    };
    if !answers.iter().all(is_spent) {
        return None;
    }
    answers.first()?.as_ref().err().cloned()
}

fn receipt(received: EventsReceived) -> Receipt {
    Receipt {
        request_id: received.fbtrace_id,
        messages: received.messages,
        is_pending: false,
    }
}
