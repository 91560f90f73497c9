//! The conversion events that the platforms but Meta took. An event is known by its platform, what it is counted under and its
//! id: sent again, it counts up. Also what became of requests that a platform answers for later.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::{entries::Conversion, shelf::Shelf};
use crate::world::Platform;

/// For how long TikTok recognises an event that is sent again.
const RECOGNISED_FOR: TimeDelta = TimeDelta::hours(48);
/// What an event's entry takes beside its JSON, roughly.
const ENTRY_BYTES: usize = 512;
/// Most requests whose outcome is kept.
const MOST_REQUESTS: usize = 10_000;

#[derive(Default)]
pub(super) struct Conversions {
    shelf: Shelf<Conversion>,
    known: HashMap<Key, u64>,
    requests: HashMap<String, Processed>,
    order: VecDeque<String>,
}

type Key = (Platform, String, String);

/// What became of a request that was only accepted.
#[derive(Debug, Clone)]
pub(crate) struct Processed {
    pub(crate) received_at: DateTime<Utc>,
    /// How many of its events were counted.
    pub(crate) counted: usize,
    /// Why the others were not: a reason for each.
    pub(crate) reasons: Vec<&'static str>,
}

impl Conversions {
    /// Tells whether the event was there before.
    pub(super) fn add(&mut self, event: Conversion) -> bool {
        let key = event
            .id
            .as_ref()
            .map(|id| (event.platform, event.dataset.clone(), id.clone()));
        if let Some(key) = &key
            && let Some(number) = self.known.get(key)
            && let Some(first) = self.shelf.entry_mut(*number)
            && first.is_test == event.is_test
            && (event.platform != Platform::TikTok
                || event.received_at - first.received_at <= RECOGNISED_FOR)
        {
            first.count += 1;
            return true;
        }
        let size_bytes = ENTRY_BYTES + event.event.to_string().len();
        let pushed = self.shelf.push(event, size_bytes);
        if let Some(key) = key {
            self.known.insert(key, pushed.number);
        }
        for gone in pushed.dropped {
            if let Some(id) = gone.id {
                self.known.remove(&(gone.platform, gone.dataset, id));
            }
        }
        false
    }

    pub(super) fn keep(&mut self, request_id: String, processed: Processed) {
        self.order.push_back(request_id.clone());
        self.requests.insert(request_id, processed);
        while self.order.len() > MOST_REQUESTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.requests.remove(&oldest);
        }
    }

    pub(super) fn processed(&self, request_id: &str) -> Option<Processed> {
        self.requests.get(request_id).cloned()
    }

    pub(super) fn newest(&self, most: usize) -> Vec<Conversion> {
        self.shelf.newest(most)
    }

    pub(super) fn total(&self) -> u64 {
        self.shelf.total()
    }
}
