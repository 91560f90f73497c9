//! Connecting by a browser: OAuth 2.0 with a state that is used once and PKCE, or OAuth 1.0a, where the token that a person is
//! sent away with is the state. What lies in the database meanwhile opens no door: the state's hash, and the verifier, or
//! the token's second half, sealed.

use std::{str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use providers::platform::{
    AdPlatform, AuthorizeRequest, CodeExchange, Grant, Platform, Tokens, VerifierExchange,
};
use queue::Actor;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use url::{Host, Url};
use uuid::Uuid;

use super::{
    Accounts, AccountsError, Connected, NewGrant, NotificationChange,
    connect::{access, check_name},
    discover::{Found, list},
    error::too_slow,
    show::check_address,
    stored_tenant,
    vault::seal_verifier,
};
use crate::store::{
    Session,
    oauth_states::{self, AwayRow, BackRow},
    within_deadline,
};

/// How long a person may be away.
const AWAY: Duration = Duration::from_secs(10 * 60);
/// Longest that a platform may take for a code, and then to list what it reaches.
const LONGEST_CALL: Duration = Duration::from_secs(30);
const LONGEST_LIST: Duration = Duration::from_secs(20);
/// Most statements that forget people who stayed away, of 100 each.
const STATEMENTS: usize = 50;
/// Random bytes of states and verifiers: 43 characters each.
const RANDOM_BYTES: usize = 32;
/// Longest state and code that are looked at.
const LONGEST_STATE: usize = 512;
const LONGEST_CODE: usize = 4_096;

/// Where people may be sent back to: addresses, each with what lies below its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnTo(Vec<Url>);

/// An entry that nobody can be sent back to; counted from 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "entry {0} must be an https address without user name, query or fragment (plain http is for loopback only)"
)]
pub struct ReturnToError(usize);

impl FromStr for ReturnTo {
    type Err = ReturnToError;

    fn from_str(text: &str) -> Result<Self, ReturnToError> {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty()).zip(1..);
        let read = entries.map(|(entry, place)| {
            let url = Url::parse(entry).ok().filter(is_safe);
            let url = url.filter(|url| url.query().is_none() && url.fragment().is_none());
            url.ok_or(ReturnToError(place))
        });
        read.collect::<Result<_, _>>().map(Self)
    }
}

impl ReturnTo {
    /// The address, where people may be sent to it.
    fn allowed(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok().filter(is_safe)?;
        let is_below = |entry: &Url| {
            let path = entry.path().trim_end_matches('/');
            let rest = url.path().strip_prefix(path);
            url.origin() == entry.origin()
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_allowed = url.fragment().is_none() && self.0.iter().any(is_below);
        is_allowed.then_some(url)
    }
}

/// Somebody wants to connect by a browser.
#[derive(Debug, Clone)]
pub struct OauthAsk {
    /// To which platform.
    pub platform: Platform,
    /// Whose the accounts are to be.
    pub tenant: Option<String>,
    /// Where the person is sent back to; `None`: to a page of ours.
    pub return_to: Option<String>,
    /// Who is told of what concerns the accounts.
    pub owner_email: Option<String>,
}

/// Where the browser goes. No `Debug`: the address holds the state.
#[derive(Clone)]
pub struct OauthStarted {
    /// The platform's page. Whoever has it can connect an account: it is for one browser.
    pub url: Url,
    /// When it is of no use any more.
    pub expires_at: DateTime<Utc>,
}

/// A person came back. No `Debug`: it holds secrets.
pub struct OauthReturn {
    /// From which platform.
    pub platform: Platform,
    /// What we sent along; of OAuth 1.0a the token that the person was sent away with.
    pub state: SecretString,
    /// What the platform gave, of OAuth 1.0a its verifier; `None`: the person did not give access.
    pub code: Option<SecretString>,
    /// It came by OAuth 1.0a.
    pub is_oauth_1: bool,
}

/// How a person is sent away.
struct WayOut {
    url: Url,
    state: SecretString,
    /// Stays here, and proves on the way back that it was we who asked.
    verifier: SecretString,
}

/// What became of a person who came back with a state of ours.
#[derive(Debug)]
pub struct OauthAnswer {
    /// Where the person is sent.
    pub return_to: Option<Url>,
    /// What was connected, or why not.
    pub result: Result<Connected, AccountsError>,
}

impl Accounts {
    /// Sends somebody to a platform.
    ///
    /// # Errors
    /// [`AccountsError::Invalid`] for a place that nobody is sent back to, [`AccountsError::NotSetUp`] without a public
    /// address, [`AccountsError::Platform`] where the platform gives access in another way.
    pub async fn oauth_start(
        &self,
        ask: &OauthAsk,
        actor: &Actor,
    ) -> Result<OauthStarted, AccountsError> {
        check_address("?owner_email", ask.owner_email.as_deref())?;
        check_name("?tenant", ask.tenant.as_deref())?;
        let return_to = self.checked_return(ask.return_to.as_deref())?;
        let client = self.client(ask.platform)?;
        let cipher = self.vault().cipher()?;
        let way = self.way_out(client, ask.platform).await?;
        let id = Uuid::now_v7();
        let sealed = seal_verifier(cipher, id, &way.verifier);
        let hash = Sha256::digest(way.state.expose_secret().as_bytes());
        let away = AwayRow {
            id,
            state_hash: &hash[..],
            platform: ask.platform.as_str(),
            tenant: stored_tenant(ask.tenant.as_deref()),
            verifier: &sealed,
            return_to: return_to.as_ref().map(Url::as_str),
            owner_email: ask.owner_email.as_deref(),
            actor: &actor.name,
        };
        let db = self.db();
        let expires_at = within_deadline(async {
            let mut session = Session::open(&db).await?;
            oauth_states::prune(session.connection()).await?;
            let expires_at =
                oauth_states::remember(session.connection(), &away, AWAY.as_secs_f64()).await?;
            session.done();
            Ok(expires_at)
        })
        .await?;
        Ok(OauthStarted {
            url: way.url,
            expires_at,
        })
    }

    async fn way_out(
        &self,
        client: &dyn AdPlatform,
        platform: Platform,
    ) -> Result<WayOut, AccountsError> {
        let redirect_uri = self.redirect_uri(platform)?;
        let asked = client.request_token(self.door(), &redirect_uri);
        let asked = timeout(LONGEST_CALL, asked).await;
        let given = asked.unwrap_or_else(|_| Err(too_slow(platform, "request token")))?;
        if let Some(given) = given {
            return Ok(WayOut {
                url: given.url,
                state: given.token,
                verifier: given.secret,
            });
        }
        let (state, verifier) = (random(), SecretString::from(random()));
        let authorization = client.authorize_url(&AuthorizeRequest {
            redirect_uri,
            state: state.clone(),
            code_challenge: hashed(verifier.expose_secret()),
        })?;
        Ok(WayOut {
            url: authorization.url,
            state: state.into(),
            verifier,
        })
    }

    /// Forgets people who were sent to a platform and did not come back in time; tells how many.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn forget_who_stayed_away(&self) -> Result<u64, AccountsError> {
        let mut forgotten = 0;
        for _ in 0..STATEMENTS {
            let db = self.db();
            let more = within_deadline(async {
                let mut session = Session::open(&db).await?;
                let more = oauth_states::prune(session.connection()).await?;
                session.done();
                Ok(more)
            })
            .await?;
            forgotten += more;
            if more == 0 {
                break;
            }
        }
        Ok(forgotten)
    }

    /// Somebody came back from a platform. The state is used up by it, whatever comes of it.
    ///
    /// # Errors
    /// [`AccountsError::UnknownState`]: nothing is known of this person, who is sent nowhere. What else goes wrong stands
    /// in the answer.
    pub async fn oauth_finish(&self, back: OauthReturn) -> Result<OauthAnswer, AccountsError> {
        let known = self.taken(&back).await?;
        // Checked anew: the list may have become shorter since.
        let return_to = known.return_to.as_deref();
        let return_to = self.checked_return(return_to).unwrap_or_default();
        let result = Box::pin(self.connect_by_code(back, known)).await;
        Ok(OauthAnswer { return_to, result })
    }

    async fn taken(&self, back: &OauthReturn) -> Result<BackRow, AccountsError> {
        let state = back.state.expose_secret();
        if state.is_empty() || state.len() > LONGEST_STATE {
            return Err(AccountsError::UnknownState);
        }
        let hash = Sha256::digest(state.as_bytes());
        let db = self.db();
        let taken = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let platform = back.platform.as_str();
            let taken = oauth_states::take(session.connection(), platform, &hash[..]).await?;
            session.done();
            Ok(taken)
        })
        .await?;
        taken
            .filter(|row| row.is_in_time)
            .ok_or(AccountsError::UnknownState)
    }

    async fn connect_by_code(
        &self,
        back: OauthReturn,
        known: BackRow,
    ) -> Result<Connected, AccountsError> {
        let OauthReturn {
            platform,
            state,
            code,
            is_oauth_1,
        } = back;
        let code = code.ok_or(AccountsError::Refused)?;
        if code.expose_secret().len() > LONGEST_CODE {
            return Err(AccountsError::invalid("?code", "is too long"));
        }
        let client = self.client(platform)?;
        let verifier = self.vault().open_verifier(known.id, &known.verifier)?;
        let exchanged = if is_oauth_1 {
            let exchange = VerifierExchange {
                request_token: state,
                request_secret: verifier,
                verifier: code,
            };
            let exchanging = client.exchange_verifier(self.door(), &exchange);
            timeout(LONGEST_CALL, exchanging).await
        } else {
            let exchange = CodeExchange {
                code,
                redirect_uri: self.redirect_uri(platform)?,
                code_verifier: verifier,
            };
            timeout(LONGEST_CALL, client.exchange(self.door(), &exchange)).await
        };
        let tokens = exchanged.unwrap_or_else(|_| Err(too_slow(platform, "tokens")))?;
        let new = new_grant(platform, &known, tokens);
        // A code is good for once: what it gave is kept, also where the platform does not tell now what it reaches.
        let found = self.reached(platform, &new.grant).await;
        let data_access_ends = self.data_access_end(platform, &new.grant).await;
        let actor = Actor {
            name: known.actor,
            tenant: new.tenant.clone(),
        };
        self.keep(&new, data_access_ends, found, &actor).await
    }

    /// When the right to the data ends although the token lives on; `None` also where Meta, which alone has such an end, does
    /// not tell it now.
    async fn data_access_end(&self, platform: Platform, grant: &Grant) -> Option<DateTime<Utc>> {
        if platform != Platform::Meta {
            return None;
        }
        let client = self.client(platform).ok()?;
        let asked = timeout(LONGEST_CALL, client.check(self.door(), grant)).await;
        let health = asked.unwrap_or_else(|_| Err(too_slow(platform, "word on the grant")));
        health.ok()?.data_access_expires_at
    }

    /// What a new grant reaches; nothing where the platform does not tell: it is asked again every day.
    async fn reached(&self, platform: Platform, grant: &Grant) -> Found {
        let Ok(client) = self.client(platform) else {
            return Found::default();
        };
        let access = access(grant, None);
        let listed = timeout(LONGEST_LIST, list(client, &access, self.door())).await;
        let listed = listed.unwrap_or_else(|_| Err(too_slow(platform, "list of accounts")));
        listed.unwrap_or_else(|error| {
            tracing::warn!(provider.name = platform.as_str(), error = %error,
                "what a new grant reaches could not be listed; it is looked at again");
            Found::default()
        })
    }

    fn redirect_uri(&self, platform: Platform) -> Result<Url, AccountsError> {
        let uri = format!("{}/v1/oauth/{platform}/callback", self.public_url()?);
        Url::parse(&uri).map_err(|_| AccountsError::NotSetUp("MILLPOND_PUBLIC_URL is no address"))
    }

    fn checked_return(&self, address: Option<&str>) -> Result<Option<Url>, AccountsError> {
        let Some(address) = address else {
            return Ok(None);
        };
        let allowed = self.settings().return_to.allowed(address);
        let refused = || {
            AccountsError::invalid(
                "?return_to",
                "is not among the addresses that MILLPOND_RETURN_TO names",
            )
        };
        allowed.map(Some).ok_or_else(refused)
    }
}

fn new_grant(platform: Platform, known: &BackRow, tokens: Tokens) -> NewGrant {
    NewGrant {
        platform,
        tenant: (!known.tenant.is_empty()).then(|| known.tenant.clone()),
        grant: Grant {
            access_token: tokens.access_token,
            token_secret: tokens.token_secret,
            refresh_token: tokens.refresh_token,
        },
        subject: tokens.subject,
        scopes: tokens.scopes,
        manager: None,
        owner_email: known.owner_email.clone(),
        notifications: NotificationChange::default(),
        expires_at: tokens.expires_at,
        refresh_expires_at: tokens.refresh_expires_at,
        external_ids: Vec::new(),
    }
}

/// Whether a browser may be sent to an address: nothing of it is a surprise, and nobody listens on the way.
fn is_safe(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_bare = url.username().is_empty() && url.password().is_none();
    is_bare && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback))
}

fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; RANDOM_BYTES]>())
}

/// The challenge of a verifier (S256).
fn hashed(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The challenge of a verifier, for a platform of a test.
    pub(in crate::accounts) fn challenge(verifier: &str) -> String {
        hashed(verifier)
    }

    #[test]
    fn people_are_sent_back_to_what_is_allowed_and_what_lies_below_it() {
        let allowed: ReturnTo = "https://app.example.com/settings, http://localhost:3000"
            .parse()
            .expect("two addresses");

        for (address, is_allowed) in [
            ("https://app.example.com/settings", true),
            ("https://app.example.com/settings/", true),
            ("https://app.example.com/settings/accounts?tab=1", true),
            ("http://localhost:3000/done", true),
            ("https://app.example.com/", false),
            ("https://app.example.com/settings-of-others", false),
            ("https://app.example.com/settings/../admin", false),
            ("https://app.example.com/settings/%2e%2e/admin", false),
            ("https://app.example.com:8443/settings", false),
            ("http://app.example.com/settings", false),
            ("https://app.example.com.evil.example/settings", false),
            ("https://app.example.com@evil.example/settings", false),
            ("https://evil.example\\@app.example.com/settings", false),
            ("https://app.example.com/settings#token", false),
            ("//app.example.com/settings", false),
            ("/settings", false),
            ("javascript:alert(1)", false),
        ] {
            assert_eq!(allowed.allowed(address).is_some(), is_allowed, "{address}");
        }
        assert!(
            ReturnTo::default()
                .allowed("https://app.example.com/")
                .is_none()
        );
    }

    #[test]
    fn a_list_with_an_address_that_nobody_is_sent_to_is_refused() {
        for wrong in [
            "app.example.com",
            "http://app.example.com",
            "https://user@app.example.com",
            "https://app.example.com/?next=",
        ] {
            let read = format!("https://ok.example.com,{wrong}").parse::<ReturnTo>();

            assert_eq!(read, Err(ReturnToError(2)), "{wrong}");
        }
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

        assert_eq!(
            hashed(verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
        assert_eq!(random().len(), 43);
        assert_ne!(random(), random());
    }
}
