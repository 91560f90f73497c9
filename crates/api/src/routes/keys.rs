//! API keys: made, listed, revoked, by keys that are bound to no tenant.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use chrono::{DateTime, Utc};
use queue::NewKey;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    answers::{ApiKey, CreatedKey, Page},
    auth::{Caller, Scope},
    body::RequestBody,
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("api-keys")
        .fleet_key(Scope::Admin, __path_create_key, create_key)
        .fleet_key(Scope::Admin, __path_list_keys, list_keys)
        .fleet_key(Scope::Admin, __path_revoke_key, revoke_key)
}

/// A key to be made.
#[derive(ToSchema)]
struct NewKeyRequest {
    /// 1 to 100 characters.
    #[schema(example = "shop backend")]
    name: String,
    /// `enqueue`, `enqueue:FAMILY.*`, `enqueue:KIND`, `read`, `operate`, `admin`.
    #[schema(example = json!(["enqueue:email.*", "read"]))]
    scopes: Vec<String>,
    /// Binds the key to a tenant, for good.
    tenant: Option<String>,
    /// When it ends by itself.
    expires_at: Option<DateTime<Utc>>,
}

impl NewKeyRequest {
    fn read(body: &RequestBody) -> Result<NewKey, ApiError> {
        let mut object = body.object()?;
        let request = Self {
            name: object.required_text("name"),
            scopes: object.words("scopes").unwrap_or_default(),
            tenant: object.text("tenant"),
            expires_at: object.time("expires_at"),
        };
        object.finish()?;
        let Self {
            name,
            scopes,
            tenant,
            expires_at,
        } = request;
        Ok(NewKey {
            name,
            scopes,
            tenant,
            expires_at,
        })
    }
}

/// Makes a key. Its secret is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/v1/api-keys",
    request_body = NewKeyRequest,
    responses((status = 201, description = "The key, with its secret", body = CreatedKey)),
)]
async fn create_key(
    State(state): State<ApiState>,
    caller: Caller,
    body: RequestBody,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<CreatedKey>), ApiError> {
    let request = NewKeyRequest::read(&body)?;
    let (key, secret) = state.queue().create_key(request, &caller.actor()).await?;
    let location = [(header::LOCATION, format!("/v1/api-keys/{}", key.id))];
    Ok((
        StatusCode::CREATED,
        location,
        Json(CreatedKey::new(key, &secret)),
    ))
}

/// Lists the keys, revoked ones included.
#[utoipa::path(
    get,
    path = "/v1/api-keys",
    params(
        ("limit" = Option<i64>, Query, description = "Items on a page: 1 to 500, 50 unless said"),
        ("cursor" = Option<String>, Query, description = "`next` of this list's page before"),
    ),
    responses((status = 200, description = "A page", body = Page<ApiKey>)),
)]
async fn list_keys(
    State(state): State<ApiState>,
    caller: Caller,
    query: QueryString,
) -> Result<Json<Page<ApiKey>>, ApiError> {
    let page = query.page()?;
    let keys = state
        .queue()
        .keys(&page, caller.tenant())
        .await
        .map_err(ApiError::Listing)?;
    Ok(Json(keys.into()))
}

/// Revokes a key for good: at once in this process, within a second in the others.
#[utoipa::path(
    delete,
    path = "/v1/api-keys/{id}",
    params(("id" = Uuid, Path, description = "The key's id")),
    responses((status = 200, description = "The revoked key", body = ApiKey)),
)]
async fn revoke_key(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(id): Segment<Uuid>,
    body: RequestBody,
) -> Result<Json<ApiKey>, ApiError> {
    body.nothing()?;
    let key = state.queue().revoke_key(id, &caller.actor()).await?;
    Ok(Json(key.into()))
}
