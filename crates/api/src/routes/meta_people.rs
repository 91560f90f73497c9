//! What Meta tells of people: that they took the app's access back, or want to be forgotten. Its requests are signed with
//! the app's secret.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};

use crate::{
    answers::DeletionReceipt, body::Form, error::ApiError, openapi::Operations, query::Segment,
    state::ApiState,
};

/// The field of Meta's forms.
const SIGNED_REQUEST: &str = "signed_request";

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("webhooks")
        .public(__path_deauthorize_meta, deauthorize_meta)
        .public(__path_delete_meta_person, delete_meta_person)
        .public(__path_show_meta_deletion, show_meta_deletion)
}

/// Meta's deauthorisation callback: a person took the app's access back, and what that person gave is disconnected.
#[utoipa::path(
    post,
    path = "/webhooks/meta/deauthorize",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`signed_request`"),
    responses(
        (status = 204, description = "It is disconnected"),
        (status = 403, description = "Meta did not sign it"),
        (status = 409, description = "This process is not set up for it"),
        (status = 503, description = "The database cannot be reached, or there are too many requests: it is to be sent again"),
    ),
)]
async fn deauthorize_meta(
    State(state): State<ApiState>,
    form: Form,
) -> Result<StatusCode, ApiError> {
    let _place = state.place()?;
    let request = form.field(SIGNED_REQUEST).unwrap_or_default();
    let disconnecting = state.accounts().deauthorized(request);
    let grants = Box::pin(disconnecting).await?;
    tracing::info!(grants, "Meta says that a person took the app's access back");
    Ok(StatusCode::NO_CONTENT)
}

/// Meta's data-deletion callback: a person wants to be forgotten; grants are ended and nothing that names the person stays.
#[utoipa::path(
    post,
    path = "/webhooks/meta/data-deletion",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`signed_request`"),
    responses(
        (status = 200, description = "It is done", body = DeletionReceipt),
        (status = 403, description = "Meta did not sign it"),
        (status = 409, description = "This process is not set up for it"),
        (status = 503, description = "The database cannot be reached, or there are too many requests: it is to be sent again"),
    ),
)]
async fn delete_meta_person(
    State(state): State<ApiState>,
    form: Form,
) -> Result<Json<DeletionReceipt>, ApiError> {
    let _place = state.place()?;
    let request = form.field(SIGNED_REQUEST).unwrap_or_default();
    let deleting = state.accounts().delete_person(request);
    let receipt = Box::pin(deleting).await?;
    tracing::info!("Meta says that a person wants to be forgotten, and that is done");
    Ok(Json(receipt.into()))
}

/// Shows a person that what Meta asked for was done.
#[utoipa::path(
    get,
    path = "/webhooks/meta/data-deletion/{code}",
    params(("code" = String, Path, description = "The confirmation code")),
    responses(
        (status = 200, description = "When it was done", body = String, content_type = "text/plain"),
        (status = 503, description = "The database cannot be reached, or there are too many requests"),
    ),
)]
async fn show_meta_deletion(
    State(state): State<ApiState>,
    Segment(code): Segment<String>,
) -> Result<([(HeaderName, &'static str); 1], String), ApiError> {
    let _place = state.place()?;
    let done_at = state.accounts().deletion_done_at(&code).await?;
    let text = format!(
        "Your data was deleted on {}. Nothing that names you is left here.\n",
        done_at.format("%Y-%m-%d at %H:%M UTC")
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text))
}
