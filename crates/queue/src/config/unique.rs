//! `unique = { … }`: at most one job of a kind with the same values in some fields of its payload.

use serde_json::{Value, json};
use toml::{Spanned, de::DeValue};

use super::{
    field::field,
    section::Section,
    shape::{Place, Shape, choice, list, schema_of_table},
};
use crate::job::{JobState, OnConflict};

/// Most fields that make up one key.
const MAX_FIELDS: usize = 16;

/// The states in which a job can hold its key: finished jobs hold none.
const STATES: &[(&str, JobState)] = &[
    (JobState::Scheduled.as_str(), JobState::Scheduled),
    (JobState::Ready.as_str(), JobState::Ready),
    (JobState::Running.as_str(), JobState::Running),
    (JobState::Retrying.as_str(), JobState::Retrying),
];

/// The states without which a job could wait beside another one that holds its key.
const WAITING: [JobState; 3] = [JobState::Scheduled, JobState::Ready, JobState::Retrying];

const CONFLICTS: &[(&str, OnConflict)] = &[
    (OnConflict::Keep.as_str(), OnConflict::Keep),
    (OnConflict::Replace.as_str(), OnConflict::Replace),
    (OnConflict::Reject.as_str(), OnConflict::Reject),
    (OnConflict::OneBehind.as_str(), OnConflict::OneBehind),
];

/// At most one job of a kind with the same values in these fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueRule {
    /// Fields of the payload, 1 to 16: a name at the top level, or a JSON Pointer.
    pub fields: Vec<String>,
    /// The states in which a job holds its key; `scheduled`, `ready` and `retrying` are among them.
    pub states: Vec<JobState>,
    /// What happens when the key is taken.
    pub on_conflict: OnConflict,
}

impl UniqueRule {
    /// One job at a time until it is done: those that come meanwhile are the same.
    pub(super) fn until_done(fields: &[&str]) -> Self {
        Self {
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            states: STATES.iter().map(|(_, state)| *state).collect(),
            on_conflict: OnConflict::Keep,
        }
    }
}

/// `{ fields = […], while = […], on_conflict = "keep" }`.
pub(super) struct UniqueShape;

impl Shape for UniqueShape {
    type Value = UniqueRule;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<UniqueRule> {
        const EXPECTED: &str = "a table such as { fields = [\"account_id\"] }";
        place.table(EXPECTED, found, read_rule)
    }

    fn show(&self, value: &UniqueRule) -> Value {
        let states: Vec<&str> = value.states.iter().map(|state| state.as_str()).collect();
        json!({
            "fields": value.fields,
            "while": states,
            "on_conflict": value.on_conflict.as_str(),
        })
    }

    fn schema(&self) -> Value {
        schema_of_table(read_rule)
    }
}

fn read_rule(section: &mut Section<'_>) -> Option<UniqueRule> {
    let fields = section
        .key(
            "fields",
            "Payload fields whose values make up the key, 1 to 16.",
        )
        .required(list(field(), 1..=MAX_FIELDS));
    let states = section
        .key("while", "The states in which a job holds its key.")
        .or(
            list(choice(STATES), 1..=STATES.len()),
            STATES.iter().map(|(_, state)| *state).collect(),
        );
    let on_conflict = section
        .key("on_conflict", "What happens when the key is taken.")
        .or(choice(CONFLICTS), OnConflict::Keep);

    let missing: Vec<&str> = WAITING
        .iter()
        .filter(|state| !states.contains(state))
        .map(|state| state.as_str())
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        section.refuse(
            "while",
            format!("lacks {missing}: a job in such a state could not take its key back"),
        );
    }
    Some(UniqueRule {
        fields: fields?,
        states,
        on_conflict,
    })
}
