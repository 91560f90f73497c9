//! What Meta sends of its own accord: whether it may, and events. An event is answered as soon as it is on disk.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use marketing::{
    accounts::AccountsError,
    inbound::{LARGEST_BYTES, SIGNATURE_HEADER},
};

use crate::{
    body::RawBody, error::ApiError, openapi::Operations, query::QueryString, state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("webhooks")
        .public(__path_shake_hands, shake_hands)
        .public(__path_receive_meta, receive_meta)
}

/// Meta's handshake: it asks whether events may be sent here, and gets its challenge back.
#[utoipa::path(
    get,
    path = "/webhooks/meta",
    params(
        ("hub.mode" = String, Query, description = "`subscribe`"),
        ("hub.verify_token" = String, Query, description = "What `MILLPOND_META_WEBHOOK_VERIFY_TOKEN` is set to"),
        ("hub.challenge" = String, Query, description = "Comes back as it is"),
    ),
    responses(
        (status = 200, description = "The challenge", body = String, content_type = "text/plain"),
        (status = 400, description = "There is no challenge"),
        (status = 403, description = "The token is not ours, or none is set here"),
    ),
)]
async fn shake_hands(
    State(state): State<ApiState>,
    mut query: QueryString,
) -> Result<([(HeaderName, &'static str); 1], String), ApiError> {
    let mode = query.text("hub.mode");
    let token = query.text("hub.verify_token");
    let challenge = query.text("hub.challenge");
    let inbound = state.accounts().inbound();
    let answer = inbound.challenge(mode.as_deref(), token.as_deref(), challenge.as_deref())?;
    let text = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok(([text], answer.to_owned()))
}

/// Takes events from Meta. Copies of events that are known change nothing.
#[utoipa::path(
    post,
    path = "/webhooks/meta",
    params(("X-Hub-Signature-256" = String, Header, description = "`sha256=` and the HMAC of the body under the app's secret")),
    request_body(content = String, content_type = "application/json", description = "Events, at most 5 MiB"),
    responses(
        (status = 200, description = "They are stored"),
        (status = 401, description = "Meta did not sign it"),
        (status = 409, description = "This process is not set up for it"),
        (status = 503, description = "The database cannot be reached, or there are too many requests: it is to be sent again"),
    ),
)]
async fn receive_meta(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: RawBody<LARGEST_BYTES>,
) -> Result<StatusCode, ApiError> {
    let _place = state.place()?;
    let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) => Some(one.as_bytes().to_vec()),
        _ => None,
    };
    let inbound = state.accounts().inbound();
    let receiving = inbound.receive(signature, body.bytes.clone());
    match Box::pin(receiving).await {
        Ok(_new) => Ok(StatusCode::OK),
        Err(AccountsError::NotSigned) => Err(ApiError::Unsigned),
        Err(error) => Err(error.into()),
    }
}
