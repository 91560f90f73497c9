//! What the clients of ad platforms share: one trait, one form for what they give back, one door for every call. What a
//! platform means by its own words stands in its folder; here is only what all of them can say.

pub(crate) mod call;
mod conversion;
pub(crate) mod conversion_event;
mod door;
pub(crate) mod edit;
mod entity;
mod grant;
mod insight;
pub(crate) mod members;
pub(crate) mod recent;
#[cfg(test)]
pub(crate) mod testing;
mod version;
pub(crate) mod wanted;

use std::{fmt, future::ready, str::FromStr};

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

pub use conversion::{
    Answer as ConversionAnswer, ConversionApi, ConversionTarget, Outgoing, Receipt, RequestOutcome,
    Via,
};
pub use door::{CallRecord, Door, OpenDoor, Pass, Usage};
pub use edit::{Edit, EditOrder, Edited, MOST_EDITS, SetTo};
pub use entity::{AdAccount, Entity, EntityQuery, EntityStatus, EntityType, StatusRule};
pub use grant::{
    Authorization, AuthorizeRequest, CodeExchange, Grant, RequestToken, TokenHealth, Tokens,
    VerifierExchange,
};
pub use insight::{
    ConversionChoice, Figures, Granularity, InsightQuery, InsightRow, Insights, Level, ReportRun,
    ReportState,
};
pub use version::{ApiVersion, OLD_AFTER_DAYS, api_version};

use crate::error::{Detail, Error};

/// From how many days on the rows of ad sets and ads are too many to be read at once.
const REPORT_FROM_DAYS: u32 = 8;
const NO_REPORTS: &str = "the platform makes no reports in the background";

/// An ad platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Meta: Facebook and Instagram ads, Pages, Instagram accounts.
    Meta,
    /// Google Ads.
    GoogleAds,
    /// LinkedIn.
    #[serde(rename = "linkedin")]
    LinkedIn,
    /// TikTok.
    #[serde(rename = "tiktok")]
    TikTok,
    /// X.
    X,
}

impl Platform {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 5] = [
        Self::Meta,
        Self::GoogleAds,
        Self::LinkedIn,
        Self::TikTok,
        Self::X,
    ];

    /// The word for it everywhere: settings, budgets, rows, answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::GoogleAds => "google_ads",
            Self::LinkedIn => "linkedin",
            Self::TikTok => "tiktok",
            Self::X => "x",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no platform {0:?}: there are meta, google_ads, linkedin, tiktok and x")]
pub struct UnknownPlatform(pub String);

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        let found = Self::ALL
            .into_iter()
            .find(|platform| platform.as_str() == text);
        found.ok_or_else(|| UnknownPlatform(text.to_owned()))
    }
}

/// What a call is made with. No `Debug`: it holds secrets.
#[derive(Clone)]
pub struct Access {
    /// The access token.
    pub token: SecretString,
    /// The second half of a token of OAuth 1.0a (X).
    pub token_secret: Option<SecretString>,
    /// The manager account through which access is given (Google Ads), digits only.
    pub manager: Option<String>,
}

/// For whom a call is made, and by which door it leaves.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// What it is made with.
    pub access: &'a Access,
    /// Lets it out and hears how it went.
    pub door: &'a dyn Door,
}

/// Where a list goes on: the platform's own cursor, page number or token. It is good for minutes to hours and holds no
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it; it may be empty although another one follows.
    pub items: Vec<T>,
    /// Where the next one begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// An ad platform's client.
pub trait AdPlatform: Send + Sync {
    /// Which platform it is.
    fn platform(&self) -> Platform;

    /// What of an account can be listed, parents first.
    fn entity_types(&self) -> &'static [EntityType];

    /// The shortest time that figures are told for.
    fn finest(&self) -> Granularity;

    /// For how many days figures still change after a day has passed.
    fn restated_days(&self) -> u32;

    /// Whether its API can be asked for what changed since a moment.
    fn lists_changes(&self, of: EntityType) -> bool;

    /// Whether a list of these is the same whatever account of a grant is asked about: they belong to whoever gave access.
    fn is_of_the_grant(&self, _of: EntityType) -> bool {
        false
    }

    /// Whether what a list has from this place on may be kept from an app or a person to whom the rest is told. A refusal
    /// there ends the list, and says nothing of what is there.
    fn may_be_withheld(&self, _at: &Cursor) -> bool {
        false
    }

    /// The longest span that one insights query may have, in days.
    fn longest_window(&self, granularity: Granularity) -> u32;

    /// From how many days on figures of a level are better made as a report in the background; `None`: however many they
    /// are, they are read at once.
    fn report_from_days(&self, level: Level) -> Option<u32> {
        matches!(level, Level::AdSet | Level::Ad).then_some(REPORT_FROM_DAYS)
    }

    /// What takes conversion events there; `None`: nothing behind this trait does.
    fn conversions(&self) -> Option<&dyn ConversionApi> {
        None
    }

    /// A page of the ad accounts that a grant reaches.
    ///
    /// # Errors
    /// Any variant of [`Error`]; so for every call below.
    fn accounts<'a>(
        &'a self,
        caller: Caller<'a>,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<AdAccount>, Error>>;

    /// One ad account by the platform's id of it.
    fn account<'a>(
        &'a self,
        caller: Caller<'a>,
        account_id: &'a str,
    ) -> BoxFuture<'a, Result<AdAccount, Error>>;

    /// A page of what an account holds.
    fn entities<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a EntityQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<Entity>, Error>>;

    /// A page of figures, or a report that is being made.
    fn insights<'a>(
        &'a self,
        caller: Caller<'a>,
        query: &'a InsightQuery,
        after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Insights, Error>>;

    /// How far a report is that [`Self::insights`] started.
    fn report<'a>(
        &'a self,
        _caller: Caller<'a>,
        _run: &'a ReportRun,
    ) -> BoxFuture<'a, Result<ReportState, Error>> {
        unknown_there(self.platform(), NO_REPORTS)
    }

    /// A page of a report that is ready.
    fn report_rows<'a>(
        &'a self,
        _caller: Caller<'a>,
        _run: &'a ReportRun,
        _query: &'a InsightQuery,
        _after: Option<&'a Cursor>,
    ) -> BoxFuture<'a, Result<Page<InsightRow>, Error>> {
        unknown_there(self.platform(), NO_REPORTS)
    }

    /// What things of one sort are now, by their ids: at most [`MOST_EDITS`]. What the platform does not show is left out, and so
    /// is everything where it cannot be asked for single things.
    fn present<'a>(
        &'a self,
        _caller: Caller<'a>,
        _query: &'a EntityQuery,
        _ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Entity>, Error>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Sets states and budgets of what an account holds, and tells what became of each edit, in their order. Each sets a value,
    /// so that it may be made once more where nobody knows whether it was.
    ///
    /// # Errors
    /// As every call, where none of them was made.
    fn edit<'a>(
        &'a self,
        _caller: Caller<'a>,
        _order: &'a EditOrder,
    ) -> BoxFuture<'a, Result<Vec<Edited>, Error>> {
        let message = "the platform lets nothing be changed";
        let detail = Detail::new(self.platform().as_str(), message, &[]);
        Box::pin(async move { Err(Error::Rejected { detail }) })
    }

    /// The token that a person is sent away with where the platform wants to be asked for one first (OAuth 1.0a); `None`: it
    /// does not, and the person is sent to [`Self::authorize_url`].
    fn request_token<'a>(
        &'a self,
        _door: &'a dyn Door,
        _redirect_uri: &'a Url,
    ) -> BoxFuture<'a, Result<Option<RequestToken>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// Tokens for the verifier that a person came back with who was sent away with a [`RequestToken`].
    fn exchange_verifier<'a>(
        &'a self,
        _door: &'a dyn Door,
        _exchange: &'a VerifierExchange,
    ) -> BoxFuture<'a, Result<Tokens, Error>> {
        unknown_there(
            self.platform(),
            "the platform gives no tokens for verifiers",
        )
    }

    /// Where a person is sent who is to give access.
    ///
    /// # Errors
    /// [`Error::Config`] where the app's id or secret is not set, or where the platform gives access in another way.
    fn authorize_url(&self, request: &AuthorizeRequest) -> Result<Authorization, Error>;

    /// Tokens for the code that a person came back with, long-lived where there are such.
    fn exchange<'a>(
        &'a self,
        door: &'a dyn Door,
        exchange: &'a CodeExchange,
    ) -> BoxFuture<'a, Result<Tokens, Error>>;

    /// New tokens for a grant. What comes back replaces what it names and leaves the rest.
    fn refresh<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<Tokens, Error>>;

    /// Whether a grant still works, and until when.
    fn check<'a>(
        &'a self,
        door: &'a dyn Door,
        grant: &'a Grant,
    ) -> BoxFuture<'a, Result<TokenHealth, Error>>;

    /// Ends what the platform sends of its own accord about a Page that a grant reaches. `Ok(false)`: it sends nothing, or the
    /// grant reaches the Page no more.
    fn stop_events<'a>(
        &'a self,
        _caller: Caller<'a>,
        _page_id: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async { Ok(false) })
    }

    /// Takes a grant back at the platform. `Ok(false)`: the platform has no way to.
    fn revoke<'a>(
        &'a self,
        _door: &'a dyn Door,
        _grant: &'a Grant,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(ready(Ok(false)))
    }
}

/// The answer to what a platform does not have.
fn unknown_there<'a, T: Send + 'a>(
    platform: Platform,
    why: &str,
) -> BoxFuture<'a, Result<T, Error>> {
    let detail = Detail::new(platform.as_str(), why, &[]);
    Box::pin(ready(Err(Error::Rejected { detail })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_one_word_everywhere() {
        for platform in Platform::ALL {
            let stored = serde_json::to_value(platform).expect("a word");

            assert_eq!(stored, platform.as_str());
            assert_eq!(platform.as_str().parse(), Ok(platform));
        }
        assert!("facebook".parse::<Platform>().is_err());
    }
}
