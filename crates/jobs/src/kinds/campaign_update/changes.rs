//! One attempt at the changes of a job: what may be begun is held against what the platform says of it now, sent in one order,
//! and how each ended is kept before anything else.

use std::time::Duration;

use marketing::campaigns::{
    Campaigns, ChangeState, Claimed, Fate, MadeChange, Order, ToSend, Wanted,
};
use providers::{
    Error as ProviderError,
    platform::{Access, Caller, EditOrder, Edited, Entity, EntityQuery, EntityType},
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
    let mut claimed = campaigns.claim(order, wanted).await?;
    if !claimed.to_send.is_empty() {
        let sent = match Box::pin(look(attempt, &mut claimed, wanted)).await {
            Ok(()) => Box::pin(send(attempt, &claimed)).await,
            Err(error) => Err(error),
        };
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

/// Has the platform say how that stands which is to be changed. Nobody else here is at it by now, and sync may have read it an
/// hour ago.
async fn look(
    attempt: &Attempt<'_>,
    claimed: &mut Claimed,
    wanted: &[Wanted],
) -> Result<(), Error> {
    let Attempt {
        app,
        account,
        client,
        door,
        ..
    } = *attempt;
    for kind in [EntityType::Campaign, EntityType::AdSet, EntityType::Ad] {
        let of_kind = claimed.to_send.iter().filter(|it| it.edit.kind == kind);
        let ids: Vec<String> = of_kind.map(|it| it.edit.id.clone()).collect();
        if ids.is_empty() {
            continue;
        }
        let query = EntityQuery {
            account_id: account.external_id.clone(),
            currency: account.currency.clone(),
            kind,
            changed_since: None,
            page_size: None,
        };
        let (query, ids) = (&query, ids.as_slice());
        let call = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            client.present(caller, query, ids).await
        };
        let present = app.accounts.with_fresh_token(account.id, door, call);
        let present = Box::pin(present).await?;
        for sent in &mut claimed.to_send {
            let is_it = |it: &&Entity| it.kind == sent.edit.kind && it.id == sent.edit.id;
            if let (Some(entity), Some(wanted)) =
                (present.iter().find(is_it), wanted.get(sent.place))
            {
                sent.sight = Some(wanted.seen(entity));
            }
        }
    }
    Ok(())
}

/// Why a change is not sent.
fn why_not(sent: &ToSend) -> Option<&'static str> {
    sent.sight.as_ref()?.refusal
}

/// Sends what may be sent; tells what became of it.
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
            .filter(|sent| why_not(sent).is_none())
            .map(|sent| sent.edit.clone())
            .collect(),
    };
    if edits.edits.is_empty() {
        return Ok(Vec::new());
    }
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
                    let fate = why_not(sent).map_or_else(|| fate_of(&error), refused);
                    fates.push((sent.place, wanted, fate));
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
        if let Some(why) = why_not(sent) {
            fates.push((sent.place, wanted, refused(why)));
            continue;
        }
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

/// That a change was not sent, since the platform says what it must not be made of.
fn refused(why: &'static str) -> Fate {
    Fate::Refused(ErrorClass::Invalid, why.to_owned())
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
