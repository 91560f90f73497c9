//! What is known of events before and after they are sent: the intent comes first, so that a crash leaves a doubt and
//! never a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use queue::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{
    Address,
    fate::{Fate, Refusal},
};
use crate::{
    accounts::AccountId,
    store::{
        Session, StoreError,
        conversion_events::{self, Rows, Scope, Standing, Told},
        within_deadline,
    },
};

/// How soon after it was accepted a request is asked for, and from an hour on.
pub(super) const SOON: Duration = Duration::from_secs(10 * 60);
const LATER: Duration = Duration::from_secs(60 * 60);
/// The least wait for an event that is put off.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How often an event is put off by a destination before it is given up.
const MOST_TRIES: i16 = 30;

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

/// An event that may be sent.
#[derive(Debug, Clone, Copy, Default)]
struct Allowed {
    /// An earlier attempt may have delivered it.
    in_doubt: bool,
    /// It is to have a request of its own.
    alone: bool,
}

/// An event that was accepted with a request, of which the destination says later what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) request_id: String,
    /// How many events the request had.
    pub(super) of: usize,
}

/// What the ledger says before anything is sent.
pub(super) struct Opened {
    allowed: BTreeMap<EventKey, Allowed>,
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
        self.allowed
            .get(key)
            .is_some_and(|allowed| allowed.in_doubt)
    }

    /// Whether the event is to have a request of its own.
    pub(super) fn wants_to_be_alone(&self, key: &EventKey) -> bool {
        self.allowed.get(key).is_some_and(|allowed| allowed.alone)
    }

    /// The events that were accepted and not processed, as far as is known.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (&EventKey, Accepted)> {
        let keys = self.standing.keys();
        keys.filter_map(|key| Some((key, self.accepted_with(key)?)))
    }

    /// With which request an event was accepted that was not processed, as far as is known.
    pub(super) fn accepted_with(&self, key: &EventKey) -> Option<Accepted> {
        let standing = self.standing.get(key)?;
        if standing.state != "accepted" {
            return None;
        }
        accepted(standing.detail.as_ref()?)
    }

    /// Whether the destination has put the event off too often, or a single time where once is all there is.
    pub(super) fn is_given_up(&self, key: &EventKey, once: bool) -> bool {
        let most = if once { 1 } else { MOST_TRIES };
        let standing = self.standing.get(key);
        standing.is_some_and(|standing| standing.tries >= most)
    }

    /// Whether a refusal of ours may be stored: not over a receipt or a doubt.
    pub(super) fn is_refusable(&self, key: &EventKey) -> bool {
        let is_open = self.standing.get(key).is_none_or(|standing| {
            matches!(standing.state.as_str(), "rejected" | "expired" | "waiting")
        });
        key.is_storable() && is_open && !self.allows(key)
    }

    /// What was stored of an event that may not be sent now, as the job that asks is told.
    pub(super) fn stored_fate(&self, key: &EventKey, job: JobId) -> Option<Fate> {
        self.standing
            .get(key)
            .map(|standing| match standing.state.as_str() {
                "sent" if standing.job_id == job.0 => stored_receipt(standing),
                "sent" => Fate::AlreadySent {
                    at: standing.sent_at,
                },
                "rejected" | "expired" => Fate::Refused(stored_refusal(standing)),
                "accepted" => Fate::Later {
                    wait: if standing.age_s < LATER.as_secs_f64() {
                        SOON
                    } else {
                        LATER
                    },
                },
                "waiting" => Fate::Later {
                    wait: wait_of(standing.due_in_s.unwrap_or_default()),
                },
                // Another job may be sending it at this moment.
                "in_doubt" if standing.is_repeatable => Fate::Later {
                    wait: wait_of(conversion_events::HELD_S - standing.age_s),
                },
                _ => Fate::InDoubt {
                    since: standing.first_sent_at,
                },
            })
    }
}

/// What is to be stored once the destination has answered. Each event stands in it once.
#[derive(Default)]
pub(super) struct Verdicts {
    told: BTreeMap<EventKey, Verdict>,
    unsent: BTreeMap<EventKey, JobId>,
}

struct Verdict {
    job: JobId,
    state: &'static str,
    detail: Value,
    due_hours: i32,
    alone: bool,
}

impl Verdicts {
    /// The destination has the event.
    pub(super) fn sent(&mut self, key: &EventKey, job: JobId, detail: Value) {
        self.tell(key, job, "sent", detail);
    }

    /// The destination has accepted the event with a request, and says later what became of it.
    pub(super) fn accepted(&mut self, key: &EventKey, job: JobId, accepted: &Accepted) {
        let detail = json!({ "request_id": accepted.request_id, "of": accepted.of });
        self.tell(key, job, "accepted", detail);
    }

    /// The destination wants the event again after so many hours; with none, alone.
    pub(super) fn waiting(&mut self, key: &EventKey, job: JobId, (hours, reason): (u32, &str)) {
        let verdict = Verdict {
            job,
            state: "waiting",
            detail: json!({ "reason": reason }),
            due_hours: i32::try_from(hours).unwrap_or(i32::MAX),
            alone: hours == 0,
        };
        self.told.insert(key.clone(), verdict);
    }

    /// The event can never be sent as it is.
    pub(super) fn refused(&mut self, key: &EventKey, job: JobId, refusal: &Refusal) {
        self.tell(key, job, refusal.state(), json!(refusal));
    }

    /// The event was certainly not delivered.
    pub(super) fn unsent(&mut self, key: &EventKey, job: JobId) {
        self.unsent.insert(key.clone(), job);
    }

    /// How events have ended of which that was not known before.
    pub(super) fn ends(&self, opened: &Opened) -> impl Iterator<Item = &'static str> {
        self.told.iter().filter_map(move |(key, verdict)| {
            let known = opened.standing.get(key);
            let is_news = known.is_none_or(|known| known.state != verdict.state);
            let is_end = matches!(verdict.state, "sent" | "rejected" | "expired");
            (is_news && is_end).then_some(verdict.state)
        })
    }

    fn tell(&mut self, key: &EventKey, job: JobId, state: &'static str, detail: Value) {
        let verdict = Verdict {
            job,
            state,
            detail,
            due_hours: 0,
            alone: false,
        };
        self.told.insert(key.clone(), verdict);
    }
}

/// The events of one data set and tenant.
#[derive(Clone, Copy)]
pub(super) struct Ledger<'a> {
    db: &'a PgPool,
    scope: Scope<'a>,
    /// The account in whose name they are sent.
    account: Option<AccountId>,
}

impl<'a> Ledger<'a> {
    pub(super) fn of(db: &'a PgPool, address: &Address<'a>, dedupes_hours: u32) -> Self {
        let scope = Scope {
            tenant: address.tenant.unwrap_or_default(),
            destination: address.destination.as_str(),
            dataset_id: address.dataset,
            test: address.test_event_code.is_some(),
            dedupes_hours: i32::try_from(dedupes_hours).unwrap_or(i32::MAX),
        };
        Self {
            db,
            scope,
            account: address.account,
        }
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
                    let is_allowed = Allowed {
                        in_doubt: event.in_doubt,
                        alone: event.alone,
                    };
                    allowed.insert(key, is_allowed);
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
        for (key, verdict) in &verdicts.told {
            told.tell(Told {
                event_name: &key.name,
                event_id: &key.id,
                job: verdict.job.0,
                state: verdict.state,
                detail: verdict.detail.clone(),
                due_hours: verdict.due_hours,
                alone: verdict.alone,
            });
        }
        let mut unsent = Rows::default();
        for (key, job) in &verdicts.unsent {
            unsent.ask(&key.name, &key.id, job.0);
        }

        within_deadline(async {
            let mut session = Session::open(self.db).await?;
            if !told.is_empty() {
                let account = self.account.map(|account| account.0);
                conversion_events::record(session.connection(), self.scope, account, &told).await?;
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

fn wait_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .max(LEAST_WAIT)
}

fn accepted(detail: &Value) -> Option<Accepted> {
    let of = detail.get("of")?.as_u64()?;
    Some(Accepted {
        request_id: detail.get("request_id")?.as_str()?.to_owned(),
        of: usize::try_from(of).ok()?,
    })
}

/// What the destination answered when the job sent the event, in an attempt before this one.
fn stored_receipt(standing: &Standing) -> Fate {
    let told = |name: &str| standing.detail.as_ref()?.get(name).cloned();
    let messages = told("messages").and_then(|messages| serde_json::from_value(messages).ok());
    Fate::Sent {
        trace_id: told("trace_id").and_then(|id| id.as_str().map(str::to_owned)),
        messages: messages.unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> EventKey {
        EventKey {
            name: "Purchase".to_owned(),
            id: id.to_owned(),
        }
    }

    fn stands(id: &str, state: &str) -> (EventKey, Standing) {
        let standing = Standing {
            event_name: "Purchase".to_owned(),
            event_id: id.to_owned(),
            job_id: uuid::Uuid::nil(),
            state: state.to_owned(),
            first_sent_at: None,
            sent_at: None,
            detail: None,
            tries: 0,
            due_in_s: None,
            age_s: 0.0,
            is_repeatable: false,
        };
        (key(id), standing)
    }

    // Fails when an event is counted again with every attempt of its job, or before it is known what became of it.
    #[test]
    fn the_end_of_an_event_is_news_once() {
        let opened = Opened {
            allowed: BTreeMap::new(),
            standing: [stands("known", "sent"), stands("asked", "accepted")].into(),
        };
        let job = JobId(uuid::Uuid::nil());
        let mut verdicts = Verdicts::default();
        verdicts.sent(&key("known"), job, Value::Null);
        verdicts.sent(&key("asked"), job, Value::Null);
        verdicts.waiting(&key("later"), job, (1, "busy"));
        let expired = Refusal {
            expired: true,
            reasons: Vec::new(),
        };
        verdicts.refused(&key("new"), job, &expired);

        let ends: Vec<&str> = verdicts.ends(&opened).collect();

        assert_eq!(ends, ["sent", "expired"]);
    }
}
