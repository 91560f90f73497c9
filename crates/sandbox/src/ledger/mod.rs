//! Everything that arrived, so that tests and people can look at it: calls to platforms, Meta
//! events with how often each was sent, calls to receivers, and mails. Bounded: the newest entries
//! of each sort are kept, the totals count on.

mod conversions;
mod entries;
mod meta_events;
mod shelf;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use entries::{
    Conversion, HookCall, LedgerSnapshot, Mail, MetaEvent, MetaRequest, ProviderCall, Totals,
};

pub(crate) use conversions::Processed;

use crate::world::Platform;
use conversions::Conversions;
use meta_events::MetaEvents;
use shelf::Shelf;

/// What a mail's entry takes beside its addresses, roughly; the same for a request's beside its
/// path.
const ENTRY_BYTES: usize = 256;

/// Everything that arrived. Cheap to ask for one sort; every answer is a copy.
#[derive(Default)]
pub struct Ledger {
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    meta_requests: Shelf<MetaRequest>,
    calls: Shelf<ProviderCall>,
    meta_events: MetaEvents,
    conversions: Conversions,
    hooks: Shelf<HookCall>,
    mails: Shelf<Mail>,
}

impl Ledger {
    /// The calls that reached the stand-in for Meta, answered or not, oldest first.
    #[must_use]
    pub fn meta_requests(&self) -> Vec<MetaRequest> {
        self.shelves().meta_requests.newest(usize::MAX)
    }

    /// The calls that reached the stand-ins for all platforms, answered or not, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<ProviderCall> {
        self.shelves().calls.newest(usize::MAX)
    }

    /// The conversion events that Meta took, oldest first; an event sent again counts up its first
    /// entry.
    #[must_use]
    pub fn meta_events(&self) -> Vec<MetaEvent> {
        self.shelves().meta_events.newest(usize::MAX)
    }

    /// The conversion events that the other platforms took, oldest first; one sent again counts up its first entry.
    #[must_use]
    pub fn conversions(&self) -> Vec<Conversion> {
        self.shelves().conversions.newest(usize::MAX)
    }

    /// The calls to receivers, whatever they were answered, oldest first.
    #[must_use]
    pub fn hooks(&self) -> Vec<HookCall> {
        self.shelves().hooks.newest(usize::MAX)
    }

    /// The mails that were kept, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shelves().mails.newest(usize::MAX)
    }

    /// How many of each sort arrived since the start or the last reset, the forgotten ones
    /// included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.shelves().totals()
    }

    /// The newest `most` entries of each sort, at one moment.
    #[must_use]
    pub fn snapshot(&self, most: usize) -> LedgerSnapshot {
        let shelves = self.shelves();
        LedgerSnapshot {
            totals: shelves.totals(),
            meta_requests: shelves.meta_requests.newest(most),
            calls: shelves.calls.newest(most),
            meta_events: shelves.meta_events.newest(most),
            conversions: shelves.conversions.newest(most),
            hooks: shelves.hooks.newest(most),
            mails: shelves.mails.newest(most),
        }
    }

    pub(crate) fn clear(&self) {
        *self.shelves() = Shelves::default();
    }

    /// Writes down a call and gives it its number, from 0: among Meta's if it is Meta's, else among
    /// all.
    pub(crate) fn add_call(&self, call: ProviderCall) -> u64 {
        let size_bytes = ENTRY_BYTES + call.path.len() + call.query.len();
        let mut shelves = self.shelves();
        let of_meta = (call.platform == Platform::Meta).then(|| {
            let request = MetaRequest {
                at: call.at,
                method: call.method.clone(),
                path: call.path.clone(),
                body_bytes: call.body_bytes,
                fault: call.fault,
            };
            shelves.meta_requests.push(request, size_bytes).number
        });
        let of_all = shelves.calls.push(call, size_bytes).number;
        of_meta.unwrap_or(of_all)
    }

    /// Writes down the events of one call, all or none of which were taken.
    pub(crate) fn add_meta_events(&self, events: Vec<MetaEvent>) {
        let mut shelves = self.shelves();
        for event in events {
            shelves.meta_events.add(event);
        }
    }

    /// Writes down an event of another platform. Tells whether it was there before.
    pub(crate) fn add_conversion(&self, event: Conversion) -> bool {
        self.shelves().conversions.add(event)
    }

    /// Keeps what became of a request, for whoever asks for it later.
    pub(crate) fn keep_processed(&self, request_id: String, processed: Processed) {
        self.shelves().conversions.keep(request_id, processed);
    }

    /// What became of a request.
    pub(crate) fn processed(&self, request_id: &str) -> Option<Processed> {
        self.shelves().conversions.processed(request_id)
    }

    pub(crate) fn add_hook(&self, call: HookCall) {
        let headers: usize = call
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let size_bytes = ENTRY_BYTES + call.body.len() + headers;
        self.shelves().hooks.push(call, size_bytes);
    }

    pub(crate) fn add_mail(&self, mail: Mail) {
        let recipients: usize = mail.to.iter().map(String::len).sum();
        let size_bytes = ENTRY_BYTES + mail.from.len() + recipients;
        self.shelves().mails.push(mail, size_bytes);
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn totals(&self) -> Totals {
        Totals {
            meta_requests: self.meta_requests.total(),
            calls: self.calls.total(),
            meta_events: self.meta_events.total(),
            conversions: self.conversions.total(),
            hooks: self.hooks.total(),
            mails: self.mails.total(),
        }
    }
}
