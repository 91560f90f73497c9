//! Customers' endpoints: where they are told of what happens. Their secrets come out once.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use chrono::{DateTime, Utc};
use marketing::outbound::{DeliveryState, EndpointChange, EndpointId, NewEndpoint};
use utoipa::ToSchema;

use crate::{
    answers::{Page, SentAgain, WebhookDelivery, WebhookEndpoint, WebhookEndpointSecret},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    problem::FieldProblem,
    query::{QueryString, Segment},
    state::ApiState,
};

/// For how long an old secret goes on beside the new one, unless it is said.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("webhook-endpoints")
        .key(Scope::Admin, __path_create_endpoint, create_endpoint)
        .key(Scope::Read, __path_list_endpoints, list_endpoints)
        .key(Scope::Read, __path_get_endpoint, get_endpoint)
        .key(Scope::Admin, __path_change_endpoint, change_endpoint)
        .key(Scope::Admin, __path_delete_endpoint, delete_endpoint)
        .key(Scope::Read, __path_list_deliveries, list_deliveries)
        .key(Scope::Admin, __path_rotate_secret, rotate_secret)
        .key(Scope::Operate, __path_test_endpoint, test_endpoint)
        .key(Scope::Operate, __path_replay_deliveries, replay_deliveries)
}

/// An endpoint to be made.
#[derive(ToSchema)]
struct EndpointRequest {
    /// https, at a public address.
    #[schema(example = "https://app.example.com/hooks/millpond")]
    url: String,
    /// At most 200 characters.
    description: Option<String>,
    /// What it wants to hear of: `account.needs_reauth`, `account.status_changed`, `alert.fired`, `conversion.rejected`,
    /// `entity.changed`, `job.dead`, `lead.created`, `sync.completed`, `sync.failed`. None stands for everything, what later
    /// releases tell of included.
    #[schema(example = json!(["sync.failed", "account.needs_reauth"]))]
    events: Option<Vec<String>>,
    /// Who is told when it is switched off because nothing gets through.
    #[schema(example = "ada@example.com")]
    owner_email: Option<String>,
    /// Whose events it is told. Unless said, those that belong to no tenant, or to the tenant that the key is bound to.
    tenant: Option<String>,
}

impl EndpointRequest {
    fn read(body: &RequestBody, caller: &Caller) -> Result<NewEndpoint, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            url: object.required_text("url"),
            description: object.text("description"),
            events: object.words("events"),
            owner_email: object.text("owner_email"),
            tenant: object.text("tenant"),
        };
        object.finish()?;
        Ok(NewEndpoint {
            tenant: caller.tenant_for(request.tenant)?,
            url: request.url,
            description: request.description.unwrap_or_default(),
            events: request.events.unwrap_or_default(),
            owner_email: request.owner_email,
        })
    }
}

/// Makes an endpoint. Its secret is in this answer and nowhere else.
///
/// What happens is sent there as Standard Webhooks, each message again until it is taken: receivers know messages by
/// `webhook-id`. At most 50 endpoints a tenant.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints",
    request_body = EndpointRequest,
    responses(
        (status = 201, description = "The endpoint, with its secret", body = WebhookEndpointSecret),
        (status = 409, description = "The tenant has 50 already, or this process has no keys to seal secrets with"),
    ),
)]
async fn create_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<
    (
        StatusCode,
        [(HeaderName, String); 1],
        Json<WebhookEndpointSecret>,
    ),
    ApiError,
> {
    let new = EndpointRequest::read(&body, &caller)?;
    let (endpoint, secret) = state.outbound().create(&new, &caller.actor()).await?;
    let path = format!("/v1/webhook-endpoints/{}", endpoint.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, path)],
        Json(WebhookEndpointSecret::new(endpoint, &secret)),
    ))
}

/// Lists endpoints, in the order in which they were made.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints",
    params(
        ("tenant" = Option<String>, Query, description = "Only this tenant's"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<WebhookEndpoint>)),
)]
async fn list_endpoints(
    State(state): State<ApiState>,
    caller: Caller,
    mut query: QueryString,
) -> Result<Json<Page<WebhookEndpoint>>, ApiError> {
    let tenant = caller.tenant_for(query.text("tenant"))?;
    let page = query.page()?;
    let endpoints = state.outbound().list(tenant.as_deref(), &page).await?;
    Ok(Json(endpoints.into()))
}

/// Shows an endpoint.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint", body = WebhookEndpoint)),
)]
async fn get_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let endpoint = state.outbound().get(id, caller.tenant()).await?;
    Ok(Json(endpoint.into()))
}

/// What changes about an endpoint; what is not said stays as it is.
#[derive(ToSchema)]
struct EndpointChangeRequest {
    url: Option<String>,
    description: Option<String>,
    /// None stands for everything.
    events: Option<Vec<String>>,
    /// Null: nobody.
    owner_email: Option<String>,
    /// `enabled` or `disabled`.
    #[schema(example = "enabled")]
    status: Option<String>,
}

impl EndpointChangeRequest {
    fn read(body: &RequestBody) -> Result<EndpointChange, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            url: object.text("url"),
            description: object.text("description"),
            events: object.words("events"),
            owner_email: object.text_or_null("owner_email"),
            status: object.text("status"),
        };
        let is_enabled = match request.status.as_deref() {
            None => None,
            Some("enabled") => Some(true),
            Some("disabled") => Some(false),
            Some(_) => {
                object.problem("status", "must be enabled or disabled");
                None
            }
        };
        object.finish()?;
        Ok(EndpointChange {
            url: request.url,
            description: request.description,
            events: request.events,
            owner_email: request.owner_email,
            is_enabled,
        })
    }
}

/// Changes an endpoint, or switches it on or off.
///
/// What happens while it is off is noted and not sent; once it is on, `replay` sends it. Messages on their way go to the new
/// address.
#[utoipa::path(
    patch,
    path = "/v1/webhook-endpoints/{id}",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    request_body = EndpointChangeRequest,
    responses((status = 200, description = "The endpoint as it now stands", body = WebhookEndpoint)),
)]
async fn change_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    body: RequestBody,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    let change = EndpointChangeRequest::read(&body)?;
    let changed = state
        .outbound()
        .change(id, &change, &caller.actor())
        .await?;
    Ok(Json(changed.into()))
}

/// Deletes an endpoint for good. What waits for it is not sent.
#[utoipa::path(
    delete,
    path = "/v1/webhook-endpoints/{id}",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The deleted endpoint", body = WebhookEndpoint)),
)]
async fn delete_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    body: RequestBody,
) -> Result<Json<WebhookEndpoint>, ApiError> {
    body.nothing()?;
    let deleted = state.outbound().delete(id, &caller.actor()).await?;
    Ok(Json(deleted.into()))
}

/// Lists what an endpoint was told, the newest first. It is kept for 30 days.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}/deliveries",
    params(
        ("id" = Uuid, Path, description = "The endpoint's id"),
        ("state" = Option<String>, Query, description = "`pending`, `succeeded`, `failed` or `missed`"),
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<WebhookDelivery>)),
)]
async fn list_deliveries(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    mut query: QueryString,
) -> Result<Json<Page<WebhookDelivery>>, ApiError> {
    let of = query.word::<DeliveryState>("state");
    let page = query.page()?;
    let deliveries = state
        .outbound()
        .deliveries(id, caller.tenant(), (of, &page))
        .await?;
    Ok(Json(deliveries.into()))
}

/// How an old secret ends.
#[derive(ToSchema)]
struct RotateRequest {
    /// For how long messages are signed with the old secret, too, in words: at most 7 days, 24 hours unless said. "0s": not at all.
    #[schema(value_type = Option<String>, example = "24h")]
    overlap: Option<Duration>,
}

impl RotateRequest {
    fn read(body: &RequestBody) -> Result<Duration, ApiError> {
        let mut object = body.object_or_nothing()?;
        let request = Self {
            overlap: object.duration("overlap"),
        };
        object.finish()?;
        Ok(request.overlap.unwrap_or(OVERLAP))
    }
}

/// Gives an endpoint a new secret, which is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/rotate-secret",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    request_body = RotateRequest,
    responses(
        (status = 200, description = "The endpoint, with its new secret", body = WebhookEndpointSecret),
        (status = 409, description = "This process has no keys to seal secrets with"),
    ),
)]
async fn rotate_secret(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    body: RequestBody,
) -> Result<Json<WebhookEndpointSecret>, ApiError> {
    let overlap = RotateRequest::read(&body)?;
    let outbound = state.outbound();
    let (endpoint, secret) = outbound.rotate_secret(id, overlap, &caller.actor()).await?;
    Ok(Json(WebhookEndpointSecret::new(endpoint, &secret)))
}

/// Sends an endpoint a message `webhook.test`, also where it is switched off.
///
/// How it went stands among the deliveries.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/test",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    responses((status = 202, description = "The message is on its way", body = WebhookDelivery)),
)]
async fn test_endpoint(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    body: RequestBody,
) -> Result<(StatusCode, Json<WebhookDelivery>), ApiError> {
    body.nothing()?;
    let delivery = state
        .outbound()
        .test(id, Utc::now(), &caller.actor())
        .await?;
    Ok((StatusCode::ACCEPTED, Json(delivery.into())))
}

/// A span of time.
#[derive(ToSchema)]
struct SpanRequest {
    /// What was taken up at this time or later.
    #[schema(value_type = DateTime<Utc>)]
    since: Option<DateTime<Utc>>,
    /// What was taken up before this time; now unless said.
    until: Option<DateTime<Utc>>,
}

impl SpanRequest {
    fn read(body: &RequestBody) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
        let mut object = body.object()?;
        let request = Self {
            since: object.time("since"),
            until: object.time("until"),
        };
        object.finish()?;
        let is_missing = || ApiError::Invalid(vec![FieldProblem::new("/since", "is required")]);
        let since = request.since.ok_or_else(is_missing)?;
        Ok((since, request.until.unwrap_or_else(Utc::now)))
    }
}

/// Sends an endpoint again what did not get through of a span of time: what was given up, and what it missed while it was
/// switched off.
///
/// The messages bear the `webhook-id`s that they had.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/replay",
    params(("id" = Uuid, Path, description = "The endpoint's id")),
    request_body = SpanRequest,
    responses(
        (status = 202, description = "How many messages are on their way", body = SentAgain),
        (status = 409, description = "The endpoint is switched off"),
    ),
)]
async fn replay_deliveries(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<EndpointId>,
    body: RequestBody,
) -> Result<(StatusCode, Json<SentAgain>), ApiError> {
    let span = SpanRequest::read(&body)?;
    let sent = state
        .outbound()
        .send_again(id, span, &caller.actor())
        .await?;
    Ok((StatusCode::ACCEPTED, Json(sent.into())))
}
