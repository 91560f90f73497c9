//! What is known of events before and after they are sent: the intent comes first, so that a crash leaves a doubt and
//! never a gap.

use std::collections::{BTreeMap, BTreeSet};

use queue::JobId;
use sqlx::PgPool;

use super::{
    Dataset, Destination,
    fate::{Fate, Refusal},
};
use crate::store::{
    Session, StoreError,
    conversion_events::{self, Rows, Scope, Standing},
    within_deadline,
};

/// Longest name or id that can be remembered, in characters.
const LONGEST_KEY: usize = 255;

/// What makes two events the same for a data set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventKey {
    pub(super) name: String,
    pub(super) id: String,
}

impl EventKey {
    /// Whether the event can be remembered by this key.
    pub(super) fn is_storable(&self) -> bool {
        self.unstorable_member().is_none()
    }

    /// The event's member that keeps it from being remembered.
    pub(super) fn unstorable_member(&self) -> Option<&'static str> {
        [("/event_name", &self.name), ("/event_id", &self.id)]
            .into_iter()
            .find(|(_, text)| {
                text.is_empty() || text.contains('\0') || text.chars().count() > LONGEST_KEY
            })
            .map(|(pointer, _)| pointer)
    }
}

/// What the ledger says before anything is sent.
pub(super) struct Opened {
    /// May be sent; true where an earlier attempt may have delivered the event.
    allowed: BTreeMap<EventKey, bool>,
    /// What is stored of the others.
    standing: BTreeMap<EventKey, Standing>,
}

impl Opened {
    /// Whether the event may be sent now.
    pub(super) fn allows(&self, key: &EventKey) -> bool {
        self.allowed.contains_key(key)
    }

    /// Whether an earlier attempt may have delivered the event.
    pub(super) fn doubts(&self, key: &EventKey) -> bool {
        self.allowed.get(key).copied().unwrap_or(false)
    }

    /// Whether a refusal of ours may be stored: not over a receipt or a doubt.
    pub(super) fn is_refusable(&self, key: &EventKey) -> bool {
        let is_open = self
            .standing
            .get(key)
            .is_none_or(|standing| matches!(standing.state.as_str(), "rejected" | "expired"));
        key.is_storable() && is_open && !self.allows(key)
    }

    /// What was stored of an event that may not be sent now.
    pub(super) fn stored_fate(&self, key: &EventKey) -> Option<Fate> {
        self.standing
            .get(key)
            .map(|standing| match standing.state.as_str() {
                "sent" => Fate::AlreadySent {
                    at: standing.sent_at,
                },
                "rejected" | "expired" => Fate::Refused(stored_refusal(standing)),
                _ => Fate::InDoubt {
                    since: standing.first_sent_at,
                },
            })
    }
}

/// What is to be stored once the destination has answered. Each event stands in it once.
#[derive(Default)]
pub(super) struct Verdicts {
    told: BTreeMap<EventKey, (JobId, &'static str, serde_json::Value)>,
    unsent: BTreeMap<EventKey, JobId>,
}

impl Verdicts {
    /// The destination has the event.
    pub(super) fn sent(&mut self, key: &EventKey, job: JobId, detail: serde_json::Value) {
        self.told.insert(key.clone(), (job, "sent", detail));
    }

    /// The event can never be sent as it is.
    pub(super) fn refused(&mut self, key: &EventKey, job: JobId, refusal: &Refusal) {
        let detail = serde_json::json!(refusal);
        self.told
            .insert(key.clone(), (job, refusal.state(), detail));
    }

    /// The event was certainly not delivered.
    pub(super) fn unsent(&mut self, key: &EventKey, job: JobId) {
        self.unsent.insert(key.clone(), job);
    }
}

/// The events of one data set and tenant.
#[derive(Clone, Copy)]
pub(super) struct Ledger<'a> {
    db: &'a PgPool,
    scope: Scope<'a>,
}

impl<'a> Ledger<'a> {
    pub(super) fn of(db: &'a PgPool, dataset: &Dataset<'a>) -> Self {
        let scope = Scope {
            tenant: dataset.tenant.unwrap_or_default(),
            destination: Destination::Meta.as_str(),
            dataset_id: dataset.id,
            test: dataset.test_event_code.is_some(),
        };
        Self { db, scope }
    }

    /// Stores the intent to send `wanted` where that may be done, and reads what is known of the rest of them and of
    /// `others`.
    pub(super) async fn open(
        &self,
        wanted: &BTreeMap<EventKey, JobId>,
        others: &BTreeSet<EventKey>,
    ) -> Result<Opened, StoreError> {
        within_deadline(async {
            let mut session = Session::open(self.db).await?;

            let mut asked = Rows::default();
            for (key, job) in wanted {
                asked.ask(&key.name, &key.id, job.0);
            }
            let mut allowed = BTreeMap::new();
            if !asked.is_empty() {
                let begun =
                    conversion_events::begin(session.connection(), self.scope, &asked).await?;
                for event in begun {
                    let key = EventKey {
                        name: event.event_name,
                        id: event.event_id,
                    };
                    allowed.insert(key, event.in_doubt);
                }
            }

            let mut unclear = Rows::default();
            for key in wanted
                .keys()
                .chain(others)
                .filter(|key| !allowed.contains_key(*key))
            {
                unclear.look_up(&key.name, &key.id);
            }
            let mut standing = BTreeMap::new();
            if !unclear.is_empty() {
                for known in
                    conversion_events::standing(session.connection(), self.scope, &unclear).await?
                {
                    let key = EventKey {
                        name: known.event_name.clone(),
                        id: known.event_id.clone(),
                    };
                    standing.insert(key, known);
                }
            }

            session.done();
            Ok(Opened { allowed, standing })
        })
        .await
    }

    /// Stores what became of the events.
    pub(super) async fn close(&self, verdicts: &Verdicts) -> Result<(), StoreError> {
        let mut told = Rows::default();
        for (key, (job, state, detail)) in &verdicts.told {
            told.tell((&key.name, &key.id, job.0), state, detail.clone());
        }
        let mut unsent = Rows::default();
        for (key, job) in &verdicts.unsent {
            unsent.ask(&key.name, &key.id, job.0);
        }

        within_deadline(async {
            let mut session = Session::open(self.db).await?;
            if !told.is_empty() {
                conversion_events::record(session.connection(), self.scope, &told).await?;
            }
            if !unsent.is_empty() {
                conversion_events::forget(session.connection(), self.scope, &unsent).await?;
            }
            session.done();
            Ok(())
        })
        .await
    }
}

fn stored_refusal(standing: &Standing) -> Refusal {
    standing
        .detail
        .clone()
        .and_then(|detail| serde_json::from_value(detail).ok())
        .unwrap_or_else(|| Refusal {
            expired: standing.state == "expired",
            reasons: Vec::new(),
        })
}
