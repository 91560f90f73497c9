//! Delivers events to Meta: checks each, stores the intent, sends what may be sent, stores what became of it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use providers::{
    Admission, Error as ProviderError,
    meta::{
        Destination, EventsReceived, MAX_EVENTS, Meta,
        conversions::{Event, ServerEvent, prepare},
    },
};
use queue::JobId;
use serde_json::json;
use sqlx::PgPool;

use super::{
    Dataset, Delivered, Pending,
    fate::{Fate, Refusal},
    ledger::{EventKey, Ledger, Opened, Verdicts},
};
use crate::store::StoreError;

/// What Meta answered for each event that was sent.
type Answers = BTreeMap<EventKey, Result<EventsReceived, ProviderError>>;

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
    let mut delivered = Vec::with_capacity(events.len());
    for chunk in events.chunks(MAX_EVENTS) {
        delivered.extend(deliver_chunk(db, meta, &dataset, chunk, admission).await?);
    }
    Ok(delivered)
}

async fn deliver_chunk(
    db: &PgPool,
    meta: &Meta,
    dataset: &Dataset<'_>,
    events: &[Pending],
    admission: &impl Admission,
) -> Result<Vec<Delivered>, StoreError> {
    let ledger = Ledger::of(db, dataset);
    let Checked { items, sendable } = Checked::of(events, Utc::now());
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
    let answers = send(meta, dataset, sendable, &opened, admission).await;
    ledger
        .close(&verdicts(&items, &owners, &opened, &answers))
        .await?;

    Ok(items
        .into_iter()
        .map(|item| item.delivered(&opened, &answers))
        .collect())
}

/// Sends what may be sent.
async fn send(
    meta: &Meta,
    dataset: &Dataset<'_>,
    sendable: BTreeMap<EventKey, (JobId, ServerEvent)>,
    opened: &Opened,
    admission: &impl Admission,
) -> Answers {
    let (keys, events): (Vec<EventKey>, Vec<ServerEvent>) = sendable
        .into_iter()
        .filter(|(key, _)| opened.allows(key))
        .map(|(key, (_, event))| (key, event))
        .unzip();
    if events.is_empty() {
        return Answers::new();
    }
    let to = Destination {
        dataset_id: dataset.id,
        token: dataset.token,
        test_event_code: dataset.test_event_code,
    };
    let answers = meta.send_batch(to, &events, admission).await;
    keys.into_iter().zip(answers).collect()
}

fn verdicts(
    items: &[Item],
    owners: &BTreeMap<EventKey, JobId>,
    opened: &Opened,
    answers: &Answers,
) -> Verdicts {
    let mut verdicts = Verdicts::default();
    for item in items {
        if let Some(refusal) = &item.refusal
            && opened.is_refusable(&item.key)
        {
            verdicts.refused(&item.key, item.job, refusal);
        }
    }
    for (key, answer) in answers {
        let Some(&job) = owners.get(key) else {
            continue;
        };
        match answer {
            Ok(received) => {
                let detail =
                    json!({ "trace_id": received.fbtrace_id, "messages": received.messages });
                verdicts.sent(key, job, detail);
            }
            Err(error) => match Refusal::of_provider(error) {
                Some(refusal) => verdicts.refused(key, job, &refusal),
                None if error.maybe_received() || opened.doubts(key) => {}
                None => verdicts.unsent(key, job),
            },
        }
    }
    verdicts
}

/// The events of a call once they are checked.
struct Checked {
    /// In the order they came in.
    items: Vec<Item>,
    /// What can be sent: of several events with one key the first.
    sendable: BTreeMap<EventKey, (JobId, ServerEvent)>,
}

struct Item {
    key: EventKey,
    job: JobId,
    left_out: Vec<String>,
    refusal: Option<Refusal>,
}

impl Checked {
    fn of(events: &[Pending], now: DateTime<Utc>) -> Self {
        let mut checked = Self {
            items: Vec::with_capacity(events.len()),
            sendable: BTreeMap::new(),
        };
        for pending in events {
            let key = EventKey {
                name: pending.event.event_name.clone(),
                id: pending.event_id.clone(),
            };
            let (left_out, refusal) = match check(pending, &key, now) {
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

fn check(
    pending: &Pending,
    key: &EventKey,
    now: DateTime<Utc>,
) -> Result<(ServerEvent, Vec<String>), Refusal> {
    if let Some(pointer) = key.unstorable_member() {
        return Err(Refusal::of_member(pointer, "must have 1 to 255 characters"));
    }
    let event = Event {
        event_id: Some(pending.event_id.clone()),
        ..pending.event.clone()
    };
    let prepared = prepare(&event, now).map_err(Refusal::from)?;
    Ok((prepared.event, prepared.left_out))
}

impl Item {
    fn delivered(self, opened: &Opened, answers: &Answers) -> Delivered {
        let fate = self.fate(opened, answers);
        Delivered {
            event_name: self.key.name,
            event_id: self.key.id,
            left_out: self.left_out,
            fate,
        }
    }

    /// A receipt of another attempt counts more than a refusal of today, such as that the event has expired since.
    fn fate(&self, opened: &Opened, answers: &Answers) -> Fate {
        let stored = opened.stored_fate(&self.key);
        if let Some(Fate::AlreadySent { at }) = stored {
            return Fate::AlreadySent { at };
        }
        if let Some(refusal) = &self.refusal {
            return Fate::Refused(refusal.clone());
        }
        match answers.get(&self.key) {
            Some(Ok(received)) => Fate::Sent {
                trace_id: received.fbtrace_id.clone(),
                messages: received.messages.clone(),
            },
            Some(Err(error)) => match Refusal::of_provider(error) {
                Some(refusal) => Fate::Refused(refusal),
                None => Fate::Failed(error.clone()),
            },
            None => stored.unwrap_or(Fate::Contended),
        }
    }
}
