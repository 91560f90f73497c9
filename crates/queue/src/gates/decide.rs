//! The predicate: which of the jobs that a claim looks at may start, and what keeps the others. Pure: what it goes by was
//! read before.

use std::collections::HashMap;

use uuid::Uuid;

use super::{facts::Facts, note::Note};

/// A ready job that is next to start, unless something keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) key: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) priority: i16,
    /// Whose turn it takes, where its queue is fair.
    pub(crate) line: Option<String>,
    /// What is noted on it.
    pub(crate) parked: Option<Note>,
}

/// What becomes of candidates, by their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Those that start, in their order.
    pub(crate) start: Vec<usize>,
    /// Those that something keeps on which no such note is yet.
    pub(crate) park: Vec<(usize, Note)>,
}

/// Goes through candidates in the order in which they are to start, until so many do.
pub(crate) fn decide(candidates: &[Candidate], facts: &Facts, room: usize) -> Decision {
    let mut decision = Decision::default();
    let mut starting = Starting::default();
    for (place, candidate) in candidates.iter().enumerate() {
        if decision.start.len() >= room {
            break;
        }
        match what_keeps(candidate, facts, &starting) {
            None => {
                starting.add(candidate);
                decision.start.push(place);
            }
            Some(note) if candidate.parked.as_ref() != Some(&note) => {
                decision.park.push((place, note));
            }
            Some(_) => {}
        }
    }
    decision
}

/// Jobs that start before a candidate, by kind and key.
#[derive(Debug, Default)]
pub(crate) struct Starting<'a>(HashMap<(&'a str, &'a str), u32>);

impl<'a> Starting<'a> {
    pub(crate) fn add(&mut self, candidate: &'a Candidate) {
        if let Some(key) = &candidate.key {
            let key = (candidate.kind.as_str(), key.as_str());
            *self.0.entry(key).or_default() += 1;
        }
    }

    pub(crate) fn with(&self, kind: &str, key: &str) -> u32 {
        self.0.get(&(kind, key)).copied().unwrap_or(0)
    }
}

/// What keeps a job whose queue would let it start: the first of the gates that are its own.
pub(crate) fn what_keeps(
    candidate: &Candidate,
    facts: &Facts,
    starting: &Starting<'_>,
) -> Option<Note> {
    if let Some(account) = &candidate.account
        && facts.hold_of(account).is_some()
    {
        return Some(Note::AccountHeld {
            account: account.clone(),
        });
    }
    let account = candidate.account.as_deref();
    if let Some(budget) = facts.budget_of(&candidate.kind, account)
        && facts.dry(budget, account, candidate.priority).is_some()
    {
        return Some(Note::Budget {
            kind: candidate.kind.clone(),
            budget: budget.to_owned(),
            account: candidate.account.clone(),
        });
    }
    let rule = facts.rule_of(&candidate.kind)?;
    let (places, key) = rule.places.zip(candidate.key.as_ref())?;
    let taken = facts.taken(&candidate.kind, key) + starting.with(&candidate.kind, key);
    (taken >= places).then(|| Note::KeyLimit {
        kind: candidate.kind.clone(),
        key: key.clone(),
    })
}
