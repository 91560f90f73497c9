//! Sends the events of a batch of jobs, and says for each job how its attempt ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use marketing::{
    StoreError,
    accounts::{Account, AccountId, AccountStatus, AccountsError},
    conversions::{
        Dataset, Delivered, Destination, Fate, MetaAccount, Outlet, Pending, Refusal, deliver,
        deliver_to_platform, deliver_with_account,
    },
};
use providers::{Admission, Error as ProviderError, platform::ConversionTarget};
use queue::Outcome;
use serde_json::{Value, json};

use super::{Addressee, Order};
use crate::{App, account::settled, door::JobDoor, error::Error};

/// Most bytes of a result: the engine keeps no more.
const LARGEST_RESULT: usize = 64 * 1_024;

/// Most events that are sent before the batch is answered for.
const MOST_EVENTS: usize = 5_000;
/// Most bytes of events, as they came, that are sent before the batch is answered for.
const MOST_BYTES: usize = 8 * 1_024 * 1_024;
/// Most addressees that are written to, one after another, before the batch is answered for.
const MOST_ADDRESSEES: usize = 10;
/// Why a replay did nothing.
const REPLAYED: &str = "all of its events were delivered before: none is sent again";
/// How soon the jobs are called again that a batch had no room for.
const NEXT_BATCH: Duration = Duration::from_secs(1);

/// By which ways calls leave.
pub(super) struct Ways<'a, A> {
    /// For those of our own token.
    pub(super) own: &'a A,
    /// For those of an account: the door of the job in this place.
    pub(super) door: &'a (dyn Fn(usize, Destination, AccountId) -> JobDoor + Sync),
}

/// Sends the orders, those for one addressee together, and answers for each in its place. What is too much for one call
/// of the handler is put off to the next. Each request waits until it is admitted.
pub(super) async fn send<A: Admission>(
    app: &App,
    orders: Vec<Result<Order, Error>>,
    ways: &Ways<'_, A>,
) -> Vec<Result<Outcome, Error>> {
    let mut outcomes = BTreeMap::new();
    let mut load = Load::default();
    let mut reached: BTreeMap<Addressee, Account> = BTreeMap::new();
    for (place, order) in orders.into_iter().enumerate() {
        let order = match order {
            Ok(order) => order,
            Err(error) => {
                outcomes.insert(place, Err(error));
                continue;
            }
        };
        if order.addressee.account.is_some() && !reached.contains_key(&order.addressee) {
            match reach(app, &order.addressee).await {
                Ok(account) => {
                    reached.insert(order.addressee.clone(), account);
                }
                Err(error) => {
                    outcomes.insert(place, settled(Err(error)));
                    continue;
                }
            }
        }
        if !load.add(place, order) {
            outcomes.insert(place, Ok(Outcome::Snoozed(NEXT_BATCH)));
        }
    }
    for (addressee, parcel) in load.parcels {
        let ended = match reached.get(&addressee) {
            Some(account) => Box::pin(send_for(app, (&addressee, account), parcel, ways)).await,
            None => Box::pin(send_parcel(app, &addressee, parcel, ways.own)).await,
        };
        outcomes.extend(ended);
    }
    outcomes.into_values().collect()
}

/// The account that events are sent for, which must be of their destination and of their job's tenant, where it has one.
async fn reach(app: &App, addressee: &Addressee) -> Result<Account, Error> {
    let Some(account) = addressee.account else {
        return Err(AccountsError::NotFound.into());
    };
    let tenant = addressee.tenant.as_deref();
    let account = app.accounts.get(account, tenant).await?;
    if account.status == AccountStatus::Disconnected {
        return Err(AccountsError::Disconnected.into());
    }
    if account.platform != addressee.destination.platform() {
        return Err(Error::Payload {
            pointer: "/account_id",
            problem: "is an account of another platform",
        });
    }
    Ok(account)
}

/// A job's part of a parcel.
struct Share {
    place: usize,
    events: Vec<Pending>,
    is_replay: bool,
}

/// The shares of a parcel without their events: place, how many, and whether the job is a replay.
type Shares = Vec<(usize, usize, bool)>;

type Ended = Vec<(usize, Result<Outcome, Error>)>;

fn unpacked(parcel: Vec<Share>) -> (Shares, Vec<Pending>) {
    let shares = parcel
        .iter()
        .map(|share| (share.place, share.events.len(), share.is_replay))
        .collect();
    let events = parcel.into_iter().flat_map(|share| share.events).collect();
    (shares, events)
}

/// What one call of the handler sends: a batch is counted in jobs, and a job may have a thousand events.
#[derive(Default)]
struct Load {
    parcels: BTreeMap<Addressee, Vec<Share>>,
    events: usize,
    bytes: usize,
}

impl Load {
    /// Takes an order on, if there is room for it or it is the first.
    fn add(&mut self, place: usize, order: Order) -> bool {
        let Order {
            addressee,
            events,
            is_replay,
        } = order;
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
        parcel.push(Share {
            place,
            events,
            is_replay,
        });
        true
    }
}

fn bytes_of(pending: &Pending) -> usize {
    serde_json::to_vec(&pending.event).map_or(0, |json| json.len())
}

async fn send_parcel(
    app: &App,
    addressee: &Addressee,
    parcel: Vec<Share>,
    admission: &impl Admission,
) -> Ended {
    let (shares, events) = unpacked(parcel);
    let Some(token) = &app.meta_token else {
        let unset = || {
            Err(Error::SetUp(
                "there is no token for Meta: set MILLPOND_META_ACCESS_TOKEN",
            ))
        };
        return shares
            .into_iter()
            .map(|(place, _, _)| (place, unset()))
            .collect();
    };
    let dataset = Dataset {
        tenant: addressee.tenant.as_deref(),
        id: &addressee.dataset_id,
        token,
        test_event_code: addressee.test_event_code.as_deref(),
    };
    let delivered = deliver(&app.db.pool(), &app.meta, dataset, &events, admission).await;
    shared_out(shares, delivered, outcome_of_own)
}

/// Sends in the name of an account, by its door.
async fn send_for<A: Admission>(
    app: &App,
    (addressee, account): (&Addressee, &Account),
    parcel: Vec<Share>,
    ways: &Ways<'_, A>,
) -> Ended {
    let (shares, events) = unpacked(parcel);
    let first = shares.first().map_or(0, |(place, _, _)| *place);
    let door = (ways.door)(first, addressee.destination, account.id);
    let client = app.accounts.platforms().of(account.platform);
    let delivered = if addressee.destination == Destination::Meta {
        let with = MetaAccount {
            tenant: addressee.tenant.as_deref(),
            dataset: &addressee.dataset_id,
            test_event_code: addressee.test_event_code.as_deref(),
            accounts: &app.accounts,
            account: account.id,
            door: &door,
        };
        deliver_with_account(&app.db.pool(), &app.meta, with, &events, &door).await
    } else if let Some(api) = client.and_then(|client| client.conversions()) {
        let outlet = Outlet {
            api,
            accounts: &app.accounts,
            account: account.id,
            door: &door,
            target: ConversionTarget {
                account: &account.external_id,
                dataset: &addressee.dataset_id,
                via: addressee.via,
                test_event_code: addressee.test_event_code.as_deref(),
            },
        };
        let tenant = addressee.tenant.as_deref();
        deliver_to_platform(
            &app.db.pool(),
            addressee.destination,
            tenant,
            outlet,
            &events,
        )
        .await
    } else {
        let unset = || Error::from(AccountsError::NoPlatform(account.platform));
        return shares
            .into_iter()
            .map(|(place, _, _)| (place, Err(unset())))
            .collect();
    };
    shared_out(shares, delivered, |events| door.settled(outcome(events)))
}

/// Each job's outcome, by what became of its events.
fn shared_out(
    shares: Shares,
    delivered: Result<Vec<Delivered>, StoreError>,
    outcome: impl Fn(Vec<Delivered>) -> Result<Outcome, Error>,
) -> Ended {
    match delivered {
        Ok(delivered) => {
            let mut delivered = delivered.into_iter();
            shares
                .into_iter()
                .map(|(place, size, is_replay)| {
                    let events: Vec<Delivered> = delivered.by_ref().take(size).collect();
                    if is_replay && were_all_delivered(&events) {
                        return (place, Ok(Outcome::Cancelled(REPLAYED.to_owned())));
                    }
                    (place, outcome(events))
                })
                .collect()
        }
        Err(error) => {
            let error = Arc::new(error);
            let failed = |place| (place, Err(Error::Store(Arc::clone(&error))));
            shares
                .into_iter()
                .map(|(place, _, _)| failed(place))
                .collect()
        }
    }
}

/// Whether a replay has nothing to do and had nothing to do: all of it was delivered by others.
fn were_all_delivered(events: &[Delivered]) -> bool {
    let was_sent = |event: &Delivered| matches!(event.fate, Fate::AlreadySent { .. });
    !events.is_empty() && events.iter().all(was_sent)
}

/// As [`outcome`]; the token is our own, and no account's.
pub(super) fn outcome_of_own(events: Vec<Delivered>) -> Result<Outcome, Error> {
    match outcome(events) {
        Err(Error::Provider(error @ ProviderError::AuthExpired { .. })) => {
            Err(Error::OwnToken(error))
        }
        ended => ended,
    }
}

/// A job succeeds once each of its events was sent or never will be, and at least one was sent.
pub(super) fn outcome(events: Vec<Delivered>) -> Result<Outcome, Error> {
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut is_in_doubt = false;
    let mut postponed: Option<Duration> = None;
    let mut later: Option<Duration> = None;
    let mut is_sent = false;
    for event in &events {
        match &event.fate {
            Fate::Sent { .. } | Fate::AlreadySent { .. } => is_sent = true,
            Fate::Refused(refusal) => refusals.push(refusal.clone()),
            Fate::InDoubt { .. } => is_in_doubt = true,
            Fate::Later { wait } => later = Some(later.map_or(*wait, |soonest| soonest.min(*wait))),
            Fate::Contended => return Err(Error::Contended),
            Fate::Failed(ProviderError::Postponed { wait, .. }) => {
                postponed = postponed.max(Some(wait.unwrap_or(NEXT_BATCH)));
            }
            Fate::Failed(error) => return Err(Error::Provider(error.clone())),
        }
    }
    if let Some(wait) = postponed.or(later) {
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
        Fate::Later { .. } | Fate::Contended | Fate::Failed(_) => "not_sent",
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
        Fate::Later { .. } | Fate::Contended | Fate::Failed(_) => {}
    }
    told
}
