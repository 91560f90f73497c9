//! Whether X takes our own key and secret. A signature that does not fit is refused in the same words whosever half of it is
//! wrong: before anybody's token is called spent for it, the app asks for something in its own name.

use reqwest::StatusCode;
use serde_json::Value;

use super::{
    PROVIDER, X,
    dance::REQUEST_TOKEN,
    errors::{Class, Problem},
    oauth::oauth_call,
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{Caller, Door, call::Reading},
};

/// X's number for a signature that does not fit.
const NOT_AUTHENTICATED: &str = "32";

/// What the first step of OAuth 1.0a is asked with here: nobody is sent anywhere with what comes back.
const STEP: (&str, &str) = ("oauth_callback", "oob");

impl X {
    /// What a refusal is in the end: one of a signature is of our own set-up where X does not take our own half of it.
    pub(super) async fn blamed(&self, caller: Caller<'_>, refusal: Error) -> Error {
        let is_signed = caller.access.token_secret.is_some();
        let is_of_signature = matches!(&refusal, Error::AuthExpired { detail }
            if detail.code.as_deref() == Some(NOT_AUTHENTICATED));
        if !(is_signed && is_of_signature) {
            return refusal;
        }
        match self.try_own_half(caller.door).await {
            Ok(()) => refusal,
            // Also where that cannot be told now: nobody is blamed for that.
            Err(own) => own,
        }
    }

    async fn try_own_half(&self, door: &dyn Door) -> Result<(), Error> {
        let request = self.signed_step("request_token", None, STEP)?;
        let call = oauth_call(REQUEST_TOKEN, door);
        call.send(&self.http, request, |answer| Reading::of(judged(answer)))
            .await
    }
}

/// Whether an answer says something against our own key and secret; what else it says is no matter here.
fn judged(answer: &Answer) -> Result<(), Error> {
    let body = serde_json::from_slice::<Value>(&answer.body).ok();
    let problem = body.as_ref().and_then(Problem::read);
    let code = problem.and_then(|problem| problem.code);
    let is_refused =
        answer.status == StatusCode::UNAUTHORIZED && code.as_deref() == Some(NOT_AUTHENTICATED);
    let detail = |message: &str| Detail::new(PROVIDER, message, &[]).status(answer.status.as_u16());
    if is_refused {
        let message = "x does not take our own key and secret: see MILLPOND_X_CONSUMER_KEY and MILLPOND_X_CONSUMER_SECRET";
        return Err(Error::Config {
            detail: detail(message).code(NOT_AUTHENTICATED),
        });
    }
    match Class::of_status(answer.status) {
        Class::Transient if !answer.status.is_success() => Err(Error::Unavailable {
            detail: detail("x does not say now whether it takes our own key and secret"),
            maybe_received: true,
            source: None,
        }),
        _ => Ok(()),
    }
}
