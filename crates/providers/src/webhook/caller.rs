//! One call to an endpoint of someone else, and what its status means. The body of the answer is an excerpt for people,
//! nothing more.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use url::Url;

use super::{
    PROVIDER,
    endpoints::Endpoints,
    guard::{ChosenBy, OutboundPolicy, Refusal},
    headers,
    resolver::{GuardedResolver, Lookup, SystemLookup},
    sign::Signer,
};
use crate::{
    error::{Detail, Error},
    http::{self, Answer, Http},
    metrics,
    scrub::scrub,
};

/// Bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Bytes of an answer that are kept.
const EXCERPT_LIMIT: usize = 1024;

/// Makes calls where its policy lets it. Cheap to share, keeps connections open.
pub struct Caller {
    http: Http,
    policy: Arc<OutboundPolicy>,
    endpoints: Endpoints,
}

/// A call to make.
pub struct CallRequest {
    /// Where to; checked against the policy.
    pub url: String,
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE` or `HEAD`.
    pub method: String,
    /// Headers beside our own. `Content-Type` is JSON unless it is given.
    pub headers: BTreeMap<String, String>,
    /// The exact bytes that are sent and signed.
    pub body: Bytes,
    /// Who signs, and the id that is the same on every attempt.
    pub signature: Option<(Signer, String)>,
    /// Who chose the URL.
    pub chosen_by: ChosenBy,
}

/// What an endpoint answered to a call that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAnswer {
    /// 200 to 299.
    pub status: u16,
    /// The beginning of the answer on one line, at most 1 KiB, without secrets.
    pub excerpt: String,
    /// From the call's start to the answer's end.
    pub duration: Duration,
}

impl Caller {
    /// A caller that gives up after `timeout`; no connection is made yet.
    ///
    /// # Errors
    /// [`Error::Config`] when the TLS set-up of this machine cannot be used.
    pub fn new(policy: OutboundPolicy, timeout: Duration) -> Result<Self, Error> {
        Self::with_lookup(policy, timeout, SystemLookup)
    }

    pub(super) fn with_lookup(
        policy: OutboundPolicy,
        timeout: Duration,
        lookup: impl Lookup + 'static,
    ) -> Result<Self, Error> {
        let policy = Arc::new(policy);
        let resolver = Arc::new(GuardedResolver::new(Arc::clone(&policy), lookup));
        let builder = http::client_builder(timeout).dns_resolver(resolver);
        Ok(Self {
            http: Http::new(PROVIDER, ANSWER_LIMIT, builder)?,
            endpoints: Endpoints::new(policy.per_endpoint),
            policy,
        })
    }

    /// Makes the call, signed anew with the present time.
    ///
    /// # Errors
    /// By status: [`Error::RateLimited`] for 429, and for 503 that says when to come back; [`Error::Config`] for 401 and
    /// 403 (who calls an endpoint of the user's own retries it); [`Error::Unavailable`] for 408, 425 and other 5xx;
    /// [`Error::Rejected`] for the rest, redirects included, and for what our own rules refuse. The answer's excerpt is
    /// the message. [`Error::Postponed`] where requesters have as many calls under way to the endpoint as it gets.
    pub async fn call(&self, request: CallRequest) -> Result<CallAnswer, Error> {
        let url = self.policy.check(&request.url, request.chosen_by);
        let visit = match (&url, request.chosen_by) {
            (Ok(url), ChosenBy::Requester) => {
                Some(self.endpoints.enter(url).await.ok_or_else(postponed)?)
            }
            (Ok(_), ChosenBy::Operator) | (Err(_), _) => None,
        };

        let started = Instant::now();
        let result = match url {
            Ok(url) => self.try_call(request, url, started).await,
            Err(refusal) => Err(refused(refusal)),
        };
        if let Some(visit) = visit {
            visit.end(is_silent(&result));
        }
        metrics::call_finished(PROVIDER, started.elapsed(), &result);
        result
    }

    async fn try_call(
        &self,
        request: CallRequest,
        url: Url,
        started: Instant,
    ) -> Result<CallAnswer, Error> {
        let method = method_of(&request.method)?;
        let mut headers = headers::of_user(&request.headers)?;
        if !request.body.is_empty() {
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
        }
        if let Some((signer, id)) = &request.signature {
            sign(&mut headers, signer, id, &request.body)?;
        }
        let secrets = secrets_of(&request);

        let call = self
            .http
            .request(method, url)
            .headers(headers)
            .body(request.body);
        let answer = self.http.send(call).await.map_err(|error| {
            // The resolver's refusal arrives as a failed connection.
            refusal_in(&error).map_or(error, refused)
        })?;
        judge(&answer, excerpt(&answer.body, &secrets), started.elapsed())
    }
}

fn method_of(name: &str) -> Result<Method, Error> {
    match name {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "HEAD" => Ok(Method::HEAD),
        _ => Err(reject(
            "the method must be GET, POST, PUT, PATCH, DELETE or HEAD",
        )),
    }
}

fn sign(headers: &mut HeaderMap, signer: &Signer, id: &str, body: &[u8]) -> Result<(), Error> {
    let timestamp = Utc::now().timestamp();
    let signature = signer.sign(id, timestamp, body);
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| reject("the call's id cannot be a header"))
    };
    headers.insert("webhook-id", value(id)?);
    headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
    headers.insert("webhook-signature", value(&signature)?);
    Ok(())
}

/// What the endpoint may quote back at us.
fn secrets_of(request: &CallRequest) -> Vec<String> {
    let signer = request
        .signature
        .as_ref()
        .map(|(signer, _)| signer.quoted());
    headers::secret_values(&request.headers)
        .map(str::to_owned)
        .chain(signer.into_iter().flatten())
        .collect()
}

fn excerpt(body: &[u8], secrets: &[String]) -> String {
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let mut excerpt = scrub(&String::from_utf8_lossy(body), &secrets, EXCERPT_LIMIT);
    while excerpt.len() > EXCERPT_LIMIT {
        excerpt.pop();
    }
    excerpt
}

fn judge(answer: &Answer, excerpt: String, duration: Duration) -> Result<CallAnswer, Error> {
    let status = answer.status.as_u16();
    if answer.status.is_success() {
        return Ok(CallAnswer {
            status,
            excerpt,
            duration,
        });
    }

    let message = if excerpt.is_empty() {
        "no text in the answer"
    } else {
        excerpt.as_str()
    };
    let detail = Detail::new(PROVIDER, message, &[]).status(status);
    let retry_after = http::retry_after(&answer.headers, Utc::now());
    Err(match status {
        401 | 403 => Error::Config { detail },
        429 => Error::RateLimited {
            retry_after,
            detail,
        },
        503 if retry_after.is_some() => Error::RateLimited {
            retry_after,
            detail,
        },
        408 | 425 | 500..=599 => Error::Unavailable {
            detail,
            maybe_received: true,
            source: None,
        },
        _ => Error::Rejected { detail },
    })
}

fn refusal_in(error: &Error) -> Option<Refusal> {
    let Error::Unavailable {
        source: Some(source),
        ..
    } = error
    else {
        return None;
    };
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&**source);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Some(*refusal);
        }
        cause = error.source();
    }
    None
}

/// Whether the endpoint gave no answer at all.
fn is_silent(result: &Result<CallAnswer, Error>) -> bool {
    match result {
        Err(Error::TimedOut { .. }) => true,
        Err(Error::Unavailable { detail, .. }) => detail.status.is_none(),
        Ok(_) | Err(_) => false,
    }
}

fn postponed() -> Error {
    Error::Postponed {
        wait: None,
        detail: Detail::new(
            PROVIDER,
            "as many other calls to this host and port are under way as it gets at a time",
            &[],
        ),
    }
}

fn refused(refusal: Refusal) -> Error {
    reject(&refusal.to_string())
}

fn reject(message: &str) -> Error {
    Error::Rejected {
        detail: Detail::new(PROVIDER, message, &[]),
    }
}
