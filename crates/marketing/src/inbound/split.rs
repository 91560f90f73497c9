//! A request of Meta's, split into its events, each with the key by which its copies are known.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::events::{id_of, time_of};
use crate::sync::storable;

/// Longest key that is kept as it is.
const LONGEST_KEY: usize = 200;
/// Most characters of a word of the platform's that are kept.
const LONGEST_WORD: usize = 200;
/// What is about no object, since it could not be read.
const UNREADABLE: &str = "unreadable";
/// Changes of an entry stand under these names: the first tells of its field itself.
const CHANGES: &str = "changes";
const MESSAGES: [&str; 2] = ["messaging", "standby"];

/// An event as it came. No `Debug`: it may be about a person.
pub(super) struct Change {
    pub(super) object: String,
    pub(super) entry_id: String,
    pub(super) field: String,
    pub(super) value: Value,
    pub(super) sent_at: Option<DateTime<Utc>>,
}

/// A request that was split.
pub(super) struct Split {
    /// Its events by their keys, each once.
    pub(super) changes: BTreeMap<String, Change>,
    /// Why it could not be read: a half of a character, for one, or too many documents in one another. It says where, and
    /// nothing of what stands there.
    pub(super) unreadable: Option<serde_json::Error>,
}

/// The events of a request. What cannot be read, and what has no event, is one event too: it was signed, so it is kept.
pub(super) fn split(body: &[u8]) -> Split {
    match serde_json::from_slice::<Value>(body) {
        Ok(document) => Split {
            changes: changes(document),
            unreadable: None,
        },
        Err(error) => {
            let value = Value::String(String::from_utf8_lossy(body).into_owned());
            Split {
                changes: BTreeMap::from([keyed(whole(UNREADABLE, value))]),
                unreadable: Some(error),
            }
        }
    }
}

fn changes(document: Value) -> BTreeMap<String, Change> {
    let object = word(document.get("object"));
    let mut changes = BTreeMap::new();
    for entry in document
        .get("entry")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        changes.extend(of_entry(&object, entry).into_iter().map(keyed));
    }
    if changes.is_empty() {
        changes.extend([keyed(whole(&object, document))]);
    }
    changes
}

fn whole(object: &str, value: Value) -> Change {
    Change {
        object: object.to_owned(),
        entry_id: String::new(),
        field: String::new(),
        value,
        sent_at: None,
    }
}

fn of_entry(object: &str, entry: &Value) -> Vec<Change> {
    let entry_id = entry.get("id").and_then(id_of).unwrap_or_default();
    let change = |field: String, value: Value| Change {
        object: object.to_owned(),
        entry_id: kept(&entry_id),
        field,
        value,
        sent_at: entry.get("time").and_then(time_of),
    };
    let list = |name: &str| {
        entry
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let of_all = others(entry, &["id", "time", CHANGES, MESSAGES[0], MESSAGES[1]]);
    let beside = |mut members: Map<String, Value>| {
        if !of_all.is_empty() {
            members.insert("_entry".to_owned(), Value::Object(of_all.clone()));
        }
        members
    };
    let mut changes: Vec<Change> = list(CHANGES)
        .map(|told| {
            let value = told.get("value").cloned().unwrap_or(Value::Null);
            let others = others(told, &["field", "value"]);
            change(word(told.get("field")), with(value, beside(others)))
        })
        .collect();
    for name in MESSAGES {
        let messages = list(name).map(|message| with(message.clone(), beside(Map::new())));
        changes.extend(messages.map(|message| change(name.to_owned(), message)));
    }
    // A change of the entry itself, as of permissions, in whatever other form.
    if changes.is_empty() {
        let rest = others(entry, &["id", "time", CHANGES]);
        changes.push(change(String::new(), Value::Object(rest)));
    }
    changes
}

/// Members that this release does not know of.
fn others(object: &Value, known: &[&str]) -> Map<String, Value> {
    let members = object.as_object().into_iter().flatten();
    let members = members.filter(|(name, _)| !known.contains(&name.as_str()));
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A value with what stood beside it.
fn with(value: Value, beside: Map<String, Value>) -> Value {
    match value {
        value if beside.is_empty() => value,
        Value::Object(mut members) => {
            members.insert("_beside".to_owned(), Value::Object(beside));
            Value::Object(members)
        }
        value => json!({ "_value": value, "_beside": beside }),
    }
}

fn keyed(change: Change) -> (String, Change) {
    let key = known_key(&change).map(|key| storable::text(&key).into_owned());
    let key = key.filter(|key| key.len() <= LONGEST_KEY);
    (key.unwrap_or_else(|| content_key(&change)), change)
}

/// The key that Meta's ids make; `None` where they do not tell one event from another.
fn known_key(change: &Change) -> Option<String> {
    let value = &change.value;
    let text = |name: &str| value.get(name)?.as_str();
    let id = |name: &str| value.get(name).and_then(id_of);
    // What is done once has its own id; what may be done again has its time beside it.
    let told_at = || id("created_time").or_else(|| Some(change.sent_at?.timestamp().to_string()));
    match (change.object.as_str(), change.field.as_str()) {
        (_, "leadgen") => Some(format!("leadgen:{}", id("leadgen_id")?)),
        ("instagram", "comments" | "live_comments") => Some(format!("comment:{}:add", id("id")?)),
        (_, "messaging" | "standby") => {
            let message = value.get("message")?;
            let mid = message.get("mid").and_then(id_of)?;
            // What takes a message back bears its id.
            let verb = match message.get("is_deleted") {
                Some(Value::Bool(true)) => ":remove",
                _ => "",
            };
            Some(format!("message:{}:{mid}{verb}", change.entry_id))
        }
        ("page", "feed") => {
            let (item, verb) = (text("item")?, text("verb")?);
            match item {
                "comment" if matches!(verb, "add" | "remove") => {
                    Some(format!("comment:{}:{verb}", id("comment_id")?))
                }
                "comment" => {
                    let sent_at = change.sent_at.map(|at| at.timestamp());
                    let at = sent_at.map(|at| at.to_string()).or_else(told_at)?;
                    Some(format!("comment:{}:{verb}:{at}", id("comment_id")?))
                }
                "reaction" | "like" => Some(format!(
                    "reaction:{}:{}:{}:{}:{verb}:{}",
                    id("post_id")?,
                    id("comment_id").unwrap_or_default(),
                    value.get("from")?.get("id").and_then(id_of)?,
                    text("reaction_type").unwrap_or(item),
                    told_at()?,
                )),
                "post" | "status" | "photo" | "video" | "share" => {
                    Some(format!("post:{}:{verb}:{}", id("post_id")?, told_at()?))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// The key of what is told by its content alone. When it was sent is no part of it, as a copy may be sent later, but of what
/// may be so again: rights that are taken back twice, and things that are in trouble twice. Members stand in the order of their
/// names.
fn content_key(change: &Change) -> String {
    let sent_at = match change.object.as_str() {
        "permissions" | "user" | "ad_account" => change.sent_at.map(|at| at.timestamp()),
        _ => None,
    };
    let content = json!([
        change.object,
        change.entry_id,
        change.field,
        change.value,
        sent_at
    ]);
    format!(
        "sha256:{}",
        hex::encode(Sha256::digest(content.to_string()))
    )
}

fn word(value: Option<&Value>) -> String {
    kept(value.and_then(Value::as_str).unwrap_or_default())
}

fn kept(text: &str) -> String {
    storable::text(text).chars().take(LONGEST_WORD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(body: &Value) -> Vec<String> {
        split(body.to_string().as_bytes())
            .changes
            .into_keys()
            .collect()
    }

    fn page(time: i64, changes: &Value) -> Value {
        json!({"object": "page", "entry": [{"id": "100000000000001", "time": time, "changes": changes}]})
    }

    fn feed(value: &Value) -> Value {
        json!({"field": "feed", "value": value})
    }

    #[test]
    fn a_batch_is_split_and_its_copies_are_one() {
        let lead =
            |id: u64| json!({"field": "leadgen", "value": {"leadgen_id": id, "page_id": "1"}});
        let body = json!({"object": "page", "entry": [
            {"id": 100_000_000_000_001_u64, "time": 1, "changes": [lead(1), lead(2)]},
            {"id": "2", "time": 2, "changes": [lead(1), lead(3)]},
        ]});

        let changes = split(body.to_string().as_bytes()).changes;

        let keys: Vec<&str> = changes.keys().map(String::as_str).collect();
        assert_eq!(keys, ["leadgen:1", "leadgen:2", "leadgen:3"]);
        assert_eq!(changes["leadgen:2"].entry_id, "100000000000001");
    }

    #[test]
    fn each_sort_of_event_has_its_key() {
        let comment = |verb: &str| {
            feed(&json!({"item": "comment", "verb": verb, "comment_id": "1_2", "created_time": 5}))
        };
        let like = feed(
            &json!({"item": "reaction", "verb": "add", "reaction_type": "love", "post_id": "1_1",
                                "from": {"id": "3"}, "created_time": 5}),
        );
        let post =
            feed(&json!({"item": "status", "verb": "add", "post_id": "1_9", "created_time": 5}));

        assert_eq!(
            keys(&page(9, &json!([comment("add")]))),
            ["comment:1_2:add"]
        );
        assert_eq!(
            keys(&page(9, &json!([comment("remove")]))),
            ["comment:1_2:remove"]
        );
        assert_eq!(
            keys(&page(9, &json!([comment("edited")]))),
            ["comment:1_2:edited:9"]
        );
        assert_eq!(
            keys(&page(9, &json!([like]))),
            ["reaction:1_1::3:love:add:5"]
        );
        assert_eq!(keys(&page(9, &json!([post]))), ["post:1_9:add:5"]);
    }

    // Fails when a copy that is sent again later counts as another event, or two events as one.
    #[test]
    fn what_has_no_id_is_known_by_its_content_whenever_it_is_sent() {
        let mention = |text: &str| json!([{"field": "mention", "value": {"b": 1, "a": text}}]);

        let first = keys(&page(1, &mention("x")));

        assert!(first[0].starts_with("sha256:"), "{first:?}");
        assert_eq!(keys(&page(2, &mention("x"))), first);
        assert_ne!(keys(&page(1, &mention("y"))), first);
    }

    // Fails when a right that was taken back, given again and taken back counts as taken back once.
    #[test]
    fn what_may_be_so_again_is_told_apart_by_its_time() {
        let revoked = |time: i64| {
            let changes = json!([{"field": "ads_read", "value": {"verb": "revoke"}}]);
            keys(
                &json!({"object": "permissions", "entry": [{"id": "7", "time": time, "changes": changes}]}),
            )
        };

        assert_eq!(revoked(1), revoked(1));
        assert_ne!(revoked(1), revoked(2));
    }

    #[test]
    fn nothing_that_was_signed_is_lost_or_panics() {
        for body in [
            "",
            "[]",
            "{}",
            "\"\u{0}\"",
            "{\"entry\":[{}]}",
            "{\"object\":\"page\",\"entry\":{}}",
            "no json \u{1}",
        ] {
            assert_eq!(split(body.as_bytes()).changes.len(), 1, "{body}");
        }
        assert_eq!(split(&[0xff, 0x00]).changes.len(), 1);
        let beside =
            json!({"field": "feed", "value": {"item": "x", "verb": "add"}, "is_test": true});
        let kept = split(page(1, &json!([beside])).to_string().as_bytes()).changes;
        let kept = kept.values().next().expect("an event");
        assert_eq!(kept.value["_beside"]["is_test"], true);
        let mut of_entry = page(1, &json!([{"field": "feed", "value": {"item": "x"}}]));
        of_entry["entry"][0]["uid"] = json!("7");
        let kept = split(of_entry.to_string().as_bytes()).changes;
        let kept = kept.values().next().expect("an event");
        assert_eq!(kept.value["_beside"]["_entry"], json!({"uid": "7"}));
    }

    // Fails when what takes a message back counts as a copy of the message, and is lost.
    #[test]
    fn a_message_that_is_taken_back_is_another_event() {
        let message = |message: Value| {
            keys(
                &json!({"object": "instagram", "entry": [{"id": "1", "messaging": [{"message": message}]}]}),
            )
        };

        assert_eq!(
            message(json!({"mid": "m_1", "text": "a"})),
            ["message:1:m_1"]
        );
        assert_eq!(
            message(json!({"mid": "m_1", "is_deleted": true})),
            ["message:1:m_1:remove"]
        );
    }

    #[test]
    fn a_key_that_could_not_be_stored_gives_way_to_one_that_can() {
        let long = json!([{"field": "leadgen", "value": {"leadgen_id": "9".repeat(4_000)}}]);

        assert!(keys(&page(1, &long))[0].starts_with("sha256:"));
    }
}
