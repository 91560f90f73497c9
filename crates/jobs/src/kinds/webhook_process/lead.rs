//! A lead: its event tells an id alone, and just after it the platform may not show the lead yet. Its owner hears of it once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use marketing::{
    accounts::{Account, AccountsError},
    email::Topic,
    inbound::{InboundEvent, LeadId, LeadSource, LeadStanding, NewLead},
};
use providers::{
    Error as ProviderError,
    meta::Lead,
    platform::{Access, Caller},
};
use queue::{EnqueueError, NewJob, Outcome, Source};
use serde_json::{json, value::to_raw_value};

use crate::{App, account::Attempt, error::Error, one_line::one_line, page_access::page_access};

const MAIL: &str = "email.send";
/// What Meta says of a lead that it does not show, for now or for good.
const NOT_SHOWN: &str = "100/33";
/// How long to wait for a lead that is not shown, by how old its event is: three times, so that it is given up after 21 minutes.
const WAITS: [(TimeDelta, Duration); 3] = [
    (TimeDelta::minutes(1), Duration::from_secs(60)),
    (TimeDelta::minutes(6), Duration::from_secs(5 * 60)),
    (TimeDelta::minutes(20), Duration::from_secs(15 * 60)),
];

/// Fetches the lead that an event tells of, keeps it, and tells its owner.
pub(super) async fn fetch(
    attempt: &Attempt<'_>,
    event: &InboundEvent,
    lead_id: &str,
) -> Result<Outcome, Error> {
    let (app, account) = (attempt.app, attempt.account);
    let inbound = app.accounts.inbound();
    let known = inbound.standing(account.id, lead_id).await?;
    if known.is_none() && inbound.is_forgotten(account.id, lead_id).await? {
        return Ok(Outcome::Cancelled(
            "the lead is of somebody who wanted to be forgotten".to_owned(),
        ));
    }
    let standing = match known {
        Some(known) => known,
        None => match read(attempt, lead_id).await {
            Ok(lead) => keep(app, account, (&lead, LeadSource::Webhook)).await?,
            Err(error) => {
                let age = Utc::now() - event.received_at;
                return match wait_for(&error, age) {
                    Some(wait) => Ok(Outcome::Snoozed(wait)),
                    None => Err(error),
                };
            }
        },
    };
    tell(app, account, standing).await?;
    Ok(Outcome::SucceededWith(json!({
        "object": event.object,
        "field": event.field,
        "stored_as": "lead",
        "lead": standing.id.to_string(),
        "new": known.is_none(),
    })))
}

/// Keeps a lead.
pub(in crate::kinds) async fn keep(
    app: &App,
    account: &Account,
    (lead, source): (&Lead, LeadSource),
) -> Result<LeadStanding, AccountsError> {
    let new = NewLead {
        account: account.id,
        lead,
        source,
    };
    app.accounts.inbound().keep(&new).await
}

/// Reads a lead with the grant's own token, or where that may not, with the Page's.
async fn read(attempt: &Attempt<'_>, lead_id: &str) -> Result<Lead, Error> {
    let Attempt {
        app, account, door, ..
    } = *attempt;
    let ask = |access: Access| async move {
        let caller = Caller {
            access: &access,
            door,
        };
        app.meta.lead(caller, lead_id).await
    };
    let asked = Box::pin(app.accounts.with_fresh_token(account.id, door, ask)).await;
    let refused = match asked.map_err(Error::from) {
        Err(refused @ Error::Provider(ProviderError::Permission { .. })) => refused,
        asked => return asked,
    };
    match Box::pin(page_access(attempt)).await {
        Ok(access) => {
            let caller = Caller {
                access: &access,
                door,
            };
            Ok(Box::pin(app.meta.lead(caller, lead_id)).await?)
        }
        // Whoever may not speak for the Page may still read its leads: what was said of this one counts.
        Err(Error::Provider(ProviderError::Permission { .. })) => Err(refused),
        Err(error) => Err(error),
    }
}

/// How long to wait for a lead that may be shown later; `None`: it will not be.
fn wait_for(error: &Error, age: TimeDelta) -> Option<Duration> {
    let Error::Provider(ProviderError::Permission { detail }) = error else {
        return None;
    };
    if detail.code.as_deref() != Some(NOT_SHOWN) {
        return None;
    }
    let next = WAITS.iter().find(|(until, _)| age < *until);
    next.map(|(_, wait)| *wait)
}

/// Tells the owner of a lead, unless that was done. The mail is on its way before that is remembered; its business key keeps
/// it from being sent twice.
pub(in crate::kinds) async fn tell(
    app: &App,
    account: &Account,
    lead: LeadStanding,
) -> Result<(), Error> {
    if lead.is_told {
        return Ok(());
    }
    let owner = account.owner_email.as_deref();
    if let Some(owner) = owner.filter(|_| account.notifications.alerts) {
        match app.queue.enqueue(mail(owner, account, lead.id), None).await {
            Ok(_) => {}
            // An address that no mail can be sent to: nothing that another attempt would mend.
            Err(error @ EnqueueError::Payload(_)) => {
                tracing::warn!(account.id = %account.id, %error, "an owner cannot be told: the address is not usable");
            }
            Err(error) => return Err(error.into()),
        }
    }
    app.accounts.inbound().lead_was_told(lead.id).await?;
    Ok(())
}

/// Says that there is a lead, and nothing of what the person answered: mails are kept where nobody knows.
fn mail(to: &str, account: &Account, lead: LeadId) -> NewJob {
    let page = format!("\"{}\"", one_line(&account.name));
    let at = moment(Utc::now());
    let payload = json!({
        "to": to,
        "subject": format!("A new lead from {page}"),
        "text": format!(
            "Hello,\n\n\
             somebody has answered a form of {page}. It was fetched on {at}.\n\n\
             What was answered is not part of this mail. Look for lead {lead} where your leads are shown.\n"
        ),
        "topic": Topic::Alerts.as_str(),
        "business_key": format!("lead:{lead}"),
    });
    let payload = to_raw_value(&payload).expect("a JSON value is written as JSON");
    NewJob {
        tenant: account.tenant.clone(),
        ..NewJob::new(MAIL, payload, Source::Handler)
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y at %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use providers::Detail;

    use super::*;

    fn refused(code: &str) -> Error {
        Error::Provider(ProviderError::Permission {
            detail: Detail {
                code: Some(code.to_owned()),
                ..Detail::default()
            },
        })
    }

    // Fails when a lead is given up that Meta shows a minute later, or is waited for for ever.
    #[test]
    fn a_lead_that_is_not_shown_is_waited_for_longer_and_longer_and_then_given_up() {
        let wait = |minutes| wait_for(&refused(NOT_SHOWN), TimeDelta::minutes(minutes));
        let minutes = |count: u64| Some(Duration::from_secs(count * 60));

        assert_eq!(wait(0), minutes(1));
        assert_eq!(wait(1), minutes(5));
        assert_eq!(wait(7), minutes(15));
        assert_eq!(wait(21), None);
    }

    #[test]
    fn a_right_that_lacks_is_not_waited_for() {
        assert_eq!(wait_for(&refused("200"), TimeDelta::zero()), None);
        assert_eq!(wait_for(&Error::Stopped, TimeDelta::zero()), None);
    }
}
