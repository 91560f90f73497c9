//! How long grants last: what can be renewed without their owners, what only they can renew, and what is over. Who is told
//! of an end is remembered, so that an end is told once.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use providers::platform::{Door, Platform};
use queue::Actor;
use uuid::Uuid;

use super::{
    AccountId, AccountStatus, Accounts, AccountsError, ConnectionId, Refreshed, SeenTokens,
    shown_tenant, stored_word,
    token::{Whose, can_refresh},
};
use crate::store::{
    Session,
    endings::{self, EndingRow, SpentRow, UnlistedRow},
    within_deadline,
};

/// Most grants of a page.
const PAGE: i64 = 200;
/// Ends closer than this are the same one: platforms tell them as spans, which come out a little differently each time.
const SAME_END: TimeDelta = TimeDelta::hours(1);
/// As far ahead as ends are looked for of a grant by its id.
const EVER: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// A grant of which something ends soon.
#[derive(Debug, Clone)]
pub struct EndingGrant {
    /// Its tokens as they were seen.
    pub seen: SeenTokens,
    /// Of which platform.
    pub platform: Platform,
    /// Whose it is.
    pub tenant: Option<String>,
    /// How it stands.
    pub status: AccountStatus,
    /// One of its accounts.
    pub account: AccountId,
    /// Who is to be told, and of what; `None`: nobody wants to hear of it.
    pub owner: Option<Owner>,
    clocks: Clocks,
    warned_of: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

/// A grant that is spent, of which its owner was not told.
#[derive(Debug, Clone)]
pub struct SpentGrant {
    /// The grant.
    pub connection: ConnectionId,
    /// Of which platform.
    pub platform: Platform,
    /// Whose it is.
    pub tenant: Option<String>,
    /// Since when its accounts need to be connected again: the end that its owner is told of.
    pub since: DateTime<Utc>,
    /// Who is to be told, and of what.
    pub owner: Owner,
}

/// Who is told of what concerns a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The address.
    pub email: String,
    /// The names of a few of its accounts.
    pub accounts: Vec<String>,
    /// How many accounts it has.
    pub count: u64,
}

/// An end that only the owner of a grant can put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: DateTime<Utc>,
    /// Of what.
    pub of: EndOf,
}

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOf {
    /// The token, or what new tokens are got with.
    Token,
    /// The right to the data, although the token lives on (Meta).
    DataAccess,
}

/// The clocks of a grant, with what is known of how it can be renewed.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    platform: Platform,
    has_refresh_token: bool,
    expires_at: Option<DateTime<Utc>>,
    refresh_expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
}

impl Clocks {
    /// Whether new access tokens can be had now without the owner. Meta gives them for the access token itself, while that
    /// lives.
    fn can_renew(&self, now: DateTime<Utc>) -> bool {
        if self.platform == Platform::Meta {
            return self.expires_at.is_some_and(|end| end > now);
        }
        self.has_refresh_token && self.refresh_expires_at.is_none_or(|end| end > now)
    }

    /// The first end that only the owner can put off.
    fn owners_end(&self) -> Option<End> {
        let token = match (self.platform, self.has_refresh_token) {
            (Platform::Meta, _) => None,
            (_, false) => self.expires_at,
            (platform, true) if gives_new_refresh_tokens(platform) => None,
            (_, true) => self.refresh_expires_at,
        };
        earlier(token, self.data_access_expires_at)
    }

    /// What has ended for good.
    fn over(&self, now: DateTime<Utc>) -> Option<End> {
        let is_past = |end: &DateTime<Utc>| *end <= now;
        let token = self.expires_at.filter(is_past);
        let token = token.filter(|_| !self.can_renew(now));
        earlier(token, self.data_access_expires_at.filter(is_past))
    }

    /// Whether new tokens put an end off that comes before this time, and nobody gets them when the token is used: one that
    /// lasts for hours always ends soon.
    fn is_to_be_renewed(&self, now: DateTime<Utc>, before: DateTime<Utc>) -> bool {
        let is_soon = |end: Option<DateTime<Utc>>| end.is_some_and(|end| end < before);
        let is_kept = !lasts_for_hours(self.platform);
        let puts_off_refresh_end = gives_new_refresh_tokens(self.platform);
        self.can_renew(now)
            && (is_kept && is_soon(self.expires_at)
                || puts_off_refresh_end && is_soon(self.refresh_expires_at))
    }
}

/// Whether a refresh gives a new refresh token with a life of its own. LinkedIn's keeps its end, and Google gives none.
fn gives_new_refresh_tokens(platform: Platform) -> bool {
    match platform {
        Platform::TikTok | Platform::X => true,
        Platform::Meta | Platform::GoogleAds | Platform::LinkedIn => false,
    }
}

/// Whether access tokens that can be renewed last for an hour or two: Google Ads', and X's by OAuth 2.0.
fn lasts_for_hours(platform: Platform) -> bool {
    match platform {
        Platform::GoogleAds | Platform::X => true,
        Platform::Meta | Platform::LinkedIn | Platform::TikTok => false,
    }
}

fn earlier(token: Option<DateTime<Utc>>, data_access: Option<DateTime<Utc>>) -> Option<End> {
    let token = token.map(|at| End {
        at,
        of: EndOf::Token,
    });
    let data_access = data_access.map(|at| End {
        at,
        of: EndOf::DataAccess,
    });
    token
        .into_iter()
        .chain(data_access)
        .min_by_key(|end| end.at)
}

impl EndingGrant {
    /// Whether new tokens, had without the owner, put off an end that comes within this time.
    #[must_use]
    pub fn is_to_be_renewed(&self, within: Duration) -> bool {
        self.clocks.is_to_be_renewed(self.now, self.now + within)
    }

    /// An end within this time that only the owner can put off.
    #[must_use]
    pub fn owners_end(&self, within: Duration) -> Option<End> {
        let before = self.now + within;
        self.clocks.owners_end().filter(|end| end.at < before)
    }

    /// What has ended for good: its accounts need to be connected again.
    #[must_use]
    pub fn over(&self) -> Option<End> {
        self.clocks.over(self.now)
    }

    /// The end of the token itself within this time, for where the platform gives no other one.
    #[must_use]
    pub fn token_end(&self, within: Duration) -> Option<End> {
        let before = self.now + within;
        let at = self.clocks.expires_at.filter(|end| *end < before)?;
        Some(End {
            at,
            of: EndOf::Token,
        })
    }

    /// Whether the owner was told of this end.
    #[must_use]
    pub fn was_told_of(&self, end: End) -> bool {
        self.warned_of
            .is_some_and(|told| (told - end.at).abs() < SAME_END)
    }

    fn of(row: EndingRow) -> Result<Self, sqlx::Error> {
        let platform = stored_word(&row.platform)?;
        let owner = row
            .owner_email
            .map(|email| owner(email, row.names, row.accounts));
        Ok(Self {
            seen: SeenTokens {
                connection: ConnectionId(row.id),
                version: row.token_version,
            },
            platform,
            tenant: shown_tenant(row.tenant),
            status: stored_word(&row.status)?,
            account: AccountId(row.account),
            owner,
            clocks: Clocks {
                platform,
                has_refresh_token: row.has_refresh_token,
                expires_at: row.expires_at,
                refresh_expires_at: row.refresh_expires_at,
                data_access_expires_at: row.data_access_expires_at,
            },
            warned_of: row.warned_of,
            now: row.now,
        })
    }
}

impl SpentGrant {
    fn of(row: SpentRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            connection: ConnectionId(row.id),
            platform: stored_word(&row.platform)?,
            tenant: shown_tenant(row.tenant),
            since: row.since,
            owner: owner(row.owner_email, row.names, row.accounts),
        })
    }
}

fn owner(email: String, accounts: Vec<String>, count: i64) -> Owner {
    Owner {
        email,
        accounts,
        count: u64::try_from(count).unwrap_or(0),
    }
}

/// A grant whose accounts were not listed lately.
#[derive(Debug, Clone, Copy)]
pub struct UnlistedGrant {
    /// The grant.
    pub connection: ConnectionId,
    /// Of which platform.
    pub platform: Platform,
    /// One of its accounts, in whose name it is asked; `None` where none is known yet, because its platform did not tell when
    /// somebody came back from there.
    pub account: Option<AccountId>,
}

impl UnlistedGrant {
    fn of(row: UnlistedRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            connection: ConnectionId(row.id),
            platform: stored_word(&row.platform)?,
            account: row.account.map(AccountId),
        })
    }
}

impl Accounts {
    /// Grants that can be used and of which something ends within this time, up to 200 by id; an empty page is the end.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn ending(
        &self,
        within: Duration,
        after: Option<ConnectionId>,
    ) -> Result<Vec<EndingGrant>, AccountsError> {
        let after = after.map(|it| it.0).unwrap_or_default();
        let db = self.db();
        let page = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let rows = endings::ending(conn, within.as_secs_f64(), None, after, PAGE).await?;
            session.done();
            rows.into_iter()
                .map(EndingGrant::of)
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(page.await?)
    }

    /// A grant that can be used and of which something ends some time; `None`: nothing does, or it cannot be used.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn ending_of(
        &self,
        connection: ConnectionId,
    ) -> Result<Option<EndingGrant>, AccountsError> {
        let only = Some(connection.0);
        let ever_s = EVER.as_secs_f64();
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let mut rows = endings::ending(conn, ever_s, only, Uuid::nil(), 1).await?;
            session.done();
            rows.pop().map(EndingGrant::of).transpose()
        });
        Ok(found.await?)
    }

    /// Spent grants whose owners want to hear of that and were not told, up to 200 by id; an empty page is the end.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn spent_and_untold(
        &self,
        after: Option<ConnectionId>,
    ) -> Result<Vec<SpentGrant>, AccountsError> {
        let after = after.map(|it| it.0).unwrap_or_default();
        let db = self.db();
        let page = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = endings::spent(session.connection(), after, PAGE).await?;
            session.done();
            rows.into_iter()
                .map(SpentGrant::of)
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(page.await?)
    }

    /// Remembers that the owner of a grant was told of this end.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn owner_was_told(
        &self,
        connection: ConnectionId,
        end: DateTime<Utc>,
    ) -> Result<(), AccountsError> {
        let db = self.db();
        let kept = within_deadline(async {
            let mut session = Session::open(&db).await?;
            endings::told(session.connection(), connection.0, end).await?;
            session.done();
            Ok(())
        });
        Ok(kept.await?)
    }

    /// Grants whose accounts were not listed for this time, at most so many, in no order.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn not_listed_for(
        &self,
        time: Duration,
        most: u32,
    ) -> Result<Vec<UnlistedGrant>, AccountsError> {
        let db = self.db();
        let page = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let conn = session.connection();
            let rows = endings::unlisted(conn, time.as_secs_f64(), i64::from(most)).await?;
            session.done();
            rows.into_iter()
                .map(UnlistedGrant::of)
                .collect::<Result<Vec<_>, _>>()
        });
        Ok(page.await?)
    }

    /// Gets new tokens for the grant of an account, where its platform gives any without the owner; `None` where it does not.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub async fn renew(
        &self,
        account: AccountId,
        door: &dyn Door,
        actor: &Actor,
    ) -> Result<Option<Refreshed>, AccountsError> {
        let held = self.grant(Whose::Account(account)).await?;
        let grant = self.opened(&held)?;
        if !can_refresh(held.platform, &grant) {
            return Ok(None);
        }
        self.refresh(held.seen, door, actor).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: TimeDelta = TimeDelta::days(7);

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_763_640_000, 0).expect("a time")
    }

    fn in_days(days: i64) -> Option<DateTime<Utc>> {
        Some(now() + TimeDelta::days(days))
    }

    fn clocks(platform: Platform, has_refresh_token: bool, expires_at: Option<i64>) -> Clocks {
        Clocks {
            platform,
            has_refresh_token,
            expires_at: expires_at.and_then(in_days),
            refresh_expires_at: None,
            data_access_expires_at: None,
        }
    }

    /// Whether it is renewed, whether its owner has to, and whether it is over.
    fn told(clocks: Clocks) -> (bool, Option<EndOf>, Option<EndOf>) {
        let owners = clocks.owners_end().filter(|end| end.at < now() + WEEK);
        (
            clocks.is_to_be_renewed(now(), now() + WEEK),
            owners.map(|end| end.of),
            clocks.over(now()).map(|end| end.of),
        )
    }

    #[test]
    fn a_token_of_meta_is_renewed_while_it_lives_and_never_after() {
        assert_eq!(
            told(clocks(Platform::Meta, false, Some(5))),
            (true, None, None)
        );
        let over = told(clocks(Platform::Meta, false, Some(-1)));
        assert_eq!(over, (false, None, Some(EndOf::Token)));
        assert_eq!(
            told(clocks(Platform::Meta, false, None)),
            (false, None, None)
        );
    }

    #[test]
    fn the_right_to_the_data_is_its_owners_to_renew_while_the_token_lives_on() {
        let both = |days| Clocks {
            data_access_expires_at: in_days(days),
            ..clocks(Platform::Meta, false, Some(40))
        };

        assert_eq!(told(both(3)), (false, Some(EndOf::DataAccess), None));
        let over = Some(EndOf::DataAccess);
        assert_eq!(told(both(-3)), (false, over, over));
    }

    #[test]
    fn without_a_refresh_token_only_the_owner_renews() {
        let soon = told(clocks(Platform::LinkedIn, false, Some(5)));
        let past = told(clocks(Platform::LinkedIn, false, Some(-5)));

        assert_eq!(soon, (false, Some(EndOf::Token), None));
        assert_eq!(past, (false, Some(EndOf::Token), Some(EndOf::Token)));
    }

    #[test]
    fn an_access_token_that_has_ended_is_renewed_while_the_refresh_token_lives() {
        let with = |refresh_days| Clocks {
            refresh_expires_at: refresh_days,
            ..clocks(Platform::LinkedIn, true, Some(-1))
        };

        assert_eq!(told(with(in_days(100))), (true, None, None));
        assert_eq!(told(with(None)), (true, None, None));
        assert_eq!(told(with(in_days(3))), (true, Some(EndOf::Token), None));
        let over = Some(EndOf::Token);
        assert_eq!(told(with(in_days(-3))), (false, over, over));
    }

    #[test]
    fn a_refresh_token_that_is_given_anew_is_no_matter_for_the_owner() {
        let tiktok = Clocks {
            refresh_expires_at: in_days(3),
            ..clocks(Platform::TikTok, true, Some(100))
        };

        assert_eq!(told(tiktok), (true, None, None));
    }

    // Fails when refresh tokens that are good once are used up day by day for tokens that nobody uses.
    #[test]
    fn a_token_of_hours_is_renewed_when_it_is_used_and_not_before() {
        for platform in [Platform::GoogleAds, Platform::X] {
            let fresh = told(clocks(platform, true, Some(0)));
            let past = told(clocks(platform, true, Some(-1)));

            assert_eq!(fresh, (false, None, None), "{platform}");
            assert_eq!(past, (false, None, None), "{platform}");
        }
        let refresh_end = Clocks {
            refresh_expires_at: in_days(3),
            ..clocks(Platform::X, true, Some(0))
        };
        assert_eq!(told(refresh_end), (true, None, None));
    }

    #[test]
    fn what_ends_at_no_time_is_left_alone() {
        for platform in Platform::ALL {
            assert_eq!(told(clocks(platform, false, None)), (false, None, None));
        }
    }
}
