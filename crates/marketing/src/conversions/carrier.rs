//! What brings events to a destination: how it wants them, what it answers to each, and what it says later of those that it
//! only accepted.

use std::future::Future;

use chrono::{DateTime, Utc};
use providers::{
    Error as ProviderError,
    meta::conversions::{Event, Refused},
    platform::{Receipt, RequestOutcome},
};

/// Brings events to a destination.
pub(super) trait Carrier: Sync {
    /// An event in the form in which it is sent.
    type Ready: Send + Sync;

    /// For how many hours a repeat counts once after an event may have been delivered.
    fn dedupes_hours(&self) -> u32;

    /// Checks, normalises and hashes an event; beside it what is left out.
    fn prepare(
        &self,
        event: &Event,
        now: DateTime<Utc>,
    ) -> Result<(Self::Ready, Vec<String>), Refused>;

    /// Sends events and answers for each of them, in their order. Those with `true` have a request of their own.
    fn send(
        &self,
        events: Vec<(Self::Ready, bool)>,
    ) -> impl Future<Output = Vec<Result<Receipt, ProviderError>>> + Send;

    /// What became of a request of so many events that was only accepted.
    fn outcome(
        &self,
        request_id: &str,
        of: usize,
    ) -> impl Future<Output = Result<RequestOutcome, ProviderError>> + Send;
}
