//! Sends the events of a batch of jobs, and says for each job how its attempt ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use marketing::conversions::{Dataset, Delivered, Fate, Pending, Refusal, deliver};
use providers::{Admission, Error as ProviderError};
use queue::Outcome;
use serde_json::{Value, json};

use super::{Addressee, Order};
use crate::{App, error::Error};

/// Most bytes of a result: the engine keeps no more.
const LARGEST_RESULT: usize = 64 * 1_024;

/// Most events that are sent before the batch is answered for.
const MOST_EVENTS: usize = 5_000;
/// Most bytes of events, as they came, that are sent before the batch is answered for.
const MOST_BYTES: usize = 8 * 1_024 * 1_024;
/// Most addressees that are written to, one after another, before the batch is answered for.
const MOST_ADDRESSEES: usize = 10;
/// How soon the jobs are called again that a batch had no room for.
const NEXT_BATCH: Duration = Duration::from_secs(1);

/// Sends the orders, those for one addressee together, and answers for each in its place. What is too much for one call
/// of the handler is put off to the next. Each request waits until it is admitted.
pub(super) async fn send(
    app: &App,
    orders: Vec<Result<Order, Error>>,
    admission: &impl Admission,
) -> Vec<Result<Outcome, Error>> {
    let mut outcomes = BTreeMap::new();
    let mut load = Load::default();
    for (place, order) in orders.into_iter().enumerate() {
        match order.map(|order| load.add(place, order)) {
            Ok(true) => {}
            Ok(false) => {
                outcomes.insert(place, Ok(Outcome::Snoozed(NEXT_BATCH)));
            }
            Err(error) => {
                outcomes.insert(place, Err(error));
            }
        }
    }
    for (addressee, parcel) in load.parcels {
        outcomes.extend(send_parcel(app, &addressee, parcel, admission).await);
    }
    outcomes.into_values().collect()
}

/// What one call of the handler sends: a batch is counted in jobs, and a job may have a thousand events.
#[derive(Default)]
struct Load {
    parcels: BTreeMap<Addressee, Vec<(usize, Vec<Pending>)>>,
    events: usize,
    bytes: usize,
}

impl Load {
    /// Takes an order on, if there is room for it or it is the first.
    fn add(&mut self, place: usize, Order { addressee, events }: Order) -> bool {
        let bytes: usize = events.iter().map(bytes_of).sum();
        let has_room = self.events + events.len() <= MOST_EVENTS
            && self.bytes + bytes <= MOST_BYTES
            && (self.parcels.len() < MOST_ADDRESSEES || self.parcels.contains_key(&addressee));
        if !has_room && !self.parcels.is_empty() {
            return false;
        }
        self.events += events.len();
        self.bytes += bytes;
        let parcel = self.parcels.entry(addressee).or_default();
        parcel.push((place, events));
        true
    }
}

fn bytes_of(pending: &Pending) -> usize {
    serde_json::to_vec(&pending.event).map_or(0, |json| json.len())
}

async fn send_parcel(
    app: &App,
    addressee: &Addressee,
    parcel: Vec<(usize, Vec<Pending>)>,
    admission: &impl Admission,
) -> Vec<(usize, Result<Outcome, Error>)> {
    let shares: Vec<(usize, usize)> = parcel
        .iter()
        .map(|(place, events)| (*place, events.len()))
        .collect();
    let Some(token) = &app.meta_token else {
        let unset = || {
            Err(Error::SetUp(
                "there is no token for Meta: set MILLPOND_META_ACCESS_TOKEN",
            ))
        };
        return shares
            .into_iter()
            .map(|(place, _)| (place, unset()))
            .collect();
    };
    let events: Vec<Pending> = parcel.into_iter().flat_map(|(_, events)| events).collect();
    let dataset = Dataset {
        tenant: addressee.tenant.as_deref(),
        id: &addressee.dataset_id,
        token,
        test_event_code: addressee.test_event_code.as_deref(),
    };

    match deliver(&app.db.pool(), &app.meta, dataset, &events, admission).await {
        Ok(delivered) => {
            let mut delivered = delivered.into_iter();
            let mut share = |size| outcome(delivered.by_ref().take(size).collect());
            shares
                .into_iter()
                .map(|(place, size)| (place, share(size)))
                .collect()
        }
        Err(error) => {
            let error = Arc::new(error);
            let failed = |place| (place, Err(Error::Store(Arc::clone(&error))));
            shares.into_iter().map(|(place, _)| failed(place)).collect()
        }
    }
}

/// A job succeeds once each of its events was sent or never will be, and at least one was sent.
pub(super) fn outcome(events: Vec<Delivered>) -> Result<Outcome, Error> {
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut is_in_doubt = false;
    let mut postponed: Option<Duration> = None;
    let mut is_sent = false;
    for event in &events {
        match &event.fate {
            Fate::Sent { .. } | Fate::AlreadySent { .. } => is_sent = true,
            Fate::Refused(refusal) => refusals.push(refusal.clone()),
            Fate::InDoubt { .. } => is_in_doubt = true,
            Fate::Contended => return Err(Error::Contended),
            Fate::Failed(ProviderError::Postponed { wait, .. }) => {
                postponed = postponed.max(Some(wait.unwrap_or(NEXT_BATCH)));
            }
            // As long as no job names an account, the token is our own.
            Fate::Failed(error @ ProviderError::AuthExpired { .. }) => {
                return Err(Error::OwnToken(error.clone()));
            }
            Fate::Failed(error) => return Err(Error::Provider(error.clone())),
        }
    }
    if let Some(wait) = postponed {
        return Ok(Outcome::Snoozed(wait));
    }
    if is_sent {
        return Ok(Outcome::SucceededWith(result(&events)));
    }
    Err(if is_in_doubt {
        Error::InDoubt
    } else if refusals.iter().all(|refusal| refusal.expired) {
        Error::Expired(refusals)
    } else {
        Error::Refused(refusals)
    })
}

/// The job's result: every event, in brief where all of it would be more than is kept.
fn result(events: &[Delivered]) -> Value {
    let in_full: Vec<Value> = events.iter().map(told).collect();
    let result = json!({ "events": in_full });
    if result.to_string().len() <= LARGEST_RESULT {
        return result;
    }
    let in_brief: Vec<Value> = events
        .iter()
        .map(|event| json!([event.event_id, word(&event.fate)]))
        .collect();
    json!({ "events_in_brief": in_brief })
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Sent { .. } => "sent",
        Fate::AlreadySent { .. } => "already_sent",
        Fate::Refused(Refusal { expired: true, .. }) => "expired",
        Fate::Refused(_) => "rejected",
        Fate::InDoubt { .. } => "in_doubt",
        Fate::Contended | Fate::Failed(_) => "not_sent",
    }
}

fn told(event: &Delivered) -> Value {
    let mut told = json!({
        "event_name": event.event_name,
        "event_id": event.event_id,
        "outcome": word(&event.fate),
        "left_out": event.left_out,
    });
    match &event.fate {
        Fate::Sent { trace_id, messages } => {
            told["trace_id"] = json!(trace_id);
            told["messages"] = json!(messages);
        }
        Fate::AlreadySent { at } => told["sent_at"] = json!(at),
        Fate::Refused(refusal) => told["reasons"] = json!(refusal.reasons),
        Fate::InDoubt { since } => told["since"] = json!(since),
        Fate::Contended | Fate::Failed(_) => {}
    }
    told
}
