//! Questions to the Ads API, signed, and what becomes of their answers.

use std::{ops::RangeInclusive, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rand::random_range;
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{
    ANSWER_LIMIT, PLATFORM, PROVIDER, X,
    errors::{Class, Problem},
    limits, refused,
    sign::{Keys, Stamp, Token, query},
};
use crate::{
    error::{Detail, Error},
    http::{Answer, retry_after},
    platform::{
        Access, Caller,
        call::{Call, Reading},
        recent::Pause,
    },
    scrub::scrub,
};

/// The first wait after a refusal without a time; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// Longest of these: X's windows.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The wait after as many jobs as may be.
const JOBS_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Milliseconds after the time that X names, at random: not everybody comes back at once.
const AFTER_RESET_MS: RangeInclusive<u64> = 1_000..=3_000;

/// How far our clock may be off before X takes no signature of ours.
const WRONG_CLOCK: TimeDelta = TimeDelta::minutes(5);

/// Longest warning of X's that is logged, in characters.
const WARNING_LIMIT: usize = 200;

/// Longest id: those of today have up to 19 characters.
const LONGEST_ID: usize = 64;

/// A question to the Ads API.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// What is called, with placeholders for ids.
    pub(super) endpoint: &'static str,
    /// Its path, part by part.
    pub(super) path: &'a [&'a str],
    pub(super) params: &'a [(&'static str, String)],
}

impl X {
    /// Asks, and reads the answer as `T`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        caller: Caller<'_>,
        question: &Question<'_>,
    ) -> Result<T, Error> {
        let request = self.request(caller.access, question)?;
        let call = Call {
            platform: PLATFORM,
            endpoint: question.endpoint,
            weight: 1,
            door: caller.door,
        };
        let asked = call.send(&self.http, request, |answer| {
            self.heed_warning(answer);
            Reading {
                result: self.read(answer, caller.access, question.endpoint),
                request_id: request_id(answer).map(str::to_owned),
                usage: limits::usage(&answer.headers, Utc::now()),
            }
        });
        match asked.await {
            Ok(read) => Ok(read),
            Err(refusal) => Err(Box::pin(self.blamed(caller, refusal)).await),
        }
    }

    pub(super) fn request(
        &self,
        access: &Access,
        question: &Question<'_>,
    ) -> Result<RequestBuilder, Error> {
        let mut url = below(&self.ads_url, question.path)?;
        let authorization = match &access.token_secret {
            Some(token_secret) => self.signature(access, token_secret, (question, &url))?,
            None => format!("Bearer {}", access.token.expose_secret()),
        };
        let mut authorization = HeaderValue::from_str(&authorization)
            .map_err(|_| refused("the token has characters that no token has"))?;
        authorization.set_sensitive(true);

        if !question.params.is_empty() {
            url.set_query(Some(&query(question.params)));
        }
        let request = self.http.request(question.method.clone(), url);
        Ok(request.header(AUTHORIZATION, authorization))
    }

    fn signature(
        &self,
        access: &Access,
        token_secret: &SecretString,
        (question, url): (&Question<'_>, &Url),
    ) -> Result<String, Error> {
        let (consumer_key, consumer_secret) = self.consumer()?;
        let keys = Keys {
            consumer_key,
            consumer_secret,
            token: Some(Token {
                token: &access.token,
                secret: token_secret,
            }),
            step: None,
        };
        let stamp = Stamp::new(Utc::now().timestamp());
        Ok(keys.authorization(&question.method, url, question.params, &stamp))
    }

    /// What signs in the app's name.
    pub(super) fn consumer(&self) -> Result<(&SecretString, &SecretString), Error> {
        let pair = self
            .consumer_key
            .as_ref()
            .zip(self.consumer_secret.as_ref());
        pair.ok_or_else(|| Error::Config {
            detail: Detail::new(PROVIDER, "the consumer key or secret is not set", &[]),
        })
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        access: &Access,
        endpoint: &'static str,
    ) -> Result<T, Error> {
        let asked = (endpoint, access);
        let is_cut = answer.status.is_success() && answer.body.len() >= ANSWER_LIMIT;
        if is_cut {
            let detail = Detail::new(PROVIDER, "the answer is longer than what is read", &[]);
            return Err(self.failure(Class::TooLarge, answer, detail, asked));
        }
        if answer.status.is_success()
            && let Ok(read) = serde_json::from_slice(&answer.body)
        {
            return Ok(read);
        }
        let nothing = || Detail::new(PROVIDER, "the answer is none to the question", &[]);
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let class = Class::of_unreadable(answer.status);
            return Err(self.failure(class, answer, nothing(), asked));
        };
        let Some(problem) = Problem::read(&body) else {
            let class = Class::of_status(answer.status);
            return Err(self.failure(class, answer, nothing(), asked));
        };
        let detail = Detail::new(PROVIDER, &problem.message, &self.secrets(access));
        let detail = match &problem.code {
            Some(code) => detail.code(code),
            None => detail,
        };
        let class = match Class::of(&problem, answer.status) {
            // A signature with a wrong time looks as if the token were spent.
            Class::Auth if is_clock_wrong(&answer.headers, Utc::now()) => Class::Clock,
            class => class,
        };
        Err(self.failure(class, answer, detail, asked))
    }

    /// What X may quote back at us.
    fn secrets<'a>(&'a self, access: &'a Access) -> Vec<&'a str> {
        let of_ours = [&self.consumer_key, &self.consumer_secret];
        let of_theirs = [Some(&access.token), access.token_secret.as_ref()];
        of_ours
            .into_iter()
            .map(Option::as_ref)
            .chain(of_theirs)
            .flatten()
            .map(SecretString::expose_secret)
            .collect()
    }

    pub(super) fn failure(
        &self,
        class: Class,
        answer: &Answer,
        detail: Detail,
        asked: (&'static str, &Access),
    ) -> Error {
        let detail = detail
            .status(answer.status.as_u16())
            .request_id(request_id(answer));
        let now = Utc::now();
        match class {
            Class::Auth => Error::AuthExpired { detail },
            Class::Config => Error::Config { detail },
            Class::Clock => Error::Config {
                detail: Detail {
                    message: format!("the clock of this machine is wrong: {}", detail.message),
                    ..detail
                },
            },
            Class::Permission => Error::Permission { detail },
            Class::Rate => Error::RateLimited {
                retry_after: Some(self.pause(&answer.headers, now, asked)),
                detail,
            },
            Class::Jobs => Error::RateLimited {
                retry_after: Some(JOBS_PAUSE),
                detail,
            },
            Class::Transient => match retry_after(&answer.headers, now) {
                // It says when to come back: earlier tries would only make it worse.
                Some(pause) if !pause.is_zero() => Error::RateLimited {
                    retry_after: Some(pause),
                    detail,
                },
                _ => Error::Unavailable {
                    detail,
                    maybe_received: true,
                    source: None,
                },
            },
            Class::TooLarge => Error::TooLarge { detail },
            Class::Rejected => Error::Rejected { detail },
        }
    }

    fn pause(
        &self,
        headers: &HeaderMap,
        now: DateTime<Utc>,
        (endpoint, access): (&'static str, &Access),
    ) -> Duration {
        let key = (endpoint, access.token.expose_secret());
        match limits::wait(headers, now) {
            Some(wait) => wait + Duration::from_millis(random_range(AFTER_RESET_MS)),
            None => self.memory.pauses.wait(key, now, |before| {
                before.map_or(FIRST_PAUSE, |Pause { length, .. }| {
                    (length * 2).min(LONGEST_PAUSE)
                })
            }),
        }
    }

    /// X says with its answers when something that is used is about to go: it is logged, and not with every call.
    fn heed_warning(&self, answer: &Answer) {
        let Some(warning) = answer.headers.get("x-api-warn") else {
            return;
        };
        let text = String::from_utf8_lossy(warning.as_bytes());
        let again = |times: Option<u32>| times.map_or(1, |times| times.saturating_add(1));
        if self.memory.warnings.update(&text, Utc::now(), again) == 1 {
            tracing::warn!(
                provider.name = PROVIDER,
                warning = %scrub(&text, &[], WARNING_LIMIT),
                "x warns of a change"
            );
        }
    }
}

/// An address below another one.
pub(super) fn below(base: &Url, path: &[&str]) -> Result<Url, Error> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| refused("the base address cannot have a path"))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

/// An id as it may become part of a path or a list.
///
/// # Errors
/// [`Error::Rejected`] for what is no id.
pub(super) fn checked(id: &str) -> Result<&str, Error> {
    let is_id = (1..=LONGEST_ID).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_id {
        Ok(id)
    } else {
        Err(refused("ids of x are letters and digits"))
    }
}

pub(super) fn request_id(answer: &Answer) -> Option<&str> {
    answer.headers.get("x-transaction-id")?.to_str().ok()
}

/// Whether X's clock and ours are too far apart for signatures.
pub(super) fn is_clock_wrong(headers: &HeaderMap, now: DateTime<Utc>) -> bool {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    date.is_some_and(|date| (now - DateTime::<Utc>::from(date)).abs() > WRONG_CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_compared_with_that_of_the_answer() {
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().expect("a time");
        let is_wrong = |date: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static(date));
            is_clock_wrong(&headers, now)
        };

        assert!(!is_wrong("Fri, 20 Nov 2026 12:04:00 GMT"));
        assert!(is_wrong("Fri, 20 Nov 2026 12:10:00 GMT"));
        assert!(is_wrong("Fri, 20 Nov 2026 11:50:00 GMT"));
        assert!(!is_wrong("yesterday"));
        assert!(!is_clock_wrong(&HeaderMap::new(), now));
    }

    #[test]
    fn an_id_is_never_a_path() {
        assert_eq!(checked("18ce54d4x5t").ok(), Some("18ce54d4x5t"));
        for odd in ["", "1/2", "..", "1?x", "1,2", "é", &"1".repeat(65)] {
            assert!(matches!(checked(odd), Err(Error::Rejected { .. })), "{odd}");
        }
    }
}
