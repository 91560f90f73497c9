//! A call of the Graph API: where it goes, in whose name, and what its answer means. The token travels in the header and
//! its proof beside it; tokens of others, the app's secret and codes are the only secrets that are parameters.

use std::time::Duration;

use chrono::Utc;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{
    ANSWER_LIMIT, Meta, PLATFORM, PROVIDER,
    answer::{detail_of, error_of},
    errors::Class,
    proof, refused, usage,
    wire::GraphError,
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{
        Caller, Door,
        call::{Call, Reading},
        recent::Pause,
    },
};

/// Longest id that may become part of an address.
const ID_LIMIT: usize = 64;

/// What a wait grows to that no header names, unless its least is longer.
const LONGEST_GUESS: Duration = Duration::from_secs(60 * 60);

/// The code that limits the app as a whole, whatever was asked for.
const APP_LIMIT: i64 = 4;

/// In whose name a call is made.
#[derive(Clone, Copy)]
pub(super) enum Identity<'a> {
    /// Of whoever the token belongs to; the proof is made for this very token.
    Holder(&'a SecretString),
    /// The app's own, which needs no proof.
    App,
    /// Nobody's: what is sent speaks for itself.
    Nobody,
}

/// A call that is about to be made.
pub(super) struct GraphCall {
    method: Method,
    /// What is called, with placeholders for ids.
    endpoint: &'static str,
    path: Vec<String>,
    params: Vec<Param>,
}

struct Param {
    name: &'static str,
    value: String,
    is_secret: bool,
}

impl GraphCall {
    pub(super) fn get(endpoint: &'static str, path: &[&str]) -> Self {
        Self::new(Method::GET, endpoint, path)
    }

    pub(super) fn post(endpoint: &'static str, path: &[&str]) -> Self {
        Self::new(Method::POST, endpoint, path)
    }

    pub(super) fn delete(endpoint: &'static str, path: &[&str]) -> Self {
        Self::new(Method::DELETE, endpoint, path)
    }

    fn new(method: Method, endpoint: &'static str, path: &[&str]) -> Self {
        Self {
            method,
            endpoint,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            params: Vec::new(),
        }
    }

    /// With a parameter.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.params.push(Param {
            name,
            value: value.into(),
            is_secret: false,
        });
        self
    }

    /// With a parameter that Meta may quote back at us and nobody may see.
    pub(super) fn with_secret(mut self, name: &'static str, value: &SecretString) -> Self {
        self.params.push(Param {
            name,
            value: value.expose_secret().to_owned(),
            is_secret: true,
        });
        self
    }

    /// Whose limits it counts for: the first thing that its address names.
    pub(super) fn scope(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}

impl Meta {
    /// Makes a call in the name of the caller's token.
    pub(super) async fn graph(&self, caller: Caller<'_>, call: GraphCall) -> Result<Value, Error> {
        self.graph_as(Identity::Holder(&caller.access.token), caller.door, call)
            .await
    }

    /// Makes a call in this name.
    pub(super) async fn graph_as(
        &self,
        who: Identity<'_>,
        door: &dyn Door,
        call: GraphCall,
    ) -> Result<Value, Error> {
        let secrets = self.secrets_in(who, &call);
        self.send(who, (door, 1), &call, |answer| {
            let result = self.read_answer(answer, call.scope(), &secrets);
            Reading {
                request_id: request_id(&result),
                usage: usage::read(&answer.headers),
                result,
            }
        })
        .await
    }

    /// Sends a call that counts as `weight` of them.
    pub(super) async fn send<T>(
        &self,
        who: Identity<'_>,
        (door, weight): (&dyn Door, u32),
        call: &GraphCall,
        read: impl FnOnce(&Answer) -> Reading<T>,
    ) -> Result<T, Error> {
        let request = self.request(who, call)?;
        let through = Call {
            platform: PLATFORM,
            endpoint: call.endpoint,
            weight,
            door,
        };
        through.send(&self.http, request, read).await
    }

    fn request(&self, who: Identity<'_>, call: &GraphCall) -> Result<RequestBuilder, Error> {
        let proof = match who {
            Identity::Holder(token) => self.proof_for(token),
            Identity::App | Identity::Nobody => None,
        };
        let mut params: Vec<(&str, &str)> = call
            .params
            .iter()
            .map(|param| (param.name, param.value.as_str()))
            .collect();
        params.extend(proof.as_deref().map(|proof| ("appsecret_proof", proof)));

        let request = self
            .http
            .request(call.method.clone(), self.address(&call.path)?);
        let request = match who {
            Identity::Holder(token) => request.bearer_auth(token.expose_secret()),
            Identity::App => {
                let (id, secret) = self.app()?;
                request.bearer_auth(format!("{id}|{}", secret.expose_secret()))
            }
            Identity::Nobody => request,
        };
        Ok(if call.method == Method::POST {
            request.form(&params)
        } else {
            request.query(&params)
        })
    }

    /// What lies below the base address; the base itself where the path is empty. Whatever is no id or name is refused, since
    /// nothing else may become part of an address.
    pub(super) fn address(&self, path: &[impl AsRef<str>]) -> Result<Url, Error> {
        if !path.iter().all(|part| is_part(part.as_ref())) {
            return Err(refused(
                "an id has other characters than letters and digits",
            ));
        }
        let mut url = self.base_url.clone();
        {
            let mut segments = url
                .path_segments_mut()
                .map_err(|()| refused("the base address cannot have a path"))?;
            segments.pop_if_empty();
            if path.is_empty() {
                segments.push("");
            } else {
                segments.extend(path);
            }
        }
        Ok(url)
    }

    /// The proof for one token; `None` where the app's secret is not set.
    pub(super) fn proof_for(&self, token: &SecretString) -> Option<String> {
        let secret = self.app_secret.as_ref()?;
        Some(proof::appsecret_proof(secret, token))
    }

    /// The app's id and secret.
    ///
    /// # Errors
    /// [`Error::Config`] where one of them is not set.
    pub(super) fn app(&self) -> Result<(&str, &SecretString), Error> {
        match (&self.app_id, &self.app_secret) {
            (Some(id), Some(secret)) => Ok((id.as_str(), secret)),
            _ => Err(Error::Config {
                detail: Detail::new(PROVIDER, "the app's id and secret are not both set", &[]),
            }),
        }
    }

    /// What an answer says; `scope` is whose limits it may have met.
    pub(super) fn read_answer(
        &self,
        answer: &Answer,
        scope: &str,
        secrets: &[&str],
    ) -> Result<Value, Error> {
        let status = answer.status;
        let (class, detail, code) = match serde_json::from_slice::<Value>(&answer.body) {
            Err(_) if answer.body.len() >= ANSWER_LIMIT => {
                let detail = Detail::new(PROVIDER, "the answer is too long", &[]);
                (Class::TooLarge, detail, None)
            }
            Err(_) => {
                let detail = Detail::new(PROVIDER, "the answer is no whole JSON document", &[]);
                (Class::of_front_end(status), detail, None)
            }
            Ok(body) => match GraphError::read(&body) {
                Some(error) => {
                    let detail = detail_of(&error, secrets);
                    (Class::of(&error, status), detail, error.code)
                }
                None if status.is_success() => return Ok(body),
                None => {
                    let detail = Detail::new(PROVIDER, "the answer says not what is wrong", &[]);
                    (Class::of_status(status), detail, None)
                }
            },
        };
        let detail = detail.status(status.as_u16());
        Err(error_of(class, detail, |least| {
            usage::pause(&answer.headers, Utc::now())
                .unwrap_or_else(|| self.guess(least, scope, code))
        }))
    }

    /// How long a limit lasts that no header names the end of: twice as long as the one before it.
    fn guess(&self, least: Duration, scope: &str, code: Option<i64>) -> Duration {
        let scope = if code == Some(APP_LIMIT) { "" } else { scope };
        self.pauses
            .wait((scope, code), Utc::now(), |before| longer(least, before))
    }

    fn secrets_in<'a>(&'a self, who: Identity<'a>, call: &'a GraphCall) -> Vec<&'a str> {
        let token = match who {
            Identity::Holder(token) => Some(token.expose_secret()),
            Identity::App | Identity::Nobody => None,
        };
        let secret = self
            .app_secret
            .as_ref()
            .map(|secret| secret.expose_secret());
        let params = call.params.iter().filter(|param| param.is_secret);
        let params = params.map(|param| param.value.as_str());
        token.into_iter().chain(secret).chain(params).collect()
    }
}

/// What Meta's support asks for; it names it with failures alone.
pub(super) fn request_id<T>(result: &Result<T, Error>) -> Option<String> {
    result.as_ref().err()?.detail().request_id.clone()
}

/// Ids and names of edges.
pub(super) fn is_part(part: &str) -> bool {
    (1..=ID_LIMIT).contains(&part.len())
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn longer(least: Duration, before: Option<Pause>) -> Duration {
    match before {
        Some(pause) => pause
            .length
            .saturating_mul(2)
            .clamp(least, LONGEST_GUESS.max(least)),
        None => least,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_wait_that_nobody_names_doubles_up_to_an_hour() {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let after = |least, before: Duration| {
            let pause = Pause {
                since: DateTime::UNIX_EPOCH,
                length: before,
            };
            longer(least, Some(pause))
        };

        assert_eq!(longer(minutes(5), None), minutes(5));
        assert_eq!(after(minutes(5), minutes(5)), minutes(10));
        assert_eq!(after(minutes(5), minutes(40)), minutes(60));
        assert_eq!(after(minutes(24 * 60), minutes(24 * 60)), minutes(24 * 60));
    }
}
