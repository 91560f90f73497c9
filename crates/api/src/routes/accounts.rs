//! Connected accounts: tokens go in and never come out.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use marketing::{
    accounts::{
        AccountChange, AccountFilter, AccountId, AccountOrder, AccountStatus, AccountsError,
        ConnectionId, Extent, NewGrant, NotificationChange,
    },
    platform::{Grant, Platform},
};
use queue::error_chain;
use secrecy::SecretString;
use utoipa::ToSchema;

use crate::{
    answers::{
        Account, AccountDetail, ConnectedAccounts, DisconnectedAccounts, ListedAccount, Page,
    },
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    json::Object,
    openapi::Operations,
    problem::{FieldProblem, Problem},
    query::{QueryString, Segment},
    state::ApiState,
};

/// Why something is disconnected, unless it is said.
const ASKED_FOR: &str = "disconnected by request";

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("accounts")
        .key(Scope::Admin, __path_connect_account, connect_account)
        .key(Scope::Admin, __path_list_accounts, list_accounts)
        .key(Scope::Admin, __path_get_account, get_account)
        .key(Scope::Admin, __path_change_account, change_account)
        .key(Scope::Admin, __path_disconnect_account, disconnect_account)
}

/// A grant of somebody's: what it reaches is connected.
#[derive(ToSchema)]
struct ConnectRequest {
    /// `meta`, `google_ads`, `linkedin`, `tiktok` or `x`.
    #[schema(value_type = String, example = "meta")]
    platform: Option<Platform>,
    /// May be left out where there is a refresh token: it is got for that.
    access_token: Option<String>,
    refresh_token: Option<String>,
    /// The second half of a token of OAuth 1.0a (X).
    token_secret: Option<String>,
    /// When the access token ends; the platform is asked unless it is said.
    expires_at: Option<DateTime<Utc>>,
    refresh_expires_at: Option<DateTime<Utc>>,
    /// Whose the accounts are to be.
    tenant: Option<String>,
    /// The platform's id of whoever gave the grant.
    subject: Option<String>,
    /// The manager account through which access is given (Google Ads).
    manager: Option<String>,
    /// Who is told of what concerns the accounts.
    #[schema(example = "ada@example.com")]
    owner_email: Option<String>,
    notifications: Option<NotificationRequest>,
    /// Only these accounts, by the platform's ids, at most 100; all that the grant reaches unless said.
    external_ids: Option<Vec<String>>,
}

/// What an owner wants to hear of; what is not said stays as it is, or is wanted.
#[derive(ToSchema)]
struct NotificationRequest {
    token_expiry: Option<bool>,
    sync_errors: Option<bool>,
    alerts: Option<bool>,
    digest: Option<bool>,
}

impl NotificationRequest {
    fn read(object: &mut Object<'_>) -> Option<Self> {
        let mut inner = object.object("notifications")?;
        let read = Self {
            token_expiry: inner.choice("token_expiry"),
            sync_errors: inner.choice("sync_errors"),
            alerts: inner.choice("alerts"),
            digest: inner.choice("digest"),
        };
        object.close(inner);
        Some(read)
    }

    fn change(read: Option<Self>) -> NotificationChange {
        read.map(NotificationChange::from).unwrap_or_default()
    }
}

impl From<NotificationRequest> for NotificationChange {
    fn from(request: NotificationRequest) -> Self {
        Self {
            token_expiry: request.token_expiry,
            sync_errors: request.sync_errors,
            alerts: request.alerts,
            digest: request.digest,
        }
    }
}

impl ConnectRequest {
    fn read(body: &RequestBody) -> Result<Self, ApiError> {
        let mut object = body.object()?;
        let platform = object.required_text("platform");
        let platform = match platform.parse::<Platform>() {
            Ok(platform) => Some(platform),
            Err(error) => {
                if !platform.is_empty() {
                    object.problem("platform", error.to_string());
                }
                None
            }
        };
        let request = Self {
            platform,
            access_token: object.text("access_token"),
            refresh_token: object.text("refresh_token"),
            token_secret: object.text("token_secret"),
            expires_at: object.time("expires_at"),
            refresh_expires_at: object.time("refresh_expires_at"),
            tenant: object.text("tenant"),
            subject: object.text("subject"),
            manager: object.text("manager"),
            owner_email: object.text("owner_email"),
            notifications: NotificationRequest::read(&mut object),
            external_ids: object.words("external_ids"),
        };
        if request.access_token.is_none() && request.refresh_token.is_none() {
            object.problem(
                "access_token",
                "is required, unless there is a refresh_token",
            );
        }
        object.finish()?;
        Ok(request)
    }

    /// The grant that is meant, for a tenant that the caller may mean.
    fn grant(self, caller: &Caller) -> Result<NewGrant, ApiError> {
        let secret = |text: Option<String>| text.map(SecretString::from);
        let is_missing = || FieldProblem::new("/platform", "is required");
        let platform = self.platform;
        Ok(NewGrant {
            platform: platform.ok_or_else(|| ApiError::Invalid(vec![is_missing()]))?,
            tenant: caller.tenant_for(self.tenant)?,
            grant: Grant {
                access_token: SecretString::from(self.access_token.unwrap_or_default()),
                token_secret: secret(self.token_secret),
                refresh_token: secret(self.refresh_token),
            },
            subject: self.subject,
            scopes: Vec::new(),
            manager: self.manager,
            owner_email: self.owner_email,
            notifications: NotificationRequest::change(self.notifications),
            expires_at: self.expires_at,
            refresh_expires_at: self.refresh_expires_at,
            external_ids: self.external_ids.unwrap_or_default(),
        })
    }
}

/// Connects what a grant reaches.
///
/// The platform is asked first: a grant that does not work is refused and not stored. Accounts that were connected before
/// go over to this grant, and jobs that waited for them go on.
#[utoipa::path(
    post,
    path = "/v1/accounts",
    request_body = ConnectRequest,
    responses(
        (status = 201, description = "What was connected", body = ConnectedAccounts),
        (status = 409, description = "This process is not set up for it; the detail says what to set"),
        (status = 422, description = "A member is wrong, or the platform refuses the grant or reaches nothing with it"),
        (status = 429, description = "The API key makes too many requests, or the platform asks for a pause"),
        (status = 503, description = "The platform or the database cannot be reached"),
    ),
)]
async fn connect_account(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<(StatusCode, Json<ConnectedAccounts>), ApiError> {
    let new = ConnectRequest::read(&body)?.grant(&caller)?;
    let (accounts, actor) = (state.accounts().clone(), caller.actor());
    // What a refresh token is exchanged for comes once, and is not to be lost with a client that leaves.
    let connecting = Box::pin(async move { accounts.connect(new, &actor).await });
    let connected = state.to_its_end(connecting).await??;
    Ok((StatusCode::CREATED, Json(connected.into())))
}

/// Lists accounts, in the order in which they were found, or the ones first of which what is stored is oldest.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    params(
        ("platform" = Option<String>, Query, description = "Only this platform's"),
        ("status" = Option<String>, Query, description = "`active`, `expiring`, `needs_reauth` or `disconnected`"),
        ("connection" = Option<Uuid>, Query, description = "Only those of this grant"),
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("order" = Option<String>, Query, description = "`found`, or `behind`: the ad accounts that are synced, the ones most behind first"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ListedAccount>)),
)]
async fn list_accounts(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<ListedAccount>>, ApiError> {
    let filter = AccountFilter {
        platform: query.word::<Platform>("platform"),
        status: query.word::<AccountStatus>("status"),
        connection: query.word::<ConnectionId>("connection"),
        tenant: caller.tenant_for(query.text("tenant"))?,
    };
    let order = query.word("order").unwrap_or(AccountOrder::Found);
    let page = query.page()?;
    let accounts = state.accounts().listed(&filter, order, &page).await?;
    Ok(Json(accounts.into()))
}

/// Shows an account, with what became of it.
#[utoipa::path(
    get,
    path = "/v1/accounts/{id}",
    params(("id" = Uuid, Path, description = "The account's id")),
    responses((status = 200, description = "The account", body = AccountDetail)),
)]
async fn get_account(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
) -> Result<Json<AccountDetail>, ApiError> {
    let account = state.accounts().get(id, caller.tenant()).await?;
    let history = state.accounts().history(id).await?;
    Ok(Json(AccountDetail::new(account, history)))
}

/// What an owner decides about an account; what is not said stays as it is.
#[derive(ToSchema)]
struct ChangeRequest {
    /// Whether it is synced.
    sync_enabled: Option<bool>,
    /// Who is told of what concerns it; null: nobody. Of all accounts of the grant.
    owner_email: Option<String>,
    /// Of all accounts of the grant.
    notifications: Option<NotificationRequest>,
}

impl ChangeRequest {
    fn read(body: &RequestBody) -> Result<AccountChange, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            sync_enabled: object.choice("sync_enabled"),
            owner_email: object.text_or_null("owner_email"),
            notifications: NotificationRequest::read(&mut object),
        };
        object.finish()?;
        let Self {
            sync_enabled,
            owner_email,
            notifications,
        } = request;
        Ok(AccountChange {
            sync_enabled,
            owner_email,
            notifications: NotificationRequest::change(notifications),
        })
    }
}

/// Changes what an owner decides: whether the account is synced, and who is told of what.
#[utoipa::path(
    patch,
    path = "/v1/accounts/{id}",
    params(("id" = Uuid, Path, description = "The account's id")),
    request_body = ChangeRequest,
    responses((status = 200, description = "The account as it now stands", body = Account)),
)]
async fn change_account(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    body: RequestBody,
) -> Result<Json<Account>, ApiError> {
    let change = ChangeRequest::read(&body)?;
    let changed = state
        .accounts()
        .change(id, &change, &caller.actor())
        .await?;
    Ok(Json(changed.into()))
}

/// Disconnects an account: its waiting jobs are cancelled.
///
/// With the last account of a grant, or with `grant=true` with all of them, the grant ends: its secrets are wiped, and the
/// platform is asked to take it back.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{id}",
    params(
        ("id" = Uuid, Path, description = "The account's id"),
        ("grant" = Option<bool>, Query, description = "All accounts of its grant"),
        ("reason" = Option<String>, Query, description = "Why; kept in the account's history"),
    ),
    responses((status = 200, description = "What was disconnected", body = DisconnectedAccounts)),
)]
async fn disconnect_account(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<AccountId>,
    mut query: QueryString,
    body: RequestBody,
) -> Result<Json<DisconnectedAccounts>, ApiError> {
    let extent = match query.word::<bool>("grant") {
        Some(true) => Extent::Grant,
        Some(false) | None => Extent::Account,
    };
    let reason = query.text("reason");
    query.finish()?;
    body.nothing()?;
    let (accounts, actor) = (state.accounts().clone(), caller.actor());
    // Once its secrets are wiped, nobody else can ask the platform to take the grant back.
    let disconnecting = Box::pin(async move {
        let reason = reason.as_deref().unwrap_or(ASKED_FOR);
        let done = accounts.disconnect(id, extent, reason, &actor).await?;
        let revoked = accounts.revoke(&done).await.map_err(|error| {
            let why = error_chain(&error);
            tracing::warn!(account.id = %id, error = why, "a grant that was disconnected could not be taken back");
            // What is wrong with our own set-up is for the log here too.
            Problem::from(ApiError::from(error)).detail
        });
        Ok::<_, AccountsError>(DisconnectedAccounts::new(&done, revoked))
    });
    Ok(Json(state.to_its_end(disconnecting).await??))
}
