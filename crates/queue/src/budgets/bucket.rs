//! One budget in this process: calls wait here in turn for what they need, and one exchange at a time fetches it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::timeout_at,
};

use super::{
    BudgetError, Fleet, PATIENCE,
    chunks::Taken,
    decision::Call,
    exchange::{self, Answer, Party, Terms},
    pacer::Pacer,
    stock::{Drawn, Dry, Stock},
};
use crate::{db::DatabaseError, store::budgets::BudgetKey};

/// For how long what an exchange told is acted on without another one: a pause that others met, and other limits, are
/// heard of within this time.
const FRESH: Duration = Duration::from_secs(2);
/// How often a call that waits for a place asks whether other processes have freed one.
const ASK_FOR_PLACE: Duration = Duration::from_millis(250);
/// How long a job is to wait whose call waited in vain.
const OVERDUE: Duration = Duration::from_secs(5);

/// Which budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: Arc<str>,
    pub(super) account: Arc<str>,
}

/// A budget as this process draws on it.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) key: Key,
    /// What held when it was drawn on last.
    terms: Mutex<Arc<Terms>>,
    stock: Mutex<Stock>,
    pacer: Mutex<Pacer>,
    /// Calls wait one behind another, urgent ones in a row of their own.
    turns: [AsyncMutex<()>; 2],
    exchanging: AsyncMutex<()>,
    /// A place is free.
    freed: Notify,
}

impl Bucket {
    pub(super) fn new(key: Key, terms: Arc<Terms>) -> Self {
        Self {
            key,
            terms: Mutex::new(terms),
            stock: Mutex::default(),
            pacer: Mutex::default(),
            turns: Default::default(),
            exchanging: AsyncMutex::default(),
            freed: Notify::new(),
        }
    }

    pub(super) fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_terms(&self, terms: Arc<Terms>) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = terms;
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// As [`super::BudgetHandle::take`].
    pub(super) async fn take(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        call: Call,
    ) -> Result<BudgetPermit, BudgetError> {
        let deadline = Instant::now() + PATIENCE;
        let taken = {
            let _waiting = Waiting::begin(&self, call);
            let turn = self.turns[usize::from(call.urgent)].lock();
            match timeout_at(deadline.into(), turn).await {
                Ok(_turn) => self.fetch(&fleet, call, deadline).await?,
                Err(_) => return Err(self.overdue()),
            }
        };
        let Taken { opens, pace, spent } = taken;
        let mut permit = BudgetPermit {
            bucket: Arc::clone(&self),
            fleet,
            unspent: spent,
        };
        tokio::time::sleep_until(opens.into()).await;
        if let Some(pace) = pace {
            let turn = self.lock_pacer().next(pace, call.weight);
            turn.await;
        }
        permit.unspent.clear();
        Ok(permit)
    }

    /// Draws what the call needs from what is here, or has it fetched.
    async fn fetch(
        self: &Arc<Self>,
        fleet: &Arc<Fleet>,
        call: Call,
        deadline: Instant,
    ) -> Result<Taken, BudgetError> {
        loop {
            let terms = self.terms();
            let fresh = FRESH.min(terms.ttl / 2);
            let needs_place = terms.limits.places.is_some();
            let drawn = self.stock().draw(call, needs_place, fresh, Instant::now());
            match drawn {
                Drawn::Taken(taken) => return Ok(taken),
                Drawn::Dry(dry) => return Err(self.dry(dry)),
                Drawn::Nothing => {}
            }
            if Instant::now() >= deadline {
                return Err(self.overdue());
            }
            // Not dropped with the call: what it leases is to be known here.
            let exchange = Arc::clone(self).exchange(Arc::clone(fleet), Some(call), false);
            let exchanged = fleet.tasks.spawn(exchange);
            let Ok(exchanged) = timeout_at(deadline.into(), exchanged).await else {
                return Err(self.overdue());
            };
            match exchanged.map_err(|_| BudgetError::Stopped)? {
                Ok(Answer::Granted) => {}
                Ok(Answer::Dry(dry)) => return Err(self.dry(dry)),
                Ok(Answer::Later(wait)) => {
                    let until = deadline.min(Instant::now() + wait);
                    tokio::time::sleep_until(until.into()).await;
                }
                Ok(Answer::NoPlace) => {
                    // Both are cancel-safe.
                    tokio::select! {
                        () = self.freed.notified() => {}
                        () = tokio::time::sleep(ASK_FOR_PLACE) => {}
                    }
                }
                Err(source) => return Err(self.unavailable(source)),
            }
        }
    }

    /// Makes an exchange, for a call or for what is due without one.
    pub(super) async fn exchange(
        self: Arc<Self>,
        fleet: Arc<Fleet>,
        call: Option<Call>,
        leaves: bool,
    ) -> Result<Answer, DatabaseError> {
        let _alone = self.exchanging.lock().await;
        let _few = fleet.exchanges.acquire().await;
        let terms = self.terms();
        let party = Party {
            key: BudgetKey {
                name: &self.key.name,
                account: &self.key.account,
            },
            holder: fleet.holder,
        };
        let begun = self.stock().begin(call, leaves, Instant::now());
        match exchange::exchange(&fleet.db, party, &terms, &begun).await {
            Ok((ended, answer)) => {
                let now = Instant::now();
                let mut stock = self.stock();
                stock.end(&ended, now);
                if let (Some(call), Answer::Dry(dry)) = (call, &answer) {
                    stock.refuse(call, dry.clone(), now);
                }
                Ok(answer)
            }
            Err(error) => {
                self.stock().fail(begun);
                Err(error)
            }
        }
    }

    fn lock_pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dry(&self, dry: Dry) -> BudgetError {
        BudgetError::Dry {
            budget: self.key.name.to_string(),
            wait: dry.ends.saturating_duration_since(Instant::now()),
            until: dry.until,
            detail: dry.detail,
        }
    }

    /// That the call waited in vain; others are told of it with the next exchange.
    fn overdue(&self) -> BudgetError {
        self.stock().give_up();
        let now = Instant::now();
        let detail = format!("the call has waited for {} s", PATIENCE.as_secs());
        self.dry(Dry::of(now + OVERDUE, detail, now))
    }

    fn unavailable(&self, source: DatabaseError) -> BudgetError {
        BudgetError::Unavailable {
            budget: self.key.name.to_string(),
            source,
        }
    }
}

/// A call that waits, for as long as this lives.
struct Waiting<'a> {
    bucket: &'a Bucket,
    call: Call,
}

impl<'a> Waiting<'a> {
    fn begin(bucket: &'a Bucket, call: Call) -> Self {
        bucket.stock().wait(call);
        Self { bucket, call }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bucket.stock().wait_no_more(self.call);
    }
}

/// A call that may be made now. It holds its place among the calls in flight until it is dropped: drop it when the answer
/// is here.
#[derive(Debug)]
#[must_use = "the call's place is free again when this is dropped"]
pub struct BudgetPermit {
    bucket: Arc<Bucket>,
    fleet: Arc<Fleet>,
    /// What goes back where the call is not made after all.
    unspent: Vec<(DateTime<Utc>, u64)>,
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        let others_wait = self.bucket.stock().leave(&self.unspent);
        self.bucket.freed.notify_one();
        if others_wait {
            self.fleet.wake.notify_one();
        }
    }
}
