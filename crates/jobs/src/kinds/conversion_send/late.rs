//! Which payloads have come too late: those of which no event is young enough for its destination any more. They are refused
//! when they are enqueued and when they are replayed; an event that grows too old on its way is not sent.

use chrono::{DateTime, TimeDelta, Utc};
use marketing::conversions::{Destination, oldest_days};
use queue::PayloadProblem;
use serde::Deserialize;
use serde_json::Value;

/// What is wrong with the times of a payload's events; empty where one of them may still be sent.
pub(super) fn check(payload: &Value, now: DateTime<Utc>) -> Vec<PayloadProblem> {
    let destination = payload.get("destination").map(Destination::deserialize);
    let Some(Ok(destination)) = destination else {
        return Vec::new();
    };
    let one = payload.get("event").filter(|event| event.is_object());
    let many = payload.get("events").and_then(Value::as_array);
    let events: Vec<(String, &Value)> = match (one, many) {
        (Some(event), _) => vec![("/event/event_time".to_owned(), event)],
        (None, Some(events)) => {
            let events = events.iter().enumerate();
            events
                .map(|(place, event)| (format!("/events/{place}/event_time"), event))
                .collect()
        }
        (None, None) => return Vec::new(),
    };
    let mut problems = Vec::with_capacity(events.len());
    for (pointer, event) in events {
        match days_too_late(event, destination, now) {
            Some(days) => problems.push(PayloadProblem {
                pointer,
                message: format!(
                    "is more than {days} days ago: {} takes the event no more",
                    destination.as_str()
                ),
            }),
            // Its batch mates are told to be expired in the result.
            None => return Vec::new(),
        }
    }
    problems
}

/// The longest age in days that the event is older than; `None`: it is younger.
fn days_too_late(event: &Value, destination: Destination, now: DateTime<Utc>) -> Option<i64> {
    let time = event.get("event_time")?.as_i64()?;
    let source = event.get("action_source").and_then(Value::as_str);
    let days = oldest_days(destination, source == Some("physical_store"));
    let age = now.timestamp().saturating_sub(time);
    (age > TimeDelta::days(days).num_seconds()).then_some(days)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: i64 = 86_400;

    fn payload(destination: &str, ages: &[(i64, &str)]) -> (Value, DateTime<Utc>) {
        let now = Utc::now();
        let events: Vec<Value> = ages
            .iter()
            .map(|(age, source)| json!({"event_time": now.timestamp() - age, "action_source": source}))
            .collect();
        (json!({"destination": destination, "events": events}), now)
    }

    fn is_late(destination: &str, ages: &[(i64, &str)]) -> bool {
        let (payload, now) = payload(destination, ages);
        !check(&payload, now).is_empty()
    }

    // Fails when an event beyond its destination's window is accepted or replayed.
    #[test]
    fn each_destination_has_its_window() {
        for (destination, source, days) in [
            ("meta", "website", 7),
            ("meta", "physical_store", 62),
            ("tiktok", "website", 7),
            ("google_ads", "website", 90),
            ("linkedin", "other", 90),
            ("x", "website", 90),
        ] {
            assert!(
                !is_late(destination, &[(days * DAY, source)]),
                "{destination}"
            );
            assert!(
                is_late(destination, &[(days * DAY + 1, source)]),
                "{destination}"
            );
        }
    }

    #[test]
    fn one_event_that_is_young_enough_lets_its_mates_in() {
        assert!(!is_late("meta", &[(8 * DAY, "website"), (60, "website")]));
        assert!(is_late(
            "meta",
            &[(8 * DAY, "website"), (9 * DAY, "website")]
        ));
    }

    #[test]
    fn each_late_event_is_named() {
        let now = Utc::now();
        let event = json!({"event_time": now.timestamp() - 8 * DAY, "action_source": "website"});
        let payload = json!({"destination": "meta", "event": event});

        let problems = check(&payload, now);

        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].pointer, "/event/event_time");
        assert!(check(&json!({"destination": "nobody"}), now).is_empty());
    }
}
