//! OAuth 1.0a, by which people give access to the Ads API in three steps: a token for the request, the page on which the
//! person is asked, and a token with its second half, which has no end.

use std::collections::BTreeMap;

use chrono::Utc;
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    PROVIDER, X,
    errors::{Class, Problem},
    limits,
    oauth::oauth_call,
    refused,
    request::{is_clock_wrong, request_id},
    sign::{Keys, Stamp, Token},
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{Access, Door, RequestToken, Tokens, VerifierExchange, call::Reading},
};

pub(super) const REQUEST_TOKEN: &str = "POST oauth/request_token";
const ACCESS_TOKEN: &str = "POST oauth/access_token";

/// A token that was given, of whichever step.
struct Given {
    token: SecretString,
    secret: SecretString,
    user_id: Option<String>,
}

impl X {
    /// `None` where the app has no key to sign with: people give access by OAuth 2.0 then.
    pub(super) async fn token_of_request(
        &self,
        door: &dyn Door,
        redirect_uri: &Url,
    ) -> Result<Option<RequestToken>, Error> {
        if self.consumer_key.is_none() {
            return Ok(None);
        }
        let step = ("oauth_callback", redirect_uri.as_str());
        let request = self.signed_step("request_token", None, step)?;
        let call = oauth_call(REQUEST_TOKEN, door);
        let given = call.send(&self.http, request, |answer| {
            self.read_step(answer, REQUEST_TOKEN, &[])
        });
        let given = given.await?;
        let mut url = self.address_of_step("authorize")?;
        url.query_pairs_mut()
            .append_pair("oauth_token", given.token.expose_secret());
        Ok(Some(RequestToken {
            url,
            token: given.token,
            secret: given.secret,
        }))
    }

    pub(super) async fn tokens_for_verifier(
        &self,
        door: &dyn Door,
        exchange: &VerifierExchange,
    ) -> Result<Tokens, Error> {
        let token = Token {
            token: &exchange.request_token,
            secret: &exchange.request_secret,
        };
        let verifier = exchange.verifier.expose_secret();
        let step = ("oauth_verifier", verifier);
        let request = self.signed_step("access_token", Some(token), step)?;
        let call = oauth_call(ACCESS_TOKEN, door);
        let secrets = [
            exchange.request_token.expose_secret(),
            exchange.request_secret.expose_secret(),
            verifier,
        ];
        let given = call.send(&self.http, request, |answer| {
            self.read_step(answer, ACCESS_TOKEN, &secrets)
        });
        let given = given.await?;
        Ok(Tokens {
            access_token: given.token,
            token_secret: Some(given.secret),
            refresh_token: None,
            expires_at: None,
            refresh_expires_at: None,
            scopes: Vec::new(),
            subject: given.user_id,
        })
    }

    pub(super) fn signed_step(
        &self,
        last: &str,
        token: Option<Token<'_>>,
        step: (&'static str, &str),
    ) -> Result<RequestBuilder, Error> {
        let (consumer_key, consumer_secret) = self.consumer()?;
        let keys = Keys {
            consumer_key,
            consumer_secret,
            token,
            step: Some(step),
        };
        let url = self.address_of_step(last)?;
        let stamp = Stamp::new(Utc::now().timestamp());
        let header = keys.authorization(&Method::POST, &url, &[], &stamp);
        let mut header = HeaderValue::from_str(&header)
            .map_err(|_| refused("the signature cannot stand in a header"))?;
        header.set_sensitive(true);
        let request = self.http.request(Method::POST, url);
        Ok(request.header(AUTHORIZATION, header))
    }

    /// These addresses are as old as X's first API: they stand beside the newer one and not below its version.
    fn address_of_step(&self, last: &str) -> Result<Url, Error> {
        let mut url = self.api_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .pop()
            .extend(["oauth", last]);
        Ok(url)
    }

    fn read_step(
        &self,
        answer: &Answer,
        endpoint: &'static str,
        secrets: &[&str],
    ) -> Reading<Given> {
        let given = given(&answer.body).filter(|_| answer.status.is_success());
        Reading {
            result: given.ok_or_else(|| self.refused_step(answer, endpoint, secrets)),
            request_id: request_id(answer).map(str::to_owned),
            usage: limits::usage(&answer.headers, Utc::now()),
        }
    }

    fn refused_step(&self, answer: &Answer, endpoint: &'static str, secrets: &[&str]) -> Error {
        let body = serde_json::from_slice::<Value>(&answer.body);
        let problem = body.as_ref().ok().and_then(Problem::read);
        let class = match (&problem, body.is_ok()) {
            (Some(problem), _) => Class::of(problem, answer.status),
            (None, true) => Class::of_status(answer.status),
            (None, false) => Class::of_unreadable(answer.status),
        };
        let class = match class {
            Class::Auth if is_clock_wrong(&answer.headers, Utc::now()) => Class::Clock,
            // Nobody has given anything yet: whatever is refused is ours, the key or the address to go back to.
            Class::Auth | Class::Permission | Class::Rejected if endpoint == REQUEST_TOKEN => {
                Class::Config
            }
            class => class,
        };
        let ours = [&self.consumer_key, &self.consumer_secret];
        let ours = ours.into_iter().flatten();
        let hidden: Vec<&str> = ours
            .map(SecretString::expose_secret)
            .chain(secrets.iter().copied())
            .collect();
        let problem = problem.unwrap_or_default();
        let said = match problem.message.as_str() {
            "" => "the answer holds no token",
            message => message,
        };
        let detail = Detail::new(PROVIDER, said, &hidden);
        let detail = match &problem.code {
            Some(code) => detail.code(code),
            None => detail,
        };
        // Waits that X does not name are remembered by token, and here by the app's key.
        let by_app = Access {
            token: self.consumer_key.clone().unwrap_or_default(),
            token_secret: None,
            manager: None,
        };
        self.failure(class, answer, detail, (endpoint, &by_app))
    }
}

/// The token in an answer, which is a form.
fn given(body: &[u8]) -> Option<Given> {
    let mut form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    let mut member = |name: &str| form.remove(name).filter(|value| !value.is_empty());
    Some(Given {
        token: member("oauth_token")?.into(),
        secret: member("oauth_token_secret")?.into(),
        user_id: member("user_id"),
    })
}
