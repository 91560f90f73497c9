//! `[kinds."…".on]`: what a failure of each class leads to.

use std::time::Duration;

use serde_json::{Value, json};
use toml::{Spanned, de::DeValue};

use super::{
    key::Given,
    section::Section,
    shape::{Place, Shape, choice, format_duration, schema_of_table, time},
};
use crate::job::ErrorClass;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The longest wait where nothing else is said.
const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(2 * 3_600);

const WAIT: Action = Action::Wait {
    max: DEFAULT_MAX_WAIT,
};

const WORDS: &[(&str, Word)] = &[
    ("retry", Word::Retry),
    ("wait", Word::Wait),
    ("hold_account", Word::HoldAccount),
    ("dead", Word::Dead),
];

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Another attempt after the backoff, while attempts are left.
    Retry,
    /// Another attempt after what `Retry-After` says, or the backoff; uses up no attempt.
    Wait {
        /// No wait is longer than this: one second to one day.
        max: Duration,
    },
    /// The account's jobs wait until it is connected again; where there is no account, as [`Action::Dead`].
    HoldAccount,
    /// No further attempt.
    Dead,
}

/// What a failure of each class leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassActions {
    transient: Action,
    rate_limited: Action,
    auth_expired: Action,
    permission: Action,
    invalid: Action,
    too_large: Action,
    config: Action,
    timeout: Action,
    panic: Action,
    lost: Action,
    internal: Action,
}

impl ClassActions {
    pub(super) const fn built_in() -> Self {
        Self {
            transient: Action::Retry,
            rate_limited: WAIT,
            auth_expired: Action::HoldAccount,
            permission: Action::Dead,
            invalid: Action::Dead,
            too_large: Action::Dead,
            config: WAIT,
            timeout: Action::Retry,
            panic: Action::Retry,
            lost: Action::Retry,
            internal: Action::Retry,
        }
    }

    /// For kinds that call an upstream app's own endpoint: its 401 is a job's matter, nothing to pause others for.
    pub(super) const fn of_endpoint() -> Self {
        Self {
            config: Action::Retry,
            ..Self::built_in()
        }
    }

    /// What a failure of this class leads to.
    #[must_use]
    pub fn action(&self, class: ErrorClass) -> Action {
        match class {
            ErrorClass::Transient => self.transient,
            ErrorClass::RateLimited => self.rate_limited,
            ErrorClass::AuthExpired => self.auth_expired,
            ErrorClass::Permission => self.permission,
            ErrorClass::Invalid => self.invalid,
            ErrorClass::TooLarge => self.too_large,
            ErrorClass::Config => self.config,
            ErrorClass::Timeout => self.timeout,
            ErrorClass::Panic => self.panic,
            ErrorClass::Lost => self.lost,
            ErrorClass::Internal => self.internal,
        }
    }

    pub(super) fn read(section: &mut Section<'_>, built_in: &Self) -> Self {
        let mut on = |class: ErrorClass, doc: &'static str| {
            let below = Given::built_in(built_in.action(class));
            section
                .key(class.as_str(), doc)
                .inherit(ActionShape, &below)
                .value
        };
        Self {
            transient: on(ErrorClass::Transient, "Likely to pass by itself."),
            rate_limited: on(ErrorClass::RateLimited, "A limit of the other side."),
            auth_expired: on(ErrorClass::AuthExpired, "The account's token is spent."),
            permission: on(
                ErrorClass::Permission,
                "The token is fine, the right is missing.",
            ),
            invalid: on(ErrorClass::Invalid, "The input can never work."),
            too_large: on(
                ErrorClass::TooLarge,
                "Asked for more than is given at once.",
            ),
            config: on(ErrorClass::Config, "Our own secret or set-up is wrong."),
            timeout: on(ErrorClass::Timeout, "The attempt took longer than it may."),
            panic: on(ErrorClass::Panic, "The handler panicked."),
            lost: on(ErrorClass::Lost, "The worker died or lost its lease."),
            internal: on(ErrorClass::Internal, "A fault of Millpond itself."),
        }
    }
}

/// `{ action = "wait", max = "2h" }`.
struct ActionShape;

impl Shape for ActionShape {
    type Value = Action;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Action> {
        place.table("a table such as { action = \"dead\" }", found, read_action)
    }

    fn show(&self, value: &Action) -> Value {
        match value {
            Action::Retry => json!({ "action": "retry" }),
            Action::Wait { max } => json!({ "action": "wait", "max": format_duration(*max) }),
            Action::HoldAccount => json!({ "action": "hold_account" }),
            Action::Dead => json!({ "action": "dead" }),
        }
    }

    fn schema(&self) -> Value {
        schema_of_table(read_action)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Retry,
    Wait,
    HoldAccount,
    Dead,
}

fn read_action(section: &mut Section<'_>) -> Option<Action> {
    let word = section
        .key("action", "What such a failure leads to.")
        .required(choice(WORDS));
    let max = section
        .key("max", "The longest wait, 1s to 24h; for wait alone.")
        .or(time(SECOND..=DAY), DEFAULT_MAX_WAIT);

    let word = word?;
    if word != Word::Wait && section.has("max") {
        section.refuse("max", "has a meaning with action = \"wait\" alone");
    }
    Some(match word {
        Word::Retry => Action::Retry,
        Word::Wait => Action::Wait { max },
        Word::HoldAccount => Action::HoldAccount,
        Word::Dead => Action::Dead,
    })
}
