//! One attempt at the changes of a job: what may be begun is sent in one order, and how each ended is kept before anything else.

use std::time::Duration;

use marketing::campaigns::{Campaigns, ChangeState, Claimed, Fate, MadeChange, Order, Wanted};
use providers::{
    Error as ProviderError,
    platform::{Access, Caller, EditOrder, Edited},
};
use queue::{ErrorClass, Outcome, error_chain};
use serde_json::{Value, json};

use crate::{account::Attempt, error::Error};

/// How long a job waits for another one that is at the same entities.
const TO_THE_OTHER: Duration = Duration::from_secs(15);

/// Tells what the changes would come to.
pub(super) async fn preview(
    attempt: &Attempt<'_>,
    order: Order,
    wanted: &[Wanted],
) -> Result<Outcome, Error> {
    let campaigns = Campaigns::new(attempt.app.queue.clone());
    let changes = campaigns.preview(order, wanted).await?;
    Ok(Outcome::SucceededWith(told(&changes, true)))
}

/// Makes the changes.
pub(super) async fn make(
    attempt: &Attempt<'_>,
    order: Order,
    wanted: &[Wanted],
) -> Result<Outcome, Error> {
    let campaigns = Campaigns::new(attempt.app.queue.clone());
    attempt.go_on()?;
    let claimed = campaigns.claim(order, wanted).await?;
    if !claimed.to_send.is_empty() {
        let sent = Box::pin(send(attempt, &claimed)).await;
        let (fates, setback) = judged(&claimed, wanted, sent);
        campaigns.settle(order, &claimed, &fates).await?;
        if let Some(error) = setback {
            return Err(error);
        }
    }
    if claimed.busy_until.is_some() {
        return Ok(Outcome::Snoozed(TO_THE_OTHER));
    }
    let changes = campaigns.of_job(order.job).await?;
    let refusal = changes
        .iter()
        .all(|change| change.state == ChangeState::Refused)
        .then(|| changes.iter().find_map(|change| change.error.clone()));
    if let Some(message) = refusal {
        return Err(Error::NothingChanged(message.unwrap_or_default()));
    }
    Ok(Outcome::SucceededWith(told(&changes, false)))
}

async fn send(attempt: &Attempt<'_>, claimed: &Claimed) -> Result<Vec<Edited>, Error> {
    let Attempt {
        app,
        account,
        client,
        door,
        ..
    } = *attempt;
    let edits = EditOrder {
        account_id: account.external_id.clone(),
        currency: account.currency.clone(),
        edits: claimed
            .to_send
            .iter()
            .map(|sent| sent.edit.clone())
            .collect(),
    };
    let edits = &edits;
    let call = |access: Access| async move {
        let caller = Caller {
            access: &access,
            door,
        };
        client.edit(caller, edits).await
    };
    let edited = app.accounts.with_fresh_token(account.id, door, call);
    Ok(Box::pin(edited).await?)
}

type Fates<'w> = Vec<(usize, &'w Wanted, Fate)>;

/// What became of each change, and what the attempt fails with where some of them are to be tried again.
fn judged<'w>(
    claimed: &Claimed,
    wanted: &'w [Wanted],
    sent: Result<Vec<Edited>, Error>,
) -> (Fates<'w>, Option<Error>) {
    let mut fates = Fates::new();
    let mut setback = None;
    let outcomes = match sent {
        Ok(outcomes) => outcomes,
        Err(error) => {
            for sent in &claimed.to_send {
                if let Some(wanted) = wanted.get(sent.place) {
                    fates.push((sent.place, wanted, fate_of(&error)));
                }
            }
            return (fates, Some(error));
        }
    };
    let mut outcomes = outcomes.into_iter();
    for sent in &claimed.to_send {
        let Some(wanted) = wanted.get(sent.place) else {
            continue;
        };
        let fate = match outcomes.next() {
            Some(Edited::Done) => Fate::Done,
            Some(Edited::Failed(error)) => {
                let error = Error::Provider(error);
                let fate = fate_of(&error);
                if matches!(fate, Fate::Again(..)) {
                    setback.get_or_insert(error);
                }
                fate
            }
            Some(Edited::Unfinished) | None => {
                let error = Error::Provider(unsaid());
                let fate = fate_of(&error);
                setback.get_or_insert(error);
                fate
            }
        };
        fates.push((sent.place, wanted, fate));
    }
    (fates, setback)
}

fn fate_of(error: &Error) -> Fate {
    let (class, message) = (error.class(), error_chain(error));
    match class {
        ErrorClass::Permission | ErrorClass::Invalid | ErrorClass::TooLarge => {
            Fate::Refused(class, message)
        }
        _ => Fate::Again(class, message),
    }
}

/// That a platform did not say what became of a change.
fn unsaid() -> ProviderError {
    ProviderError::Unavailable {
        detail: providers::Detail {
            message: "the platform did not say whether it made the change".to_owned(),
            ..providers::Detail::default()
        },
        maybe_received: true,
        source: None,
    }
}

/// The job's result: each change with its outcome, in the order of the payload.
fn told(changes: &[MadeChange], is_dry_run: bool) -> Value {
    let results: Vec<Value> = changes
        .iter()
        .map(|change| {
            let outcome = match change.state {
                ChangeState::Sending if is_dry_run => "would_change",
                state => state.as_str(),
            };
            json!({
                "index": change.place,
                "type": change.kind,
                "id": change.entity_id,
                "field": change.field,
                "before": change.before,
                "after": change.after,
                "outcome": outcome,
                "error": change.error,
            })
        })
        .collect();
    let count = |state| changes.iter().filter(|it| it.state == state).count();
    json!({
        "dry_run": is_dry_run,
        "changed": if is_dry_run { 0 } else { count(ChangeState::Done) },
        "unchanged": count(ChangeState::Unchanged),
        "refused": count(ChangeState::Refused),
        "results": results,
    })
}
