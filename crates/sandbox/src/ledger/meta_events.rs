//! The conversion events Meta took. An event is known by its dataset, its `event_id` and its
//! `event_name` for 48 hours: sent again within that time it counts up, later it is a new one.

use std::collections::HashMap;

use chrono::TimeDelta;

use super::{entries::MetaEvent, shelf::Shelf};

/// How long an event is recognised when it is sent again.
const RECOGNISED_FOR: TimeDelta = TimeDelta::hours(48);
/// What an event's entry takes beside its JSON, roughly.
const ENTRY_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct MetaEvents {
    shelf: Shelf<MetaEvent>,
    known: HashMap<Key, u64>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    dataset: String,
    event_id: String,
    event_name: String,
}

impl MetaEvents {
    pub(super) fn add(&mut self, event: MetaEvent) {
        let key = key(&event);
        if let Some(key) = &key
            && let Some(number) = self.known.get(key)
            && let Some(first) = self.shelf.entry_mut(*number)
            && event.received_at - first.received_at <= RECOGNISED_FOR
        {
            first.count += 1;
            return;
        }

        let size_bytes = ENTRY_BYTES + event.event.to_string().len();
        let pushed = self.shelf.push(event, size_bytes);
        if let Some(key) = key {
            self.known.insert(key, pushed.number);
        }
        self.forget(&pushed.dropped);
    }

    pub(super) fn newest(&self, most: usize) -> Vec<MetaEvent> {
        self.shelf.newest(most)
    }

    pub(super) fn total(&self) -> u64 {
        self.shelf.total()
    }

    /// Drops what pointed to entries that are gone; a key may point to a newer entry of the same
    /// event.
    fn forget(&mut self, dropped: &[MetaEvent]) {
        for event in dropped {
            if let Some(key) = key(event)
                && let Some(number) = self.known.get(&key)
                && self.shelf.entry_mut(*number).is_none()
            {
                self.known.remove(&key);
            }
        }
    }
}

fn key(event: &MetaEvent) -> Option<Key> {
    Some(Key {
        dataset: event.dataset.clone(),
        event_id: event.event_id.clone()?,
        event_name: event.event_name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::json;

    use super::*;

    fn event(event_id: Option<&str>, received_at: DateTime<Utc>) -> MetaEvent {
        MetaEvent {
            dataset: "1".to_owned(),
            event_id: event_id.map(str::to_owned),
            event_name: "Purchase".to_owned(),
            count: 1,
            request: 0,
            received_at,
            test_event_code: None,
            event: json!({}),
        }
    }

    #[test]
    fn an_event_sent_again_within_48_hours_counts_up() {
        let mut events = MetaEvents::default();
        let start = DateTime::UNIX_EPOCH;

        events.add(event(Some("order-1"), start));
        events.add(event(Some("order-1"), start + RECOGNISED_FOR));

        let kept = events.newest(usize::MAX);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].count, 2);
    }

    #[test]
    fn an_event_sent_again_after_48_hours_is_a_new_one() {
        let mut events = MetaEvents::default();
        let start = DateTime::UNIX_EPOCH;

        events.add(event(Some("order-1"), start));
        events.add(event(
            Some("order-1"),
            start + RECOGNISED_FOR + TimeDelta::seconds(1),
        ));

        assert_eq!(events.newest(usize::MAX).len(), 2);
    }

    #[test]
    fn events_without_an_id_are_never_recognised() {
        let mut events = MetaEvents::default();

        events.add(event(None, DateTime::UNIX_EPOCH));
        events.add(event(None, DateTime::UNIX_EPOCH));

        assert_eq!(events.total(), 2);
    }
}
