//! The keys that stored secrets need. A process without one of them, or with another key under its id, would fail at the
//! first token that it uses, so that it does not start, and `doctor` says so too.

use marketing::accounts::{Accounts, AccountsError, KeyUse, WrongKey};
use queue::{DatabaseError, Finding, Queue, Severity, config::Config};

/// What is looked at.
const CHECK: &str = "secrets";

/// Stored secrets need keys that are not configured, or that are other ones; a line for each.
#[derive(Debug, thiserror::Error)]
#[error("stored secrets do not open with MILLPOND_ENCRYPTION_KEYS:{}", listed(.0))]
pub(crate) struct MissingKeys(Vec<String>);

fn listed(missing: &[String]) -> String {
    let lines = missing.iter().map(|line| format!("\n  {line}"));
    lines.collect()
}

fn told(key: &KeyUse) -> String {
    let values = match key.values {
        1 => "1 secret".to_owned(),
        values => format!("{values} secrets"),
    };
    match &key.key_id {
        Some(id) => format!(
            "{values} under the key {id:?}, which it does not have: put it back at the end of the list"
        ),
        None => format!(
            "{values} in a form that this release does not know: `millpond secrets verify` names them"
        ),
    }
}

fn told_of_another(id: &str) -> String {
    format!(
        "the secrets under the key {id:?}, which are not sealed under the key that has this id here: give it back its own"
    )
}

/// What is wrong with the keys, a line for each of them.
struct Wrong {
    /// What no process starts with.
    keys: Vec<String>,
    /// Where the one value under a key does not open: either of the two may be wrong, and accounts under other keys can be used.
    doubtful: Vec<String>,
}

impl Wrong {
    fn of(uses: &[KeyUse], wrong: &[WrongKey]) -> Self {
        let missing = uses.iter().filter(|key| !key.is_known).map(told);
        let (single, several): (Vec<&WrongKey>, Vec<&WrongKey>) =
            wrong.iter().partition(|key| key.values == 1);
        let of_another = several.iter().map(|key| told_of_another(&key.key_id));
        let doubtful = single.iter().map(|key| told_of_one(&key.key_id));
        Self {
            keys: missing.chain(of_another).collect(),
            doubtful: doubtful.collect(),
        }
    }
}

fn told_of_one(id: &str) -> String {
    format!(
        "the only secret under the key {id:?} does not open: it was changed, or is not sealed under the key that has this id here"
    )
}

/// What it means for payloads that this process has no keys at all; `None` where it means nothing.
pub(crate) fn in_the_clear(config: &Config) -> Option<String> {
    let kinds: Vec<&str> = config.kinds_that_want_keys().collect();
    if kinds.is_empty() {
        return None;
    }
    Some(format!(
        "MILLPOND_ENCRYPTION_KEYS is not set: payloads of {} lie in the clear until they are sent, and are refused beside processes that have keys",
        kinds.join(", ")
    ))
}

/// Refuses to go on without a key that is needed.
pub(crate) async fn require(queue: &Queue, accounts: &Accounts) -> anyhow::Result<()> {
    let mut wrong = look_at(accounts).await?;
    wrong.keys.extend(of_payloads(queue).await?);
    for line in &wrong.doubtful {
        tracing::error!("{line}");
    }
    if wrong.keys.is_empty() {
        return Ok(());
    }
    Err(MissingKeys(wrong.keys).into())
}

/// What `doctor` finds.
pub(crate) async fn look(accounts: &Accounts) -> Vec<Finding> {
    let found = |severity, detail: String, why, remedy: &str| Finding {
        severity,
        check: CHECK,
        detail,
        why,
        remedy: remedy.to_owned(),
    };
    match look_at(accounts).await {
        Ok(wrong) if wrong.keys.is_empty() && wrong.doubtful.is_empty() => {
            let detail = "the keys of all stored secrets are configured".to_owned();
            vec![found(Severity::Ok, detail, "", "")]
        }
        Ok(wrong) => {
            let keys = wrong.keys.into_iter().map(|line| {
                found(
                    Severity::Error,
                    line,
                    "no process starts, since no token of these accounts could be used",
                    "put the key back into MILLPOND_ENCRYPTION_KEYS, or connect the accounts again",
                )
            });
            let doubtful = wrong.doubtful.into_iter().map(|line| {
                found(
                    Severity::Error,
                    line,
                    "the account that it belongs to cannot be used; `millpond secrets verify` names its place",
                    "put the key back into MILLPOND_ENCRYPTION_KEYS, or connect the account again",
                )
            });
            keys.chain(doubtful).collect()
        }
        Err(error) => vec![found(
            Severity::Error,
            queue::error_chain(&error),
            "this could not be looked at",
            "give the role of DATABASE_URL the rights of the role that ran `millpond migrate`, and run this again",
        )],
    }
}

/// What `doctor` finds about payloads that lie encrypted.
pub(crate) async fn look_at_payloads(queue: &Queue) -> Vec<Finding> {
    let found = |severity, detail: String, why, remedy: &str| Finding {
        severity,
        check: "payloads",
        detail,
        why,
        remedy: remedy.to_owned(),
    };
    match of_payloads(queue).await {
        Ok(missing) if missing.is_empty() => {
            let detail = "the keys of all encrypted payloads are configured".to_owned();
            vec![found(Severity::Ok, detail, "", "")]
        }
        Ok(missing) => {
            let lines = missing.into_iter().map(|line| {
                found(
                    Severity::Error,
                    line,
                    "no process starts, since jobs whose payloads lie under it could not run",
                    "put the key back at the end of MILLPOND_ENCRYPTION_KEYS, and run `millpond secrets rotate` before it is taken out",
                )
            });
            lines.collect()
        }
        Err(error) => vec![found(
            Severity::Error,
            queue::error_chain(&error),
            "this could not be looked at",
            "give the role of DATABASE_URL the rights of the role that ran `millpond migrate`, and run this again",
        )],
    }
}

async fn of_payloads(queue: &Queue) -> Result<Vec<String>, DatabaseError> {
    let missing = queue.missing_payload_keys().await?;
    let lines = missing.iter().map(|id| {
        format!(
            "payloads of jobs under the key {id:?}, which it does not have: put it back at the end of the list"
        )
    });
    Ok(lines.collect())
}

async fn look_at(accounts: &Accounts) -> Result<Wrong, AccountsError> {
    let uses = accounts.keys_in_use().await?;
    let wrong = accounts.wrong_keys().await?;
    Ok(Wrong::of(&uses, &wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fails when one value that was changed keeps every process from starting, or is not told of.
    #[test]
    fn a_single_value_that_does_not_open_is_told_and_keeps_nobody_from_starting() {
        let wrong = |key_id: &str, values| WrongKey {
            key_id: key_id.to_owned(),
            values,
        };

        let found = Wrong::of(&[], &[wrong("2025", 1), wrong("2026", 2)]);

        assert_eq!(found.keys, [told_of_another("2026")]);
        assert_eq!(found.doubtful, [told_of_one("2025")]);
    }

    #[test]
    fn every_missing_key_is_named_with_what_needs_it() {
        let key = |id: Option<&str>, values| KeyUse {
            key_id: id.map(str::to_owned),
            values,
            is_known: false,
        };

        let lines = [key(Some("2025"), 17), key(None, 1)];
        let mut lines: Vec<String> = lines.iter().map(told).collect();
        lines.push(told_of_another("2026"));
        let told = MissingKeys(lines).to_string();

        assert!(told.starts_with("stored secrets do not open with MILLPOND_ENCRYPTION_KEYS:\n"));
        assert!(
            told.contains("\n  17 secrets under the key \"2025\""),
            "{told}"
        );
        assert!(told.contains("\n  1 secret in a form"), "{told}");
        assert!(
            told.contains("\n  the secrets under the key \"2026\""),
            "{told}"
        );
    }
}
