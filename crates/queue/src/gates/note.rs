//! What keeps a job, as it is noted on jobs that a claim met and could not start.

use super::Gate;

/// What keeps a job, and for what: jobs with the same note are kept and let go together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Note {
    /// As many attempts with this key run as may.
    KeyLimit { kind: String, key: String },
    /// Nothing is left of the budget that the job draws on.
    Budget {
        kind: String,
        budget: String,
        account: Option<String>,
    },
    /// The account is held.
    AccountHeld { account: String },
}

impl Note {
    /// Which gate it is.
    pub(crate) fn gate(&self) -> Gate {
        match self {
            Self::KeyLimit { .. } => Gate::KeyLimit,
            Self::Budget { .. } => Gate::Budget,
            Self::AccountHeld { .. } => Gate::AccountHeld,
        }
    }

    /// Of which kind the jobs are on which it is; `None`: of any.
    pub(crate) fn kind(&self) -> Option<&str> {
        match self {
            Self::KeyLimit { kind, .. } | Self::Budget { kind, .. } => Some(kind),
            Self::AccountHeld { .. } => None,
        }
    }

    /// What it is kept for, as it is stored. Names of kinds and budgets have no spaces in them.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::KeyLimit { kind, key } => format!("{kind} {key}"),
            Self::Budget {
                kind,
                budget,
                account: None,
            } => format!("{budget} {kind}"),
            Self::Budget {
                kind,
                budget,
                account: Some(account),
            } => format!("{budget} {kind} {account}"),
            Self::AccountHeld { account } => account.clone(),
        }
    }

    /// A note that was stored; `None` for one that nobody here understands.
    pub(crate) fn read(gate: &str, what: &str) -> Option<Self> {
        let note = if gate == Gate::KeyLimit.as_str() {
            let (kind, key) = what.split_once(' ')?;
            Self::KeyLimit {
                kind: kind.to_owned(),
                key: key.to_owned(),
            }
        } else if gate == Gate::Budget.as_str() {
            let (budget, rest) = what.split_once(' ')?;
            let (kind, account) = match rest.split_once(' ') {
                Some((kind, account)) => (kind, Some(account.to_owned())),
                None => (rest, None),
            };
            Self::Budget {
                kind: kind.to_owned(),
                budget: budget.to_owned(),
                account,
            }
        } else if gate == Gate::AccountHeld.as_str() {
            Self::AccountHeld {
                account: what.to_owned(),
            }
        } else {
            return None;
        };
        Some(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_stored_whatever_is_in_its_names() {
        let kind = "sync.account".to_owned();
        let budget = "meta".to_owned();
        for name in ["act 1", " ", "7", "a  b "] {
            let name = name.to_owned();
            let notes = [
                Note::KeyLimit {
                    kind: kind.clone(),
                    key: name.clone(),
                },
                Note::Budget {
                    kind: kind.clone(),
                    budget: budget.clone(),
                    account: Some(name.clone()),
                },
                Note::Budget {
                    kind: kind.clone(),
                    budget: budget.clone(),
                    account: None,
                },
                Note::AccountHeld { account: name },
            ];

            for note in notes {
                let read = Note::read(note.gate().as_str(), &note.what());

                assert_eq!(read, Some(note));
            }
        }
    }

    #[test]
    fn a_gate_that_is_not_known_is_no_note() {
        assert_eq!(Note::read("weather", "rain"), None);
    }
}
