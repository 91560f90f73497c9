//! What differs between two texts, by the keys that they give: for the history of revisions.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::section::join;

/// Most keys that are named.
const MOST: usize = 200;

/// The keys that the two texts give different values, in order; those beyond 200 are left out. A text that is no TOML
/// gives none.
#[must_use]
pub fn changed_keys(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (given(old), given(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .take(MOST)
        .cloned()
        .collect()
}

/// Every key of a text with its value.
fn given(text: &str) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    if let Ok(document) = toml::from_str::<Table>(text) {
        collect("", document, &mut keys);
    }
    keys
}

fn collect(path: &str, table: Table, keys: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = join(path, &name);
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(&key, inner, keys),
            value => {
                keys.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_came_went_or_changed_are_named_and_comments_are_not() {
        let old = "# one\n[queues.sync]\nconcurrency = 8\nmax_ready = 10\n[lease]\nttl = \"60s\"\n";
        let new = "[lease]\nttl = \"60s\" # the same\n[queues.sync]\nconcurrency = 2\n\
                   [kinds.\"email.send\"]\nbackoff = { delays = [\"5s\"] }\n";

        let changed = changed_keys(old, new);

        assert_eq!(
            changed,
            [
                "kinds.\"email.send\".backoff.delays",
                "queues.sync.concurrency",
                "queues.sync.max_ready"
            ]
        );
    }

    #[test]
    fn a_section_without_keys_counts_too() {
        assert_eq!(changed_keys("", "[queues.extra]\n"), ["queues.extra"]);
        assert!(changed_keys("[http]\n", "[http]\n").is_empty());
    }
}
