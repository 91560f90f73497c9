//! Who holds the gates that are a job's own, and until when: the places of its key, its budget, its account. The same is
//! told of a job and of a queue in which such jobs wait.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Gate, GateAnswer, View};
use crate::{
    gates::decide::Starting,
    store::gates::fleet::{self, TakerRow},
};

/// Who holds a gate.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) detail: String,
    /// Until when, where that is known.
    pub(super) until: Option<DateTime<Utc>>,
}

impl Holder {
    /// What is told of the gate that is held.
    pub(super) fn closes(self, gate: Gate) -> GateAnswer {
        GateAnswer {
            until: self.until,
            ..GateAnswer::closed(gate, self.detail)
        }
    }
}

/// The places of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    kind: &'a str,
    key: &'a str,
    /// How many attempts may have one at a time.
    most: u32,
    /// Those that attempts have, and those that jobs get which start first.
    taken: u32,
}

impl<'a> Places<'a> {
    pub(super) fn of(
        view: &View,
        (kind, key): (&'a str, &'a str),
        most: u32,
        starting: &Starting<'_>,
    ) -> Self {
        Self {
            kind,
            key,
            most,
            taken: view.survey.facts.taken(kind, key) + starting.with(kind, key),
        }
    }

    pub(super) fn are_taken(&self) -> bool {
        self.taken >= self.most
    }

    /// Who has them; a tenant is told of its own jobs alone.
    pub(super) async fn holder(
        &self,
        conn: &mut PgConnection,
        view: &View,
        tenant: Option<&str>,
    ) -> Result<Holder, sqlx::Error> {
        let mut detail = match self.are_taken() {
            _ if view.tells_of_all => {
                format!(
                    "{} of {} places of the key are taken",
                    self.taken, self.most
                )
            }
            true => "the places of the key are taken".to_owned(),
            false => "a place of the key is free".to_owned(),
        };
        let mut takers = fleet::takers(conn, self.kind, self.key).await?;
        takers.retain(|taker| tenant.is_none() || taker.tenant.as_deref() == tenant);
        detail.extend(takers.iter().map(running));
        let ends = takers.iter().map(|taker| taker.lease_until);
        Ok(Holder {
            detail,
            until: ends.filter(|end| view.is_to_come(*end)).min(),
        })
    }
}

impl View {
    /// What keeps jobs of this account and priority from drawing on a budget; `None`: nothing does.
    pub(super) fn dry(&self, budget: &str, account: Option<&str>, priority: i16) -> Option<Holder> {
        let dry = self.survey.facts.dry(budget, account, priority)?;
        // What is not its account's own is others' too, and says how many calls they made.
        let is_its_own = dry.account.is_some() && dry.account.as_deref() == account;
        let detail = dry.detail.as_deref();
        let detail = detail.filter(|_| self.tells_of_all || is_its_own);
        let why = detail.unwrap_or("nothing is left of it");
        Some(Holder {
            detail: format!("the budget {budget}: {why}"),
            until: dry.until,
        })
    }

    /// Who holds an account; `None`: nobody does.
    pub(super) fn held(&self, account: &str) -> Option<Holder> {
        let hold = self.survey.facts.hold_of(account)?;
        let since = moment(hold.since);
        Some(Holder {
            detail: format!(
                "{} holds the account since {since}: {}",
                hold.by, hold.reason
            ),
            until: hold.until,
        })
    }

    /// A lease may have run out, and nobody has renewed it or taken its job back yet.
    fn is_to_come(&self, at: DateTime<Utc>) -> bool {
        let standing = self.survey.standing.as_ref();
        standing.is_none_or(|standing| standing.now < at)
    }
}

/// Who has a place, in words.
fn running(taker: &TakerRow) -> String {
    let host = taker.host.as_deref().unwrap_or("an unknown worker");
    let until = moment(taker.lease_until);
    format!(
        "; job {} runs on {host} with a lease until {until}",
        taker.id
    )
}

/// A time as it stands in a text.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
