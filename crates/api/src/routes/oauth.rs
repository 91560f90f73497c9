//! Connecting by a browser: where it is sent, and where it comes back.

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use marketing::{
    ProviderError,
    accounts::{AccountsError, Connected, OauthAsk, OauthReturn},
    platform::Platform,
};
use queue::error_chain;
use secrecy::SecretString;

use crate::{
    answers::OauthStarted,
    auth::{Caller, Scope},
    error::ApiError,
    openapi::Operations,
    query::{QueryString, Segment},
    state::ApiState,
};

pub(super) fn operations(operations: Operations) -> Operations {
    operations
        .tag("accounts")
        .key(Scope::Admin, __path_start_oauth, start_oauth)
        .public(__path_finish_oauth, finish_oauth)
}

/// Begins to connect an account by a browser.
///
/// The answer sends the browser to the platform's page; `url` is the same address, for those who send it there themselves.
/// It is good for one browser, once, for ten minutes. Needs `MILLPOND_PUBLIC_URL`. At X access is given by OAuth 1.0a where
/// `MILLPOND_X_CONSUMER_KEY` is set, and else by OAuth 2.0.
#[utoipa::path(
    get,
    path = "/v1/oauth/{provider}/start",
    params(
        ("provider" = String, Path, description = "`meta`, `google_ads`, `linkedin`, `tiktok` or `x`"),
        ("return_to" = Option<String>, Query, description = "Where the person is sent back to: below an address of MILLPOND_RETURN_TO"),
        ("tenant" = Option<String>, Query, description = "Whose the accounts are to be"),
        ("owner_email" = Option<String>, Query, description = "Who is told of what concerns them"),
    ),
    responses(
        (status = 303, description = "The platform's page, as `Location` and in the body", body = OauthStarted),
        (status = 400, description = "A query parameter is wrong, or nobody may be sent back to `return_to`"),
        (status = 409, description = "This process is not set up for it; the detail says what to set"),
        (status = 429, description = "The API key makes too many requests, or X, which is asked first, wants a pause"),
        (status = 503, description = "The database cannot be reached, or X, which is asked first"),
    ),
)]
async fn start_oauth(
    State(state): State<ApiState>,
    caller: Caller,
    Segment(platform): Segment<Platform>,
    mut query: QueryString,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<OauthStarted>), ApiError> {
    let ask = OauthAsk {
        platform,
        return_to: query.text("return_to"),
        tenant: caller.tenant_for(query.text("tenant"))?,
        owner_email: query.text("owner_email"),
    };
    query.finish()?;
    let started = state.accounts().oauth_start(&ask, &caller.actor()).await?;
    let location = [(header::LOCATION, started.url.to_string())];
    Ok((StatusCode::SEE_OTHER, location, Json(started.into())))
}

/// Takes a person back whom a platform's page sent here, and connects what that person gave access to.
///
/// The person is sent on to `return_to`, with `connected` (how many accounts) and `connection`, or with `error`:
/// `access_denied`, `refused`, `temporarily_unavailable` or `not_set_up`. Without one, refusals are answered here.
#[utoipa::path(
    get,
    path = "/v1/oauth/{provider}/callback",
    params(("provider" = String, Path, description = "`meta`, `google_ads`, `linkedin`, `tiktok` or `x`")),
    responses(
        (status = 200, description = "Connected; there is no place to go back to", body = String, content_type = "text/plain"),
        (status = 303, description = "Where the person wanted to be sent back to"),
        (status = 400, description = "The state is unknown, was used, or is too old"),
        (status = 403, description = "The person did not give access"),
        (status = 409, description = "This process is not set up for it"),
        (status = 422, description = "The platform refuses the code"),
        (status = 429, description = "The platform asks for a pause"),
        (status = 503, description = "The platform or the database cannot be reached"),
    ),
)]
async fn finish_oauth(
    State(state): State<ApiState>,
    Segment(platform): Segment<Platform>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let place = state.place()?;
    let back = came_back(platform, &Parameters::read(&uri));
    let accounts = state.accounts().clone();
    // A code is good for once: a browser that is closed must not take along what it was exchanged for.
    let finishing = Box::pin(async move {
        let answer = accounts.oauth_finish(back).await?;
        if let Err(error) = &answer.result {
            let error = error_chain(error);
            tracing::warn!(
                provider.name = platform.as_str(),
                error,
                "an account was not connected by a browser"
            );
        }
        drop(place);
        Ok::<_, AccountsError>(answer)
    });
    let answer = state.to_its_end(finishing).await??;
    let Some(mut url) = answer.return_to else {
        return Ok(page(&answer.result?));
    };
    let mut told = url.query_pairs_mut();
    match &answer.result {
        Ok(connected) => {
            told.append_pair("connected", &connected.accounts.len().to_string());
            told.append_pair("connection", &connected.connection.to_string());
        }
        Err(error) => {
            told.append_pair("error", word_for(error));
        }
    }
    drop(told);
    Ok(sent_to(url.as_str()))
}

/// What a person came back with.
fn came_back(platform: Platform, parameters: &Parameters) -> OauthReturn {
    // OAuth 1.0a knows no state: the token comes back that the person was sent away with, as `denied` from who said no.
    let token = parameters.first(&["oauth_token", "denied"]);
    match (parameters.first(&["state"]), token) {
        (None, Some(token)) => OauthReturn {
            platform,
            state: token,
            code: parameters.first(&["oauth_verifier"]),
            is_oauth_1: true,
        },
        (state, _) => OauthReturn {
            platform,
            state: state.unwrap_or_default(),
            // TikTok documents auth_code, all others code.
            code: parameters.first(&["code", "auth_code"]),
            is_oauth_1: false,
        },
    }
}

/// What a platform's page sent along. It may send more than anybody knows, so nothing is refused for being unknown.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(uri: &Uri) -> Self {
        let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(read.map(|Query(pairs)| pairs).unwrap_or_default())
    }

    /// The first of these that is there and not empty.
    fn first(&self, names: &[&str]) -> Option<SecretString> {
        let is_one = |name: &str| names.contains(&name);
        let mut pairs = self.0.iter();
        let found = pairs.find(|(name, value)| is_one(name) && !value.is_empty());
        found.map(|(_, value)| SecretString::from(value.as_str()))
    }
}

/// Why nothing was connected, in a word that an app can go by.
fn word_for(error: &AccountsError) -> &'static str {
    match error {
        AccountsError::Refused => "access_denied",
        AccountsError::Platform(
            ProviderError::Unavailable { .. }
            | ProviderError::TimedOut { .. }
            | ProviderError::RateLimited { .. }
            | ProviderError::Postponed { .. },
        )
        | AccountsError::Store(_)
        | AccountsError::Engine(_)
        | AccountsError::RefreshUnderway => "temporarily_unavailable",
        AccountsError::Platform(
            ProviderError::AuthExpired { .. }
            | ProviderError::Permission { .. }
            | ProviderError::Rejected { .. }
            | ProviderError::TooLarge { .. },
        )
        | AccountsError::Invalid { .. }
        | AccountsError::NotFound
        | AccountsError::Disconnected
        | AccountsError::UnknownState
        | AccountsError::NotSigned => "refused",
        AccountsError::Platform(ProviderError::Config { .. })
        | AccountsError::NoKeys
        | AccountsError::NotSetUp(_)
        | AccountsError::NoPlatform(_)
        | AccountsError::Sealed { .. } => "not_set_up",
    }
}

/// What a person sees who has no place to go back to.
fn page(connected: &Connected) -> Response {
    let count = connected.accounts.len();
    let text = format!("Connected, {count} accounts so far. You can close this window.\n");
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (kind, text).into_response()
}

/// Nothing of this address goes along: it holds a code.
fn sent_to(address: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(address) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    /// The state, the code, and whether both are of OAuth 1.0a.
    fn back(query: &str) -> (String, Option<String>, bool) {
        let uri = format!("/v1/oauth/x/callback?{query}");
        let uri: Uri = uri.parse().expect("a URI");
        let back = came_back(Platform::X, &Parameters::read(&uri));
        let code = back.code.map(|code| code.expose_secret().to_owned());
        (back.state.expose_secret().to_owned(), code, back.is_oauth_1)
    }

    #[test]
    fn whatever_a_platform_calls_it_a_person_comes_back_with_state_and_code() {
        let cases = [
            ("state=s&code=c", "s", Some("c"), false),
            ("state=s&auth_code=c&code=", "s", Some("c"), false),
            ("state=s&error=access_denied", "s", None, false),
            ("oauth_token=t&oauth_verifier=v", "t", Some("v"), true),
            ("denied=t", "t", None, true),
            // A state proves more than a token that anybody can write behind it.
            ("state=s&oauth_token=t&oauth_verifier=v", "s", None, false),
            ("", "", None, false),
        ];

        for (query, state, code, is_oauth_1) in cases {
            let expected = (state.to_owned(), code.map(str::to_owned), is_oauth_1);
            assert_eq!(back(query), expected, "{query}");
        }
    }
}
