//! Connecting: tokens come in and are sealed at once. Whoever connects an account again ends what held its jobs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use providers::{
    Error as ProviderError,
    platform::{Access, AdPlatform, Grant, Platform, TokenHealth},
};
use queue::{Actor, Deed, Queue, Released};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Account, AccountKind, AccountStatus, Accounts, AccountsError, ConnectionId, NotificationChange,
    discover::{Found, found_rows, list, these},
    error::too_slow,
    show::{OWNER_EMAIL, account, acting_for, check_address},
    status::{follow, names},
    stored_tenant,
    vault::seal_tokens,
};
use crate::store::{
    Session,
    accounts::{self, FoundRows, NewStatus},
    cache,
    connections::{self, GivenRow},
    within_deadline,
};

/// Longest token, in bytes.
const LONGEST_TOKEN: usize = 8_192;
/// Most accounts that are named, and most characters of a name of theirs.
const MOST_NAMED: usize = 100;
const LONGEST_NAME: usize = 255;
/// What ends sooner than this ends before the next look of a daily job.
const SHORT: TimeDelta = TimeDelta::days(1);
/// Longest that a platform may take to tell what a grant is worth and what it reaches.
const LONGEST_LOOK: Duration = Duration::from_secs(90);
const DEED: &str = "account.connect";

/// A grant that somebody gives. No `Debug`: it holds secrets.
pub struct NewGrant {
    /// Of which platform.
    pub platform: Platform,
    /// Whose the accounts are to be.
    pub tenant: Option<String>,
    /// The tokens. An empty access token is got for the refresh token.
    pub grant: Grant,
    /// The platform's id of whoever gave it, where it is known.
    pub subject: Option<String>,
    /// What was granted, where it is known.
    pub scopes: Vec<String>,
    /// The manager account through which access is given (Google Ads).
    pub manager: Option<String>,
    /// Who is told of what concerns the accounts.
    pub owner_email: Option<String>,
    /// What that person wants to hear of.
    pub notifications: NotificationChange,
    /// When the access token ends; `None`: the platform is asked.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the refresh token ends.
    pub refresh_expires_at: Option<DateTime<Utc>>,
    /// The accounts that are meant, by the platform's ids; empty: all that the grant reaches. Others that it is found to reach
    /// later are switched off.
    pub external_ids: Vec<String>,
}

/// What was connected.
#[derive(Debug)]
pub struct Connected {
    /// The grant.
    pub connection: ConnectionId,
    /// What it reaches, as far as that was looked at.
    pub accounts: Vec<Account>,
}

impl Accounts {
    /// Connects what a grant reaches. The platform is asked first whether the grant works and what it reaches: one that
    /// does not work is not stored. Accounts that were connected already go over to this grant, and what held their jobs
    /// ends; a grant that reaches nothing any more loses its secrets. One whose refresh token is used up by it, and of which
    /// the platform tells no more now, is kept: what it reaches is looked at again.
    ///
    /// # Errors
    /// [`AccountsError::Invalid`] for a grant that the platform refuses or that reaches no account.
    pub async fn connect(
        &self,
        mut new: NewGrant,
        actor: &Actor,
    ) -> Result<Connected, AccountsError> {
        check(&new)?;
        self.vault().cipher()?;
        let client = self.client(new.platform)?;
        let mut is_used_up = false;
        if new.grant.access_token.expose_secret().is_empty() {
            is_used_up = self.get_first_token(client, &mut new).await?;
        }
        let looked = timeout(LONGEST_LOOK, self.look(client, &new)).await;
        let looked = looked.unwrap_or_else(|_| Err(too_slow(new.platform, "word on the grant")));
        if is_used_up && looked.as_ref().is_err_and(is_passing) {
            tracing::warn!(
                provider.name = new.platform.as_str(),
                "what a new grant reaches could not be listed; its refresh token is used up, so it is kept and looked at again"
            );
            return self.keep(&new, None, Found::default(), actor).await;
        }
        let (health, found) = looked.map_err(refused)?;
        if health.as_ref().is_some_and(|health| !health.is_valid) {
            let reason = health.and_then(|health| health.reason).unwrap_or_default();
            return Err(AccountsError::invalid(
                "/access_token",
                format!("is refused by the platform: {reason}"),
            ));
        }
        if found.accounts.is_empty() {
            return Err(AccountsError::invalid(
                "/access_token",
                "reaches no ad account",
            ));
        }
        let mut data_access_expires_at = None;
        if let Some(health) = health {
            new.expires_at = new.expires_at.or(health.expires_at);
            data_access_expires_at = health.data_access_expires_at;
            if new.scopes.is_empty() {
                new.scopes = health.scopes;
            }
        }
        self.exchange_short(client, &mut new).await;
        self.keep(&new, data_access_expires_at, found, actor).await
    }

    /// Has a token of Meta's that lasts for an hour or two exchanged for one of 60 days: it would end before any job looks
    /// after it. One that is not exchanged is connected as it is.
    async fn exchange_short(&self, client: &dyn AdPlatform, new: &mut NewGrant) {
        let ends_early = new.expires_at.is_some_and(|end| end < Utc::now() + SHORT);
        if new.platform != Platform::Meta || !ends_early {
            return;
        }
        if let Err(error) = self.get_first_token(client, new).await {
            tracing::warn!(provider.name = new.platform.as_str(), error = %queue::error_chain(&error),
                "a token that ends within a day was not exchanged for a longer one");
        }
    }

    /// Gets an access token for what was given; tells whether that is used up by it.
    async fn get_first_token(
        &self,
        client: &dyn AdPlatform,
        new: &mut NewGrant,
    ) -> Result<bool, AccountsError> {
        let asked = timeout(LONGEST_LOOK, client.refresh(self.door(), &new.grant)).await;
        let asked = asked.unwrap_or_else(|_| Err(too_slow(new.platform, "access token")));
        let tokens = asked.map_err(refused)?;
        let given = new.grant.refresh_token.as_ref();
        let is_used_up = tokens.refresh_token.as_ref().is_some_and(|next| {
            given.is_none_or(|given| given.expose_secret() != next.expose_secret())
        });
        new.grant.access_token = tokens.access_token;
        new.grant.refresh_token = tokens.refresh_token.or(new.grant.refresh_token.take());
        new.grant.token_secret = tokens.token_secret.or(new.grant.token_secret.take());
        new.expires_at = tokens.expires_at;
        new.refresh_expires_at = new.refresh_expires_at.or(tokens.refresh_expires_at);
        if new.scopes.is_empty() {
            new.scopes = tokens.scopes;
        }
        Ok(is_used_up)
    }

    /// Whether a grant works, as far as the platform tells it, and what it reaches.
    async fn look(
        &self,
        client: &dyn AdPlatform,
        new: &NewGrant,
    ) -> Result<(Option<TokenHealth>, Found), ProviderError> {
        let door = self.door();
        let health = match client.check(door, &new.grant).await {
            Ok(health) if !health.is_valid => {
                return Ok((Some(health), Found::default()));
            }
            Ok(health) => Some(health),
            // Without credentials of our own the platform does not tell; what the grant reaches will show it.
            Err(ProviderError::Config { .. }) => None,
            Err(error) => return Err(error),
        };
        let access = access(&new.grant, new.manager.as_deref());
        let found = if new.external_ids.is_empty() {
            list(client, &access, door).await?
        } else {
            these(client, (&access, door), &new.external_ids).await?
        };
        Ok((health, found))
    }

    /// Stores a grant with what it reaches.
    pub(super) async fn keep(
        &self,
        new: &NewGrant,
        data_access_expires_at: Option<DateTime<Utc>>,
        found: Found,
        actor: &Actor,
    ) -> Result<Connected, AccountsError> {
        let cipher = self.vault().cipher()?;
        let is_whole = found.is_whole && new.external_ids.is_empty();
        let rows = found_rows(found.accounts);
        let db = self.db();
        let (connection, stored, released) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let tenant = stored_tenant(new.tenant.as_deref());
            let platform = new.platform.as_str();
            connections::wait_to_connect(&mut *tx, tenant, platform).await?;
            let known = match &new.subject {
                Some(subject) => {
                    connections::of_subject(&mut *tx, tenant, platform, subject).await?
                }
                None => None,
            };
            let id = known.unwrap_or_else(Uuid::now_v7);
            let given = GivenRow {
                id,
                platform,
                tenant,
                subject: new.subject.as_deref(),
                scopes: &new.scopes,
                manager: new.manager.as_deref(),
                for_all: new.external_ids.is_empty(),
                owner_email: new.owner_email.as_deref().filter(|it| !it.is_empty()),
                notifications: said(new.notifications),
                tokens: seal_tokens(cipher, id, &new.grant),
                expires_at: new.expires_at,
                refresh_expires_at: new.refresh_expires_at,
                data_access_expires_at,
            };
            connections::give(&mut *tx, &given).await?;
            let released = take_over(&mut tx, id, (&rows, is_whole), actor).await?;
            let stored = accounts::live_of(&mut *tx, id).await?;
            Queue::assign_budget_in(&mut tx, &names(&stored), platform).await?;
            note(&mut tx, new, (id, stored.len()), actor).await?;
            let stored = accounts::these(&mut *tx, &stored).await?;
            tx.commit().await?;
            session.done();
            let stored: Result<Vec<Account>, sqlx::Error> =
                stored.into_iter().map(account).collect();
            Ok((ConnectionId(id), stored?, released))
        })
        .await?;
        self.queue().wake(&released);
        Queue::count_deed(DEED);
        Box::pin(self.begin_to_read(&stored)).await;
        Ok(Connected {
            connection,
            accounts: stored,
        })
    }
}

/// Makes accounts those of a grant, lets their jobs go on, and takes the secrets of grants that reach nothing any more. What
/// platforms answered by the tokens before is not used again; who owns the accounts, and what he wants to hear of, stays
/// unless it was said anew.
async fn take_over(
    conn: &mut PgConnection,
    connection: Uuid,
    (rows, is_whole): (&FoundRows, bool),
    actor: &Actor,
) -> Result<Released, sqlx::Error> {
    let others = accounts::other_connections(&mut *conn, connection, rows).await?;
    connections::lock(&mut *conn, &others).await?;
    connections::inherit_owner(&mut *conn, connection, &others).await?;
    let noted = (true, actor.name.as_str());
    accounts::note_platform_statuses(&mut *conn, connection, rows, noted).await?;
    let own = accounts::found(&mut *conn, connection, rows, true).await?;
    let mut answered = vec![connection];
    answered.extend(own.iter().chain(&others));
    cache::forget(&mut *conn, &answered).await?;
    let status = NewStatus {
        status: AccountStatus::Active.as_str(),
        actor: &actor.name,
        reason: "connected",
    };
    accounts::set_status(&mut *conn, &own, status).await?;
    accounts::set_status_of_connection(&mut *conn, connection, status).await?;
    if is_whole {
        let kind = AccountKind::AdAccount.as_str();
        accounts::vanish(&mut *conn, connection, kind, &own).await?;
        connections::listed_at_connect(&mut *conn, connection).await?;
    }
    end_left_empty(conn, &others).await?;
    follow(
        conn,
        connection,
        AccountStatus::Active,
        ("connected", actor),
    )
    .await
}

/// Takes the secrets of grants that reach nothing any more.
pub(super) async fn end_left_empty(
    conn: &mut PgConnection,
    grants: &[Uuid],
) -> Result<(), sqlx::Error> {
    for grant in grants {
        if accounts::is_left_empty(&mut *conn, *grant).await? {
            connections::wipe(&mut *conn, *grant).await?;
        }
    }
    Ok(())
}

async fn note(
    conn: &mut PgConnection,
    new: &NewGrant,
    (connection, reached): (Uuid, usize),
    actor: &Actor,
) -> Result<(), sqlx::Error> {
    let target = connection.to_string();
    let actor = acting_for(actor, new.tenant.clone());
    let deed = Deed {
        action: DEED,
        target: Some(&target),
        reason: None,
        count: i64::try_from(reached).unwrap_or(i64::MAX),
        detail: json!({"platform": new.platform.as_str(), "subject_known": new.subject.is_some()}),
    };
    Queue::note_in(conn, deed, &actor).await
}

/// What calls are made with while a grant is not stored yet.
pub(super) fn access(grant: &Grant, manager: Option<&str>) -> Access {
    Access {
        token: grant.access_token.clone(),
        token_secret: grant.token_secret.clone(),
        manager: manager.map(str::to_owned),
    }
}

/// What a platform says about a grant that is not connected yet is about what was sent, and about no account of ours.
fn refused(error: ProviderError) -> AccountsError {
    match error {
        ProviderError::AuthExpired { detail } => AccountsError::invalid(
            "/access_token",
            format!("is refused by the platform: {detail}"),
        ),
        ProviderError::Permission { detail } => AccountsError::invalid(
            "/access_token",
            format!("lacks a right at the platform: {detail}"),
        ),
        other => other.into(),
    }
}

/// Whether a platform may well tell the same in a while.
fn is_passing(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::Unavailable { .. }
            | ProviderError::TimedOut { .. }
            | ProviderError::RateLimited { .. }
            | ProviderError::Postponed { .. }
    )
}

/// The preferences that are said; what is not said stays as it is stored.
pub(super) fn said(notifications: NotificationChange) -> Value {
    let NotificationChange {
        token_expiry,
        sync_errors,
        alerts,
        digest,
    } = notifications;
    let all = [
        ("token_expiry", token_expiry),
        ("sync_errors", sync_errors),
        ("alerts", alerts),
        ("digest", digest),
    ];
    let said = all
        .into_iter()
        .filter_map(|(name, wanted)| Some((name.to_owned(), Value::Bool(wanted?))));
    Value::Object(said.collect::<Map<_, _>>())
}

fn check(new: &NewGrant) -> Result<(), AccountsError> {
    let access_token = Some(&new.grant.access_token);
    let can_be_got = new.grant.refresh_token.is_some();
    let access_token =
        access_token.filter(|token| !(can_be_got && token.expose_secret().is_empty()));
    check_token("/access_token", access_token)?;
    check_token("/refresh_token", new.grant.refresh_token.as_ref())?;
    check_token("/token_secret", new.grant.token_secret.as_ref())?;
    check_address(OWNER_EMAIL, new.owner_email.as_deref())?;
    check_name("/tenant", new.tenant.as_deref())?;
    check_name("/subject", new.subject.as_deref())?;
    check_name("/manager", new.manager.as_deref())?;
    if new.external_ids.len() > MOST_NAMED {
        return Err(AccountsError::invalid(
            "/external_ids",
            "must name at most 100 accounts: leave it out to connect all",
        ));
    }
    for id in &new.external_ids {
        check_name("/external_ids", Some(id))?;
    }
    Ok(())
}

fn check_token(pointer: &'static str, token: Option<&SecretString>) -> Result<(), AccountsError> {
    let is_token = |token: &SecretString| {
        let token = token.expose_secret();
        !token.is_empty()
            && token.len() <= LONGEST_TOKEN
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if token.is_none_or(is_token) {
        return Ok(());
    }
    Err(AccountsError::invalid(
        pointer,
        "must have 1 to 8,192 characters, none of them a blank or beyond ASCII",
    ))
}

pub(super) fn check_name(pointer: &'static str, name: Option<&str>) -> Result<(), AccountsError> {
    let is_name = |name: &str| {
        (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    if name.is_none_or(is_name) {
        return Ok(());
    }
    Err(AccountsError::invalid(
        pointer,
        "must have 1 to 255 characters, none of them a control character",
    ))
}
