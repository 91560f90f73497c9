//! Questions to the Marketing API: headers, the tunnel for long queries, and what becomes of the answer.

use std::{collections::HashMap, time::Duration};

use chrono::Utc;
use reqwest::{Method, RequestBuilder, StatusCode, header::CONTENT_TYPE};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    ANSWER_LIMIT, LinkedIn, PLATFORM, PROVIDER,
    errors::{Class, Problem, Throttle},
    pauses, refused,
    restli::{Query, list},
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{
        Caller, Usage,
        call::{Call, Reading},
        members,
    },
};

/// Longest query that is part of an address, in bytes; LinkedIn's front ends take a little more.
const LONGEST_QUERY: usize = 4_000;

/// How long a token that was just made may take to be known everywhere.
const SPREADING: Duration = Duration::from_secs(30);

/// Where the id of the account stands in an endpoint.
const ID: &str = "{id}";

/// A question to the Marketing API.
pub(super) struct Question<'a> {
    /// `GET` and a path below the base address, with `{id}` in the place of the account's id.
    pub(super) endpoint: &'static str,
    /// The account's id: digits alone.
    pub(super) account: Option<&'a str>,
    pub(super) query: Query,
    /// Whether the endpoint wants to be told in a header that it is asked by a finder.
    pub(super) names_finder: bool,
}

/// Where a batch of changes goes: an endpoint with `{id}` in it, and the account's id.
pub(super) struct PatchPlace<'a> {
    endpoint: &'static str,
    account: &'a str,
}

/// The place of an account's changes.
pub(super) fn of_account<'a>(endpoint: &'static str, account: &'a str) -> PatchPlace<'a> {
    PatchPlace { endpoint, account }
}

/// What is set of entities, by their keys. Several changes of one entity are one.
#[derive(Default)]
pub(super) struct Patches(Map<String, Value>);

impl Patches {
    pub(super) fn set(&mut self, key: &str, members: Map<String, Value>) {
        let patch = self
            .0
            .entry(key)
            .or_insert_with(|| json!({ "patch": { "$set": {} } }));
        if let Some(set) = patch
            .pointer_mut("/patch/$set")
            .and_then(Value::as_object_mut)
        {
            set.extend(members);
        }
    }
}

impl LinkedIn {
    /// Makes changes of many entities in one call, and tells what became of each that the answer names, by its key.
    pub(super) async fn patch(
        &self,
        caller: Caller<'_>,
        place: PatchPlace<'_>,
        patches: &Patches,
    ) -> Result<HashMap<String, Result<(), Error>>, Error> {
        let token = caller.access.token.expose_secret();
        let query = Query::default().with("ids", &list(patches.0.keys()));
        let mut url = self.url(place.endpoint.trim_start_matches("POST "), place.account)?;
        url.set_query(Some(query.as_str()));
        let request = self
            .authorized(self.http.request(Method::POST, url), token)
            .header("X-RestLi-Method", "BATCH_PARTIAL_UPDATE")
            .json(&json!({ "entities": patches.0 }));
        let call = Call {
            platform: PLATFORM,
            endpoint: place.endpoint,
            weight: 1,
            door: caller.door,
        };
        call.send(&self.http, request, |answer| {
            let result = self.judge(answer, place.endpoint, token);
            Reading {
                result: result.map(|body| self.fates(answer, &body, (place.endpoint, token))),
                request_id: request_id(answer).map(str::to_owned),
                usage: Usage::default(),
            }
        })
        .await
    }

    /// What became of each entity: `results` have a status each, `errors` an envelope.
    fn fates(
        &self,
        answer: &Answer,
        body: &Value,
        (endpoint, token): (&'static str, &str),
    ) -> HashMap<String, Result<(), Error>> {
        let told = |name: &str| body.get(name).and_then(Value::as_object);
        let mut fates = HashMap::new();
        for (name, member) in [("results", "error"), ("errors", "")] {
            for (key, entry) in told(name).into_iter().flatten() {
                let envelope = entry.get(member).unwrap_or(entry);
                let status = entry.get("status").or_else(|| envelope.get("status"));
                let status = status
                    .and_then(members::integer)
                    .and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok())
                    .unwrap_or(StatusCode::BAD_REQUEST);
                let fate = match Problem::read(envelope, status) {
                    None => Ok(()),
                    Some(problem) => {
                        let mut detail = said(answer, &problem.message, &[token]);
                        detail = detail.status(status.as_u16());
                        if let Some(codes) = problem.codes() {
                            detail = detail.code(&codes);
                        }
                        let class = Class::of(&problem, status);
                        Err(self.failure(class, detail, endpoint, token))
                    }
                };
                fates.insert(key.clone(), fate);
            }
        }
        fates
    }

    /// The address of a path, with `{id}` in the place of the account's id.
    fn url(&self, path: &str, account: &str) -> Result<Url, Error> {
        let path = path.replace(ID, account);
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .extend(path.split('/'));
        Ok(url)
    }

    /// Asks, and reads the answer by `read`, which gives `None` for what is no answer to this question.
    pub(super) async fn ask<T>(
        &self,
        caller: Caller<'_>,
        question: &Question<'_>,
        read: impl Fn(Value) -> Option<T>,
    ) -> Result<T, Error> {
        let is_long = question.query.as_str().len() > LONGEST_QUERY;
        match self.send(caller, question, is_long, &read).await {
            // A front end with a smaller limit than we know of: the same query as a body.
            Err(error) if !is_long && error.detail().status == Some(414) => {
                self.send(caller, question, true, &read).await
            }
            ended => ended,
        }
    }

    async fn send<T>(
        &self,
        caller: Caller<'_>,
        question: &Question<'_>,
        through_tunnel: bool,
        read: &impl Fn(Value) -> Option<T>,
    ) -> Result<T, Error> {
        let token = caller.access.token.expose_secret();
        let request = self.authorized(self.request(question, through_tunnel)?, token);
        let call = Call {
            platform: PLATFORM,
            endpoint: question.endpoint,
            weight: 1,
            door: caller.door,
        };
        call.send(&self.http, request, |answer| {
            let result = self.judge(answer, question.endpoint, token);
            Reading {
                result: result.and_then(|body| read(body).ok_or_else(|| no_answer(answer))),
                request_id: request_id(answer).map(str::to_owned),
                usage: Usage::default(),
            }
        })
        .await
    }

    /// The request in the name of whose token it is, in the version that is set.
    pub(super) fn authorized(&self, request: RequestBuilder, token: &str) -> RequestBuilder {
        request
            .bearer_auth(token)
            .header("LinkedIn-Version", self.version.as_str())
            .header("X-Restli-Protocol-Version", "2.0.0")
    }

    fn request(
        &self,
        question: &Question<'_>,
        through_tunnel: bool,
    ) -> Result<RequestBuilder, Error> {
        let path = question.endpoint.trim_start_matches("GET ");
        let mut url = self.url(path, question.account.unwrap_or_default())?;

        let query = question.query.as_str();
        let request = if through_tunnel {
            self.http
                .request(Method::POST, url)
                .header("X-HTTP-Method-Override", "GET")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(query.to_owned())
        } else {
            url.set_query((!query.is_empty()).then_some(query));
            self.http.request(Method::GET, url)
        };
        Ok(if question.names_finder {
            request.header("X-RestLi-Method", "FINDER")
        } else {
            request
        })
    }

    /// The body of an answer that is no refusal.
    pub(super) fn judge(
        &self,
        answer: &Answer,
        endpoint: &'static str,
        token: &str,
    ) -> Result<Value, Error> {
        let status = answer.status;
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let is_cut = status.is_success() && answer.body.len() >= ANSWER_LIMIT;
            let class = if is_cut {
                Class::TooLarge
            } else {
                Class::of_unreadable(status)
            };
            let detail = said(answer, "the answer is no whole JSON document", &[]);
            return Err(self.failure(class, detail, endpoint, token));
        };
        let Some(problem) = Problem::read(&body, status) else {
            return Ok(body);
        };
        let mut detail = said(answer, &problem.message, &[token]);
        if let Some(codes) = problem.codes() {
            detail = detail.code(&codes);
        }
        Err(self.failure(Class::of(&problem, status), detail, endpoint, token))
    }

    fn failure(&self, class: Class, detail: Detail, endpoint: &'static str, token: &str) -> Error {
        match class {
            Class::Unauthorized if self.memory.fresh.take(token, Utc::now()).is_some() => {
                Error::RateLimited {
                    retry_after: Some(SPREADING),
                    detail,
                }
            }
            Class::Unauthorized | Class::Revoked => Error::AuthExpired { detail },
            Class::Config => Error::Config { detail },
            Class::Permission => Error::Permission { detail },
            Class::Rate(throttle) => Error::RateLimited {
                retry_after: Some(self.pause(throttle, endpoint, token)),
                detail,
            },
            Class::Transient => Error::Unavailable {
                detail,
                maybe_received: true,
                source: None,
            },
            Class::TooLarge => Error::TooLarge { detail },
            Class::Rejected => Error::Rejected { detail },
        }
    }

    /// How long to wait after a refusal: limits are counted by app and member, and by endpoint.
    pub(super) fn pause(
        &self,
        throttle: Throttle,
        endpoint: &'static str,
        token: &str,
    ) -> Duration {
        let now = Utc::now();
        match throttle {
            Throttle::Figures | Throttle::Day => pauses::length(throttle, None, now),
            Throttle::Unnamed => {
                let length = |before| pauses::length(throttle, before, now);
                self.memory.pauses.wait((endpoint, token), now, length)
            }
        }
    }
}

/// A success whose body says something else than it should; another try may get what was asked for.
fn no_answer(answer: &Answer) -> Error {
    Error::Unavailable {
        detail: said(answer, "the answer is none to the question", &[]),
        maybe_received: true,
        source: None,
    }
}

fn said(answer: &Answer, message: &str, secrets: &[&str]) -> Detail {
    Detail::new(PROVIDER, message, secrets)
        .status(answer.status.as_u16())
        .request_id(request_id(answer))
}

fn request_id(answer: &Answer) -> Option<&str> {
    ["x-li-uuid", "x-restli-id"]
        .into_iter()
        .find_map(|name| answer.headers.get(name)?.to_str().ok())
}
