//! Conversion events on their way to a destination: each is checked, sent, and remembered by its own key, so that
//! neither a replay nor a second job sends it again. How a destination is called is the business of `providers`.

mod carrier;
mod delivery;
mod discretion;
mod fate;
mod ledger;
mod of_meta;
mod of_platforms;
mod prune;
#[cfg(test)]
mod tests;

use providers::platform::Platform;
use queue::JobId;
use secrecy::SecretString;
use serde::Deserialize;

pub use delivery::{MetaAccount, deliver, deliver_to_platform, deliver_with_account};
pub use fate::{Delivered, Fate, Reason, Refusal};
pub use of_platforms::Outlet;
pub use providers::{meta::conversions::Event, platform::Via};
pub use prune::prune;

use crate::accounts::AccountId;

/// Where conversion events can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
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

    /// The platform whose accounts events are sent with.
    #[must_use]
    pub const fn platform(self) -> Platform {
        match self {
            Self::Meta => Platform::Meta,
            Self::GoogleAds => Platform::GoogleAds,
            Self::Tiktok => Platform::TikTok,
            Self::Linkedin => Platform::LinkedIn,
            Self::X => Platform::X,
        }
    }
}

/// For how many days a destination takes an event at most, by what the platforms document: 7 of Meta and TikTok and 62 for a
/// shop, 90 of Google and LinkedIn, and of X, which names no age.
#[must_use]
pub fn oldest_days(destination: Destination, is_in_store: bool) -> i64 {
    match (destination, is_in_store) {
        (Destination::Meta | Destination::Tiktok, false) => 7,
        (Destination::Meta | Destination::Tiktok, true) => 62,
        (Destination::GoogleAds | Destination::Linkedin | Destination::X, _) => 90,
    }
}

/// Where events are counted, and in whose name they are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address<'a> {
    tenant: Option<&'a str>,
    destination: Destination,
    account: Option<AccountId>,
    dataset: &'a str,
    test_event_code: Option<&'a str>,
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
