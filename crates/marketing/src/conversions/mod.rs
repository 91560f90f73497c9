//! Conversion events on their way to a destination: each is checked, sent, and remembered by its own key, so that
//! neither a replay nor a second job sends it again. How Meta is called is the business of `providers`.

mod delivery;
mod fate;
mod ledger;
#[cfg(test)]
mod tests;

use queue::JobId;
use secrecy::SecretString;
use serde::Deserialize;

pub use delivery::deliver;
pub use fate::{Delivered, Fate, Reason, Refusal};
pub use providers::meta::conversions::Event;

/// Where conversion events can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// The Conversions API of Meta.
    Meta,
    /// Google Ads.
    GoogleAds,
    /// TikTok's Events API.
    Tiktok,
    /// LinkedIn's Conversions API.
    Linkedin,
    /// X.
    X,
}

impl Destination {
    /// The destination as payloads and tables call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::GoogleAds => "google_ads",
            Self::Tiktok => "tiktok",
            Self::Linkedin => "linkedin",
            Self::X => "x",
        }
    }
}

/// A data set of Meta, and how to write to it.
#[derive(Debug, Clone, Copy)]
pub struct Dataset<'a> {
    /// Whose events are written. What another tenant sent to the same data set is neither asked nor told.
    pub tenant: Option<&'a str>,
    /// Its id.
    pub id: &'a str,
    /// A token with the right to write to it.
    pub token: &'a SecretString,
    /// Events then show in Meta's test tool and are not counted.
    pub test_event_code: Option<&'a str>,
}

/// An event that a job asks to deliver.
#[derive(Debug)]
pub struct Pending {
    /// The job.
    pub job: JobId,
    /// What names the business fact for the destination: the same on every attempt and replay.
    pub event_id: String,
    /// What happened; its own `event_id` is not looked at.
    pub event: Event,
}
