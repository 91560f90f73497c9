//! What gates stand on at the moment of a claim: rules of kinds, taken places of keys, held accounts, budgets of accounts,
//! dry budgets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{decide::Candidate, note::Note};
use crate::{
    budgets::{LAST_URGENT, NO_ACCOUNT},
    store::gates::facts::{self, DryRow, HoldRow},
};

/// The last priority that there is.
pub(super) const LAST_PRIORITY: i16 = 9;

/// What a gate lets through of the jobs that it kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) most: usize,
    /// Those behind this priority are still kept.
    pub(crate) last_priority: i16,
}

/// The limits of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Where its jobs wait, unless somebody put them elsewhere.
    queue: String,
    /// Attempts with one key that may run.
    pub(crate) places: Option<u32>,
    pub(crate) budget: Option<String>,
}

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    rules: HashMap<String, Rule>,
    /// By kind and key; keys that take none stand there too, once they were asked for.
    taken: HashMap<String, HashMap<String, u32>>,
    /// By account; `None`: known not to be held.
    holds: HashMap<String, Option<HoldRow>>,
    /// By account: the budget that its jobs draw on where their kind names none; `None`: known to have none.
    own_budgets: HashMap<String, Option<String>>,
    dry: Vec<DryRow>,
    /// Budgets with accounts that were asked for.
    asked: BTreeSet<(String, String)>,
}

impl Facts {
    /// Knows the rules of these kinds, and nothing else yet.
    pub(crate) async fn of_kinds(
        conn: &mut PgConnection,
        kinds: &[String],
    ) -> Result<Self, sqlx::Error> {
        let mut known = Self::default();
        known.learn_rules(conn, kinds).await?;
        Ok(known)
    }

    /// Learns the rules of more kinds.
    pub(crate) async fn learn_rules(
        &mut self,
        conn: &mut PgConnection,
        kinds: &[String],
    ) -> Result<(), sqlx::Error> {
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        let rules = facts::rules(conn, kinds).await?.into_iter().map(|row| {
            let rule = Rule {
                queue: row.queue,
                places: row.per_key_concurrency.map(count),
                budget: row.budget,
            };
            (row.kind, rule)
        });
        self.rules.extend(rules);
        Ok(())
    }

    pub(crate) fn rule_of(&self, kind: &str) -> Option<&Rule> {
        self.rules.get(kind)
    }

    /// The kinds that are limited per key.
    pub(crate) fn keyed_kinds(&self) -> impl Iterator<Item = &str> {
        let keyed = self.rules.iter().filter(|(_, rule)| rule.places.is_some());
        keyed.map(|(kind, _)| kind.as_str())
    }

    /// Whether a kind's jobs wait in this queue, unless somebody put them elsewhere.
    pub(crate) fn lives_in(&self, kind: &str, queue: &str) -> bool {
        self.rule_of(kind).is_some_and(|rule| rule.queue == queue)
    }

    /// How many places of a key are taken.
    pub(crate) fn taken(&self, kind: &str, key: &str) -> u32 {
        let of_kind = self.taken.get(kind);
        let taken = of_kind.and_then(|keys| keys.get(key));
        taken.copied().unwrap_or(0)
    }

    pub(crate) fn hold_of(&self, account: &str) -> Option<&HoldRow> {
        self.holds.get(account)?.as_ref()
    }

    /// The budget that jobs of a kind draw on for an account: the one that the kind names, or else the account's own.
    pub(crate) fn budget_of(&self, kind: &str, account: Option<&str>) -> Option<&str> {
        let named = self.named_budget(kind);
        named.or_else(|| self.own_budgets.get(account?)?.as_deref())
    }

    fn named_budget(&self, kind: &str) -> Option<&str> {
        self.rule_of(kind)?.budget.as_deref()
    }

    /// Why no call can be made from a budget for a job of this account and priority: of several reasons the one that
    /// lasts longest.
    pub(crate) fn dry(
        &self,
        budget: &str,
        account: Option<&str>,
        priority: i16,
    ) -> Option<&DryRow> {
        let account = account.unwrap_or(NO_ACCOUNT);
        let is_urgent = priority <= LAST_URGENT;
        let reasons = self.dry.iter().filter(|dry| {
            let is_its = dry.account.as_deref().is_none_or(|of| of == account);
            dry.budget == budget && is_its && (dry.for_urgent || !is_urgent)
        });
        reasons.max_by_key(|dry| dry.until.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// Which of the jobs that a gate kept it may let through now, no more than so many; `None` where it still keeps all.
    pub(crate) fn lets_through(&self, note: &Note, most: usize) -> Option<Passage> {
        let all = Passage {
            most,
            last_priority: LAST_PRIORITY,
        };
        match note {
            Note::AccountHeld { account } => self.hold_of(account).is_none().then_some(all),
            Note::Budget {
                kind,
                budget,
                account,
            } => {
                let is_dry = |priority| self.dry(budget, account.as_deref(), priority).is_some();
                let draws_on = self.budget_of(kind, account.as_deref());
                if draws_on != Some(budget.as_str()) || !is_dry(LAST_PRIORITY) {
                    return Some(all);
                }
                let urgent = Passage {
                    last_priority: LAST_URGENT,
                    ..all
                };
                (!is_dry(LAST_URGENT)).then_some(urgent)
            }
            Note::KeyLimit { kind, key } => {
                let Some(places) = self.rule_of(kind).and_then(|rule| rule.places) else {
                    return Some(all);
                };
                let free = places.saturating_sub(self.taken(kind, key));
                let most = usize::try_from(free).unwrap_or(usize::MAX).min(most);
                (most > 0).then_some(Passage { most, ..all })
            }
        }
    }

    /// Learns what these jobs depend on, as far as it is not known.
    pub(crate) async fn learn_of_jobs(
        &mut self,
        conn: &mut PgConnection,
        jobs: &[Candidate],
    ) -> Result<(), sqlx::Error> {
        let keys = jobs
            .iter()
            .filter_map(|job| Some((job.kind.as_str(), job.key.as_deref()?)));
        self.learn_keys(&mut *conn, keys.collect()).await?;
        let accounts = jobs.iter().filter_map(|job| job.account.as_deref());
        self.learn_accounts(&mut *conn, accounts.collect()).await?;
        let drawn = jobs
            .iter()
            .map(|job| (job.kind.as_str(), job.account.as_deref()));
        self.learn_budgets(conn, drawn.collect()).await
    }

    /// Learns whether the gates are open that kept jobs with these notes.
    pub(crate) async fn learn_of_notes<'n>(
        &mut self,
        conn: &mut PgConnection,
        notes: impl IntoIterator<Item = &'n Note>,
    ) -> Result<(), sqlx::Error> {
        let mut keys = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        let mut drawn = BTreeSet::new();
        for note in notes {
            match note {
                Note::KeyLimit { kind, key } => {
                    keys.insert((kind.as_str(), key.as_str()));
                }
                Note::AccountHeld { account } => {
                    accounts.insert(account.as_str());
                }
                Note::Budget { kind, account, .. } => {
                    drawn.insert((kind.as_str(), account.as_deref()));
                }
            }
        }
        self.learn_keys(&mut *conn, keys).await?;
        self.learn_accounts(&mut *conn, accounts).await?;
        self.learn_budgets(conn, drawn).await
    }

    async fn learn_keys(
        &mut self,
        conn: &mut PgConnection,
        keys: BTreeSet<(&str, &str)>,
    ) -> Result<(), sqlx::Error> {
        let mut asked: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (kind, key) in keys {
            let known = self.taken.get(kind);
            if !known.is_some_and(|known| known.contains_key(key)) {
                asked.entry(kind).or_default().push(key);
            }
        }
        for (kind, keys) in asked {
            let Some(places) = self.rule_of(kind).and_then(|rule| rule.places) else {
                continue;
            };
            let rows = facts::taken(&mut *conn, kind, &keys, places.into()).await?;
            let known = self.taken.entry(kind.to_owned()).or_default();
            known.extend(keys.into_iter().map(|key| (key.to_owned(), 0)));
            for row in rows {
                let taken = u32::try_from(row.taken).unwrap_or(u32::MAX);
                known.insert(row.key, taken);
            }
        }
        Ok(())
    }

    async fn learn_accounts(
        &mut self,
        conn: &mut PgConnection,
        accounts: BTreeSet<&str>,
    ) -> Result<(), sqlx::Error> {
        let unknown = accounts
            .into_iter()
            .filter(|it| !self.holds.contains_key(*it));
        let unknown: Vec<&str> = unknown.collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let held = facts::held(conn, &unknown).await?;
        let free = unknown
            .into_iter()
            .map(|account| (account.to_owned(), None));
        self.holds.extend(free);
        let held = held.into_iter().map(|row| (row.account.clone(), Some(row)));
        self.holds.extend(held);
        Ok(())
    }

    async fn learn_budgets(
        &mut self,
        conn: &mut PgConnection,
        drawn: BTreeSet<(&str, Option<&str>)>,
    ) -> Result<(), sqlx::Error> {
        let unnamed = drawn
            .iter()
            .filter(|(kind, _)| self.named_budget(kind).is_none());
        let own: BTreeSet<&str> = unnamed.filter_map(|(_, account)| *account).collect();
        self.learn_own_budgets(&mut *conn, own).await?;
        let mut budgets = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        for (kind, account) in drawn {
            let Some(budget) = self.budget_of(kind, account).map(str::to_owned) else {
                continue;
            };
            let account = account.unwrap_or(NO_ACCOUNT);
            if self.asked.insert((budget.clone(), account.to_owned())) {
                budgets.insert(budget);
                accounts.insert(account);
            }
        }
        if budgets.is_empty() {
            return Ok(());
        }
        let budgets: Vec<&str> = budgets.iter().map(String::as_str).collect();
        let accounts: Vec<&str> = accounts.into_iter().collect();
        let dry = facts::dry(conn, &budgets, &accounts).await?;
        self.dry.extend(dry);
        Ok(())
    }

    async fn learn_own_budgets(
        &mut self,
        conn: &mut PgConnection,
        accounts: BTreeSet<&str>,
    ) -> Result<(), sqlx::Error> {
        let unknown = accounts
            .into_iter()
            .filter(|it| !self.own_budgets.contains_key(*it));
        let unknown: Vec<&str> = unknown.collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let found = facts::own_budgets(conn, &unknown).await?;
        let none = unknown
            .into_iter()
            .map(|account| (account.to_owned(), None));
        self.own_budgets.extend(none);
        let found = found.into_iter().map(|row| (row.account, Some(row.budget)));
        self.own_budgets.extend(found);
        Ok(())
    }
}
