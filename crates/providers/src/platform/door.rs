//! The door by which every call to a platform leaves: a quota lets it out, and whoever keeps the quota and the log of
//! calls hears how it went.

use std::{any::Any, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::Platform;
use crate::error::Error;

/// Held while a call is under way.
pub type Pass = Box<dyn Any + Send>;

/// Lets calls out one by one and hears of each how it went.
pub trait Door: Send + Sync {
    /// Waits until a call of this weight may go out.
    ///
    /// # Errors
    /// [`Error::Postponed`] where none may for longer than is worth waiting.
    fn admit(&self, weight: u32) -> BoxFuture<'_, Result<Pass, Error>>;

    /// A call has ended. Returns at once.
    fn told(&self, record: CallRecord);
}

/// A call that has ended: no body, no token, no address with parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// Of which platform.
    pub platform: Platform,
    /// What was called, with placeholders for ids: `GET act_{id}/campaigns`.
    pub endpoint: &'static str,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status; `None`: no answer came.
    pub status: Option<u16>,
    /// The class of the failure, as in metrics; `None`: it succeeded.
    pub class: Option<&'static str>,
    /// What the platform's support asks for.
    pub request_id: Option<String>,
    /// What the platform said of its quotas; empty where it said nothing.
    pub usage: Usage,
}

/// What a platform says of its quotas with an answer, the worst of all that it names.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// How much of the quota is used, 0 to 1 and beyond.
    pub used_share: Option<f64>,
    /// How many calls are left.
    pub remaining: Option<u64>,
    /// How long until the quota is there again.
    pub resets_in: Option<Duration>,
}

/// A door that lets everything out and forgets it: for tools and tests that call without a quota.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenDoor;

impl Door for OpenDoor {
    fn admit(&self, _weight: u32) -> BoxFuture<'_, Result<Pass, Error>> {
        Box::pin(async { Ok::<Pass, Error>(Box::new(())) })
    }

    fn told(&self, _record: CallRecord) {}
}
