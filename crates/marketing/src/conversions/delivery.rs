//! Delivers events: checks each, stores the intent, sends what may be sent, asks for what was only accepted, stores what
//! became of it. The same for every destination.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use providers::{
    Admission, Error as ProviderError,
    meta::{MAX_EVENTS, Meta, conversions::Event},
    platform::{Door, Receipt, RequestOutcome},
};
use queue::JobId;
use serde_json::json;
use sqlx::PgPool;

use super::{
    Address, Dataset, Delivered, Destination, Outlet, Pending,
    carrier::Carrier,
    discretion::{People, has_words},
    fate::{Fate, Refusal},
    ledger::{Accepted, EventKey, Ledger, Opened, SOON, Verdicts},
    of_meta::{MetaToken, ToMeta},
};
use crate::{
    accounts::{AccountId, Accounts},
    metrics,
    store::StoreError,
};

/// Most requests that one call asks for; the others are asked for by the next.
const MOST_ASKED: usize = 100;

/// What the destination answered for each event that was sent.
type Answers = BTreeMap<EventKey, Result<Receipt, ProviderError>>;

/// What the destination says now of requests that it had accepted.
type Outcomes = BTreeMap<String, Result<RequestOutcome, ProviderError>>;

/// Delivers events to a data set of Meta and says for each, in their order, what became of it. A bad event never takes
/// its mates along; one that was sent before is not sent again; of several with one key a single one is sent.
///
/// Each request waits until it is admitted; what is not admitted is postponed.
///
/// Safe to drop at any time: what was not answered is remembered as in doubt and sent again with the same id, which
/// Meta drops as a repeat for 48 hours.
///
/// # Errors
/// When what is known of the events could not be read or stored. What was sent by then may be sent again, as above.
pub async fn deliver(
    db: &PgPool,
    meta: &Meta,
    dataset: Dataset<'_>,
    events: &[Pending],
    admission: &impl Admission,
) -> Result<Vec<Delivered>, StoreError> {
    let carrier = ToMeta {
        meta,
        dataset: dataset.id,
        test_event_code: dataset.test_event_code,
        token: MetaToken::Own(dataset.token),
        admission,
    };
    let address = Address {
        tenant: dataset.tenant,
        destination: Destination::Meta,
        account: None,
        dataset: dataset.id,
        test_event_code: dataset.test_event_code,
    };
    deliver_by(db, &carrier, &address, events).await
}

/// An account of Meta whose token events are sent with.
#[derive(Clone, Copy)]
pub struct MetaAccount<'a> {
    /// Whose events they are.
    pub tenant: Option<&'a str>,
    /// The data set.
    pub dataset: &'a str,
    /// Events then show in Meta's test tool and are not counted.
    pub test_event_code: Option<&'a str>,
    /// Has the account's token.
    pub accounts: &'a Accounts,
    /// The account.
    pub account: AccountId,
    /// By which a new token is fetched.
    pub door: &'a dyn Door,
}

/// As [`deliver`], with the token of a connected account.
///
/// # Errors
/// As [`deliver`].
pub async fn deliver_with_account(
    db: &PgPool,
    meta: &Meta,
    with: MetaAccount<'_>,
    events: &[Pending],
    admission: &impl Admission,
) -> Result<Vec<Delivered>, StoreError> {
    let carrier = ToMeta {
        meta,
        dataset: with.dataset,
        test_event_code: with.test_event_code,
        token: MetaToken::Of {
            accounts: with.accounts,
            account: with.account,
            door: with.door,
        },
        admission,
    };
    let address = Address {
        tenant: with.tenant,
        destination: Destination::Meta,
        account: Some(with.account),
        dataset: with.dataset,
        test_event_code: with.test_event_code,
    };
    deliver_by(db, &carrier, &address, events).await
}

/// As [`deliver`], to another platform.
///
/// # Errors
/// As [`deliver`].
pub async fn deliver_to_platform(
    db: &PgPool,
    destination: Destination,
    tenant: Option<&str>,
    outlet: Outlet<'_>,
    events: &[Pending],
) -> Result<Vec<Delivered>, StoreError> {
    let address = Address {
        tenant,
        destination,
        account: Some(outlet.account),
        dataset: outlet.target.dataset,
        test_event_code: outlet.target.test_event_code,
    };
    deliver_by(db, &outlet, &address, events).await
}

pub(super) async fn deliver_by<C: Carrier>(
    db: &PgPool,
    carrier: &C,
    address: &Address<'_>,
    events: &[Pending],
) -> Result<Vec<Delivered>, StoreError> {
    let mut delivered = Vec::with_capacity(events.len());
    for chunk in events.chunks(MAX_EVENTS) {
        delivered.extend(deliver_chunk(db, carrier, address, chunk).await?);
    }
    Ok(delivered)
}

async fn deliver_chunk<C: Carrier>(
    db: &PgPool,
    carrier: &C,
    address: &Address<'_>,
    events: &[Pending],
) -> Result<Vec<Delivered>, StoreError> {
    let ledger = Ledger::of(db, address, carrier.dedupes_hours());
    let Checked { items, sendable } = Checked::of(carrier, events, Utc::now());
    let owners: BTreeMap<EventKey, JobId> = sendable
        .iter()
        .map(|(key, (job, _))| (key.clone(), *job))
        .collect();
    let refused: BTreeSet<EventKey> = items
        .iter()
        .filter(|item| item.refusal.is_some() && item.key.is_storable())
        .map(|item| item.key.clone())
        .collect();

    let opened = ledger.open(&owners, &refused).await?;
    let mut answers = send(carrier, sendable, &opened).await;
    if answers.values().any(has_words) {
        let people = People::of(events);
        let discreet = |(key, answer)| (key, people.out_of(answer));
        answers = answers.into_iter().map(discreet).collect();
    }
    let outcomes = ask(carrier, &opened).await;
    let told = Told {
        opened: &opened,
        answers: &answers,
        outcomes: &outcomes,
    };
    let verdicts = told.verdicts(&items, &owners);
    ledger.close(&verdicts).await?;
    if address.test_event_code.is_none() {
        for end in verdicts.ends(&opened) {
            metrics::conversion_event(address.destination.as_str(), end);
        }
    }

    Ok(items
        .into_iter()
        .map(|item| item.delivered(&told))
        .collect())
}

/// Sends what may be sent.
async fn send<C: Carrier>(
    carrier: &C,
    sendable: BTreeMap<EventKey, (JobId, C::Ready)>,
    opened: &Opened,
) -> Answers {
    let (keys, events): (Vec<EventKey>, Vec<(C::Ready, bool)>) = sendable
        .into_iter()
        .filter(|(key, _)| opened.allows(key))
        .map(|(key, (_, event))| {
            let is_alone = opened.wants_to_be_alone(&key);
            (key, (event, is_alone))
        })
        .unzip();
    if events.is_empty() {
        return Answers::new();
    }
    let answers = carrier.send(events).await;
    keys.into_iter().zip(answers).collect()
}

/// Asks what became of requests that were accepted, each once.
async fn ask<C: Carrier>(carrier: &C, opened: &Opened) -> Outcomes {
    let requests: BTreeMap<String, usize> = opened
        .accepted()
        .map(|(_, accepted)| (accepted.request_id, accepted.of))
        .collect();
    let mut outcomes = Outcomes::new();
    for (request_id, of) in requests.into_iter().take(MOST_ASKED) {
        let outcome = carrier.outcome(&request_id, of).await;
        // What keeps one from being asked for keeps the others too.
        let is_over = outcome.is_err();
        outcomes.insert(request_id, outcome);
        if is_over {
            break;
        }
    }
    outcomes
}

/// All that is known of the events of a call.
struct Told<'a> {
    opened: &'a Opened,
    answers: &'a Answers,
    outcomes: &'a Outcomes,
}

impl Told<'_> {
    fn verdicts(&self, items: &[Item], owners: &BTreeMap<EventKey, JobId>) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for item in items {
            if let Some(refusal) = &item.refusal
                && self.opened.is_refusable(&item.key)
            {
                verdicts.refused(&item.key, item.job, refusal);
            }
        }
        let sizes = self.sizes();
        for (key, answer) in self.answers {
            let Some(&job) = owners.get(key) else {
                continue;
            };
            match answer {
                Ok(receipt) => match pending(receipt, &sizes) {
                    Some(accepted) => verdicts.accepted(key, job, &accepted),
                    None => {
                        let detail =
                            json!({ "trace_id": receipt.request_id, "messages": receipt.messages });
                        verdicts.sent(key, job, detail);
                    }
                },
                Err(error) => match Refusal::of_provider(error) {
                    Some(refusal) => verdicts.refused(key, job, &refusal),
                    None if error.maybe_received() || self.opened.doubts(key) => {}
                    None => verdicts.unsent(key, job),
                },
            }
        }
        let jobs: BTreeMap<&EventKey, JobId> =
            items.iter().map(|item| (&item.key, item.job)).collect();
        for (key, accepted) in self.opened.accepted() {
            if let Some(&job) = jobs.get(key) {
                self.settle(&mut verdicts, (key, job), &accepted);
            }
        }
        verdicts
    }

    /// What is stored of an event that was accepted, by what is said of its request now.
    fn settle(&self, verdicts: &mut Verdicts, (key, job): (&EventKey, JobId), accepted: &Accepted) {
        let Some(Ok(outcome)) = self.outcomes.get(&accepted.request_id) else {
            return;
        };
        match outcome {
            RequestOutcome::Pending => {}
            RequestOutcome::Done => {
                verdicts.sent(
                    key,
                    job,
                    json!({ "trace_id": accepted.request_id, "messages": [] }),
                );
            }
            RequestOutcome::Unclear => {
                verdicts.waiting(key, job, (0, "some events of its request were not counted"));
            }
            RequestOutcome::Again {
                hours,
                reason,
                once,
            } => {
                if self.opened.is_given_up(key, *once) {
                    verdicts.refused(key, job, &Refusal::of_processing(reason, false));
                } else {
                    verdicts.waiting(key, job, (*hours, reason.as_str()));
                }
            }
            RequestOutcome::Refused { reason, expired } => {
                verdicts.refused(key, job, &Refusal::of_processing(reason, *expired));
            }
        }
    }

    /// How many events each request had that was accepted now.
    fn sizes(&self) -> BTreeMap<&str, usize> {
        let mut sizes = BTreeMap::new();
        let receipts = self
            .answers
            .values()
            .filter_map(|answer| answer.as_ref().ok());
        for request_id in receipts.filter_map(|receipt| receipt.request_id.as_deref()) {
            *sizes.entry(request_id).or_default() += 1;
        }
        sizes
    }

    /// How far an event is that was accepted, where its request was asked for now.
    fn fate_of_accepted(&self, key: &EventKey) -> Option<Fate> {
        let accepted = self.opened.accepted_with(key)?;
        Some(match self.outcomes.get(&accepted.request_id)? {
            Ok(RequestOutcome::Pending) => return None,
            Ok(RequestOutcome::Done) => Fate::Sent {
                trace_id: Some(accepted.request_id),
                messages: Vec::new(),
            },
            Ok(RequestOutcome::Unclear) => Fate::Later {
                wait: Duration::from_secs(1),
            },
            Ok(RequestOutcome::Again {
                hours,
                reason,
                once,
            }) => {
                if self.opened.is_given_up(key, *once) {
                    Fate::Refused(Refusal::of_processing(reason, false))
                } else {
                    let wait = Duration::from_secs(u64::from(*hours) * 60 * 60);
                    Fate::Later { wait }
                }
            }
            Ok(RequestOutcome::Refused { reason, expired }) => {
                Fate::Refused(Refusal::of_processing(reason, *expired))
            }
            Err(error) => Fate::Failed(error.clone()),
        })
    }
}

/// What was accepted and not processed.
fn pending(receipt: &Receipt, sizes: &BTreeMap<&str, usize>) -> Option<Accepted> {
    if !receipt.is_pending {
        return None;
    }
    let request_id = receipt.request_id.clone()?;
    let of = sizes.get(request_id.as_str()).copied().unwrap_or(1);
    Some(Accepted { request_id, of })
}

/// The events of a call once they are checked.
struct Checked<R> {
    /// In the order they came in.
    items: Vec<Item>,
    /// What can be sent: of several events with one key the first.
    sendable: BTreeMap<EventKey, (JobId, R)>,
}

struct Item {
    key: EventKey,
    job: JobId,
    left_out: Vec<String>,
    refusal: Option<Refusal>,
}

impl<R> Checked<R> {
    fn of(carrier: &impl Carrier<Ready = R>, events: &[Pending], now: DateTime<Utc>) -> Self {
        let mut checked = Self {
            items: Vec::with_capacity(events.len()),
            sendable: BTreeMap::new(),
        };
        for pending in events {
            let key = EventKey {
                name: pending.event.event_name.clone(),
                id: pending.event_id.clone(),
            };
            let (left_out, refusal) = match check(carrier, pending, (&key, now)) {
                Ok((event, left_out)) => {
                    checked
                        .sendable
                        .entry(key.clone())
                        .or_insert((pending.job, event));
                    (left_out, None)
                }
                Err(refusal) => (Vec::new(), Some(refusal)),
            };
            checked.items.push(Item {
                key,
                job: pending.job,
                left_out,
                refusal,
            });
        }
        checked
    }
}

fn check<C: Carrier>(
    carrier: &C,
    pending: &Pending,
    (key, now): (&EventKey, DateTime<Utc>),
) -> Result<(C::Ready, Vec<String>), Refusal> {
    if let Some(pointer) = key.unstorable_member() {
        return Err(Refusal::of_member(pointer, "must have 1 to 255 characters"));
    }
    let event = Event {
        event_id: Some(pending.event_id.clone()),
        ..pending.event.clone()
    };
    carrier.prepare(&event, now).map_err(Refusal::from)
}

impl Item {
    fn delivered(self, told: &Told<'_>) -> Delivered {
        let fate = self.fate(told);
        Delivered {
            event_name: self.key.name,
            event_id: self.key.id,
            left_out: self.left_out,
            fate,
        }
    }

    /// A receipt of another attempt counts more than a refusal of today, such as that the event has expired since.
    fn fate(&self, told: &Told<'_>) -> Fate {
        let stored = match told.opened.stored_fate(&self.key, self.job) {
            Some(sent @ (Fate::Sent { .. } | Fate::AlreadySent { .. })) => return sent,
            stored => stored,
        };
        if let Some(fate) = told.fate_of_accepted(&self.key) {
            return fate;
        }
        // What the destination has accepted is on its way, however old it has become meanwhile.
        if let Some(Fate::Later { wait }) = stored
            && told.opened.accepted_with(&self.key).is_some()
        {
            return Fate::Later { wait };
        }
        if let Some(refusal) = &self.refusal {
            return Fate::Refused(refusal.clone());
        }
        match told.answers.get(&self.key) {
            Some(Ok(receipt)) if receipt.is_pending => Fate::Later { wait: SOON },
            Some(Ok(receipt)) => Fate::Sent {
                trace_id: receipt.request_id.clone(),
                messages: receipt.messages.clone(),
            },
            Some(Err(error)) => match Refusal::of_provider(error) {
                Some(refusal) => Fate::Refused(refusal),
                None => Fate::Failed(error.clone()),
            },
            None => stored.unwrap_or(Fate::Contended),
        }
    }
}
