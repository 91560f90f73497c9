//! Calls of the Business API: JSON in the query, the token in a header of its own, and an envelope around every answer.

use std::time::Duration;

use chrono::{NaiveTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{
    ANSWER_LIMIT, PLATFORM, PROVIDER, TikTok,
    errors::{self, Class, Limit},
    refused,
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{
        Door, Usage,
        call::{Call, Reading},
        members,
    },
};

/// Codes of success: whole, and in part.
const SUCCESS: [i64; 2] = [0, 20_001];

/// Says that an answer leaves out what is beyond the 20,000 newest ads, under a code of success.
const CUT: &str = "x-tt-ads-throttle";

/// Parameters that nobody may see.
const SECRET_PARAMETERS: [&str; 5] = [
    "secret",
    "client_secret",
    "auth_code",
    "access_token",
    "refresh_token",
];

/// A call.
pub(super) struct Question<'a> {
    /// Method and path; every path ends in a slash, and there is nothing where it is missing.
    pub(super) endpoint: &'static str,
    /// Lists and objects are sent as JSON text where they go into the query.
    pub(super) parameters: Map<String, Value>,
    pub(super) token: Option<&'a SecretString>,
    /// Codes that are answers to this call and no failures.
    pub(super) accepts: &'static [i64],
}

/// The envelope around an answer.
pub(super) struct Envelope {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Value,
}

impl TikTok {
    /// Makes a call, and reads the answer by `read`, which gives `None` for what is no answer to it.
    pub(super) async fn ask<T>(
        &self,
        door: &dyn Door,
        question: &Question<'_>,
        read: impl FnOnce(Envelope) -> Option<T>,
    ) -> Result<T, Error> {
        self.send(door, question, |answer| {
            let judged = self.judge(answer, question);
            Reading {
                result: judged.result.and_then(|envelope| {
                    read(envelope).ok_or_else(|| no_answer(answer, judged.request_id.as_deref()))
                }),
                request_id: judged.request_id,
                usage: judged.usage,
            }
        })
        .await
    }

    /// Makes a call that is answered with a file, and with an envelope only when it fails.
    pub(super) async fn download<T>(
        &self,
        door: &dyn Door,
        question: &Question<'_>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        self.send(door, question, |answer| {
            if answer.body.trim_ascii_start().starts_with(b"{") || !answer.status.is_success() {
                let judged = self.judge(answer, question);
                let request_id = judged.request_id;
                return Reading {
                    result: match judged.result {
                        Ok(_) => Err(no_answer(answer, request_id.as_deref())),
                        Err(error) => Err(error),
                    },
                    request_id,
                    usage: Usage::default(),
                };
            }
            let file = std::str::from_utf8(&answer.body).ok();
            Reading::of(match file.and_then(read) {
                _ if answer.body.len() >= ANSWER_LIMIT => Err(too_large(answer)),
                Some(read) => Ok(read),
                None => Err(no_answer(answer, None)),
            })
        })
        .await
    }

    async fn send<T>(
        &self,
        door: &dyn Door,
        question: &Question<'_>,
        read: impl FnOnce(&Answer) -> Reading<T>,
    ) -> Result<T, Error> {
        let request = self.request(question)?;
        let call = Call {
            platform: PLATFORM,
            endpoint: question.endpoint,
            weight: 1,
            door,
        };
        call.send(&self.http, request, read).await
    }

    fn request(&self, question: &Question<'_>) -> Result<RequestBuilder, Error> {
        let (method, path) = question.endpoint.split_once(' ').unwrap_or_default();
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .extend(path.split('/'));

        let request = if method == "POST" {
            self.http
                .request(Method::POST, url)
                .json(&question.parameters)
        } else {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &question.parameters {
                match value {
                    Value::String(text) => pairs.append_pair(name, text),
                    json => pairs.append_pair(name, &json.to_string()),
                };
            }
            drop(pairs);
            self.http.request(Method::GET, url)
        };
        let Some(token) = question.token else {
            return Ok(request);
        };
        let mut token = HeaderValue::from_str(token.expose_secret())
            .map_err(|_| refused("the token has characters that no header can have"))?;
        token.set_sensitive(true);
        Ok(request.header("Access-Token", token))
    }

    fn judge(&self, answer: &Answer, question: &Question<'_>) -> Reading<Envelope> {
        let status = answer.status;
        let body = serde_json::from_slice::<Value>(&answer.body).ok();
        let code = body
            .as_ref()
            .and_then(|body| members::integer(body.get("code")?));
        let (Some(mut body), Some(code)) = (body, code) else {
            if status.is_success() && answer.body.len() >= ANSWER_LIMIT {
                return Reading::of(Err(too_large(answer)));
            }
            let detail = said(answer, "the answer is no envelope", &[]);
            return Reading::of(Err(self.failure(
                Class::of_status(status),
                detail,
                question,
            )));
        };
        let request_id = members::text(&body, "request_id").map(str::to_owned);
        let message = members::text(&body, "message").unwrap_or_default();
        let result = if SUCCESS.contains(&code) || question.accepts.contains(&code) {
            match answer.headers.get(CUT) {
                Some(_) => Err(too_large(answer)),
                None => Ok(Envelope {
                    code,
                    message: message.to_owned(),
                    data: body.get_mut("data").map(Value::take).unwrap_or_default(),
                }),
            }
        } else {
            let detail = said(answer, message, &self.secrets(question))
                .code(&code.to_string())
                .request_id(request_id.as_deref());
            Err(self.failure(Class::of(code, message, status), detail, question))
        };
        Reading {
            result,
            request_id,
            usage: Usage::default(),
        }
    }

    fn failure(&self, class: Class, detail: Detail, question: &Question<'_>) -> Error {
        match class {
            Class::Auth => Error::AuthExpired { detail },
            Class::Config => Error::Config { detail },
            Class::Permission => Error::Permission { detail },
            Class::Rate(limit) => Error::RateLimited {
                retry_after: Some(self.pause(limit, question)),
                detail,
            },
            Class::Doubtful if self.times(question) > 1 => Error::Rejected { detail },
            Class::Transient | Class::Doubtful => Error::Unavailable {
                detail,
                maybe_received: true,
                source: None,
            },
            Class::TooLarge => Error::TooLarge { detail },
            Class::Rejected => Error::Rejected { detail },
        }
    }

    /// How long to wait: limits are counted by app, endpoint and advertiser.
    fn pause(&self, limit: Limit, question: &Question<'_>) -> Duration {
        let now = Utc::now();
        if limit == Limit::Day {
            let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
            return (TimeDelta::days(1) - (now - midnight))
                .to_std()
                .unwrap_or_default();
        }
        errors::wait(limit).unwrap_or_else(|| {
            let token = question.token.map(SecretString::expose_secret);
            self.pauses
                .wait((question.endpoint, token), now, errors::unnamed_wait)
        })
    }

    /// How often this call had the same doubtful answer.
    fn times(&self, question: &Question<'_>) -> u32 {
        let parameters = serde_json::to_string(&question.parameters).unwrap_or_default();
        let key = (question.endpoint, parameters);
        self.doubts.update(key, Utc::now(), |times| {
            times.map_or(1, |times| times.saturating_add(1))
        })
    }

    /// What TikTok may quote back at us.
    fn secrets<'a>(&'a self, question: &'a Question<'_>) -> Vec<&'a str> {
        let held = question.token.into_iter().chain(self.app_secret.as_ref());
        let sent = question
            .parameters
            .iter()
            .filter(|(name, _)| SECRET_PARAMETERS.contains(&name.as_str()))
            .filter_map(|(_, value)| value.as_str());
        held.map(SecretString::expose_secret).chain(sent).collect()
    }
}

fn too_large(answer: &Answer) -> Error {
    Error::TooLarge {
        detail: said(
            answer,
            "the answer is cut; a report in the background is not",
            &[],
        ),
    }
}

/// A success that says something else than it should; another try may get what was asked for.
fn no_answer(answer: &Answer, request_id: Option<&str>) -> Error {
    Error::Unavailable {
        detail: said(answer, "the answer is none to the call", &[]).request_id(request_id),
        maybe_received: true,
        source: None,
    }
}

fn said(answer: &Answer, message: &str, secrets: &[&str]) -> Detail {
    Detail::new(PROVIDER, message, secrets).status(answer.status.as_u16())
}
