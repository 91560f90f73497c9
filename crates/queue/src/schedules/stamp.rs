//! `scheduled_for`: every payload of a schedule's job says which tick it is for. Kinds that have no place for it, as
//! most do that refuse unknown members, are checked without it and do not see it.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::job::Source;

const MEMBER: &str = "scheduled_for";

/// The payload, an object, with the tick that its job is for.
pub(super) fn stamped(payload: &Value, tick: DateTime<Utc>) -> Box<RawValue> {
    let mut payload = payload.clone();
    if let Value::Object(members) = &mut payload {
        let tick = tick.to_rfc3339_opts(SecondsFormat::Secs, true);
        members.insert(MEMBER.to_owned(), Value::String(tick));
    }
    to_raw_value(&payload).expect("a JSON value is written as JSON")
}

/// Whether jobs from there may bear a stamp that their kind has no place for. A replay carries on what was stamped.
pub(crate) fn may_bear_one(source: Source) -> bool {
    matches!(source, Source::Schedule | Source::Replay)
}

/// Takes the stamp off a payload; tells whether it bore one.
pub(crate) fn take_off(payload: &mut Value) -> bool {
    payload
        .as_object_mut()
        .is_some_and(|members| members.remove(MEMBER).is_some())
}

/// The text of a payload without its stamp, everything else as it was sent; `None` where it bears none.
pub(crate) fn without(payload: &RawValue) -> Option<String> {
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(payload.get()).ok()?;
    members.remove(MEMBER)?;
    serde_json::to_string(&members).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tick() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_258_000, 0).expect("a time")
    }

    #[test]
    fn a_stamp_is_the_tick_in_utc_and_wins_over_what_the_payload_says() {
        let payload = json!({"mode": "full", "scheduled_for": "whenever"});

        let text = stamped(&payload, tick());

        assert_eq!(
            serde_json::from_str::<Value>(text.get()).ok(),
            Some(json!({"mode": "full", "scheduled_for": "2026-01-01T09:00:00Z"}))
        );
    }

    #[test]
    fn a_stamp_comes_off_and_leaves_numbers_as_they_were() {
        let raw = RawValue::from_string(
            r#"{"scheduled_for": "2026-01-01T09:00:00Z", "n": 123456789012345678901234567890}"#
                .to_owned(),
        )
        .expect("JSON");

        let plain = without(&raw);

        assert_eq!(
            plain.as_deref(),
            Some(r#"{"n":123456789012345678901234567890}"#)
        );
    }

    #[test]
    fn what_bears_no_stamp_is_left_alone() {
        for text in [r#"{"n": 1}"#, "[]", "7"] {
            let raw = RawValue::from_string(text.to_owned()).expect("JSON");
            let mut value: Value = serde_json::from_str(text).expect("JSON");

            assert_eq!(without(&raw), None, "{text}");
            assert!(!take_off(&mut value), "{text}");
        }
    }
}
