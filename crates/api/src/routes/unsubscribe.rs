//! Where recipients end mails of a sort. A look at the page ends nothing, since programs look at every address in a mail; a
//! POST does, at once and without a sign-in, as RFC 8058 has it.

use axum::{
    extract::State,
    http::{HeaderName, header},
};
use marketing::accounts::{AccountsError, Subscription};

use crate::{error::ApiError, openapi::Operations, query::Segment, state::ApiState};

/// A page, with what keeps it to itself: its address is good for ever.
type Page = ([(HeaderName, &'static str); 4], String);

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("mail")
        .public(__path_show_unsubscribe, show_unsubscribe)
        .public(__path_unsubscribe, unsubscribe)
}

/// Asks whoever followed the link in a mail whether mails of that sort are to end. Nothing changes.
#[utoipa::path(
    get,
    path = "/unsubscribe/{token}",
    params(("token" = String, Path, description = "As in the mail's `List-Unsubscribe`")),
    responses(
        (status = 200, description = "A page with a button", body = String, content_type = "text/html"),
        (status = 404, description = "The address is not one of ours, or its key is gone"),
        (status = 409, description = "This process is not set up for it"),
        (status = 503, description = "There are too many requests"),
    ),
)]
async fn show_unsubscribe(
    State(state): State<ApiState>,
    Segment(token): Segment<String>,
) -> Result<Page, ApiError> {
    let _place = state.place()?;
    let subscription = subscription(&state, &token)?;
    let what = subscription.topic.in_words();
    let question = format!(
        "<h1>Stop {what}?</h1>\n<form method=\"post\"><button type=\"submit\">Stop them</button></form>"
    );
    Ok((headers(), page(&question)))
}

/// Ends mails of that sort for whoever got the mail: RFC 8058's one click. Whatever the body says is not looked at; sent twice,
/// it is done once.
#[utoipa::path(
    post,
    path = "/unsubscribe/{token}",
    params(("token" = String, Path, description = "As in the mail's `List-Unsubscribe`")),
    responses(
        (status = 200, description = "They have ended", body = String, content_type = "text/html"),
        (status = 404, description = "The address is not one of ours, or its key is gone"),
        (status = 409, description = "This process is not set up for it"),
        (status = 503, description = "The database cannot be reached, or there are too many requests: it is to be sent again"),
    ),
)]
async fn unsubscribe(
    State(state): State<ApiState>,
    Segment(token): Segment<String>,
) -> Result<Page, ApiError> {
    let _place = state.place()?;
    let subscription = subscription(&state, &token)?;
    Box::pin(state.accounts().unsubscribe(&subscription)).await?;
    tracing::info!(mail.topic = %subscription.topic, "a recipient ended mails of a sort");
    let what = subscription.topic.in_words();
    let done = format!(
        "<h1>You get no more {what}</h1>\n<p>Mails that are on their way may still arrive. You can close this page.</p>"
    );
    Ok((headers(), page(&done)))
}

/// What a token ends. Whoever followed a link that is none of ours is told of no account.
fn subscription(state: &ApiState, token: &str) -> Result<Subscription, ApiError> {
    state
        .accounts()
        .subscription(token)
        .map_err(|error| match error {
            AccountsError::NotFound => ApiError::NotFound,
            error => error.into(),
        })
}

fn headers() -> [(HeaderName, &'static str); 4] {
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
        ),
    ]
}

fn page(content: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>Mails</title>\n\
         <style>body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1.5rem; \
         color: #1c232b; background: #fff }} h1 {{ font-size: 1.5rem; font-weight: 600 }} \
         button {{ font: inherit; font-weight: 600; padding: .7rem 1.5rem; border: 0; border-radius: 6px; \
         color: #fff; background: #1f5fa8; cursor: pointer }} \
         @media (prefers-color-scheme: dark) {{ body {{ color: #e6e9ec; background: #14181d }} }}</style>\n\
         </head>\n<body>\n{content}\n</body>\n</html>\n"
    )
}
