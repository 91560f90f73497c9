//! Questions to the Google Ads API and what becomes of their answers.

use std::time::Duration;

use chrono::Utc;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{
    ANSWER_LIMIT, GoogleAds, PLATFORM, PROVIDER,
    errors::{Class, Quota},
    query::digits,
    refused,
    wire::{Accessible, Batch, Found, Problem, Row},
};
use crate::{
    error::{Detail, Error},
    http::Answer,
    platform::{
        Access, Caller, Usage,
        call::{Call, Reading},
        recent::Pause,
    },
};

/// The first wait after a quota of the moment for which Google names none; each further one is twice as long.
const SHORT: Duration = Duration::from_secs(30);

/// Longest of these.
const LONGEST_SHORT: Duration = Duration::from_secs(15 * 60);

/// The wait after the quota of 24 hours: it slides, so a part of it is free again before they are over.
const LONG: Duration = Duration::from_secs(60 * 60);

/// A query to one account.
pub(super) struct Ask<'a> {
    /// The account's id: digits alone.
    pub(super) customer: &'a str,
    pub(super) query: &'a str,
}

impl GoogleAds {
    /// The ids of the accounts that a token reaches directly: managers and others, not what lies below them.
    pub(super) async fn accessible(&self, caller: Caller<'_>) -> Result<Vec<String>, Error> {
        let url = self.url(&["customers:listAccessibleCustomers"])?;
        let request = self.signed(self.http.request(Method::GET, url), caller.access);
        let call = self.call("GET customers:listAccessibleCustomers", caller);
        let answer: Accessible = call
            .send(&self.http, request, |answer| {
                self.read(answer, (caller.access, ""), |body| {
                    serde_json::from_slice(body).ok()
                })
            })
            .await?;
        let names = answer.resource_names.iter();
        names
            .filter_map(|name| name.strip_prefix("customers/"))
            .map(digits)
            .collect()
    }

    /// A page of what a query finds: up to 10,000 rows, which is fixed.
    pub(super) async fn search(
        &self,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        page_token: Option<&str>,
    ) -> Result<Found, Error> {
        let mut body = json!({ "query": ask.query });
        if let Some(token) = page_token {
            body["pageToken"] = token.into();
        }
        let request = self.post(caller, ask, "googleAds:search", &body)?;
        let call = self.call("POST customers/{id}/googleAds:search", caller);
        call.send(&self.http, request, |answer| {
            self.read(answer, (caller.access, ask.customer), |body| {
                let found: Found = serde_json::from_slice(body).ok()?;
                found.error.is_none().then_some(found)
            })
        })
        .await
    }

    /// A page of what a query finds, from a token on. Tokens live for hours: behind one that Google does not know any more it is
    /// the first page, and what was read before is read once more.
    pub(super) async fn search_on(
        &self,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        page_token: Option<&str>,
    ) -> Result<Found, Error> {
        match self.search(caller, ask, page_token).await {
            Err(error) if page_token.is_some() && is_of_token(&error) => {
                self.search(caller, ask, None).await
            }
            ended => ended,
        }
    }

    /// Everything that a query finds. An error that follows after good batches is the answer: a part of a time is none.
    pub(super) async fn stream(
        &self,
        caller: Caller<'_>,
        ask: &Ask<'_>,
    ) -> Result<Vec<Row>, Error> {
        let body = json!({ "query": ask.query });
        let request = self.post(caller, ask, "googleAds:searchStream", &body)?;
        let call = self.call("POST customers/{id}/googleAds:searchStream", caller);
        call.send(&self.http, request, |answer| {
            self.read(answer, (caller.access, ask.customer), |body| {
                let batches: Vec<Batch> = serde_json::from_slice(body).ok()?;
                let is_whole = batches.iter().all(|batch| batch.error.is_none());
                is_whole.then(|| {
                    let rows = batches.into_iter().map(|batch| batch.results);
                    rows.flatten().collect()
                })
            })
        })
        .await
    }

    /// Makes changes, each of which counts as an operation of its own. What became of each is told in their order.
    pub(super) async fn mutate(
        &self,
        caller: Caller<'_>,
        customer: &str,
        operations: &[Value],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let body = json!({ "mutateOperations": operations, "partialFailure": true });
        let ask = Ask {
            customer,
            query: "",
        };
        let request = self.post(caller, &ask, "googleAds:mutate", &body)?;
        let call = Call {
            weight: u32::try_from(operations.len()).unwrap_or(u32::MAX),
            ..self.call("POST customers/{id}/googleAds:mutate", caller)
        };
        call.send(&self.http, request, |answer| {
            let whose = (caller.access, customer);
            let read = self.read(answer, whose, |body| {
                let body: Value = serde_json::from_slice(body).ok()?;
                body.get("mutateOperationResponses")?;
                Some(body)
            });
            Reading {
                result: read
                    .result
                    .map(|body| self.fates(answer, &body, operations.len(), whose)),
                request_id: read.request_id,
                usage: read.usage,
            }
        })
        .await
    }

    /// What became of each operation, of which `partialFailureError` names those that failed.
    fn fates(
        &self,
        answer: &Answer,
        body: &Value,
        count: usize,
        whose: (&Access, &str),
    ) -> Vec<Result<(), Error>> {
        let mut fates: Vec<Result<(), Error>> = vec![Ok(()); count];
        let Some(error) = body.get("partialFailureError") else {
            return fates;
        };
        let mut problem = Problem::read(error);
        let faults = std::mem::take(&mut problem.faults);
        if faults.is_empty() {
            let refusal = self.refusal(answer, &problem, whose);
            return vec![Err(refusal); count];
        }
        for fault in faults {
            let at = index(&fault.place);
            let alone = Problem {
                faults: vec![fault],
                request_id: problem.request_id.clone(),
                ..Problem::default()
            };
            let refusal = self.refusal(answer, &alone, whose);
            match at.and_then(|at| fates.get_mut(at)) {
                Some(fate) => *fate = Err(refusal),
                // It names none: whichever it is about, none can be told to be made.
                None => fates.fill(Err(refusal)),
            }
        }
        fates
    }

    fn call<'a>(&self, endpoint: &'static str, caller: Caller<'a>) -> Call<'a> {
        Call {
            platform: PLATFORM,
            endpoint,
            weight: 1,
            door: caller.door,
        }
    }

    fn post(
        &self,
        caller: Caller<'_>,
        ask: &Ask<'_>,
        method: &str,
        body: &Value,
    ) -> Result<RequestBuilder, Error> {
        let url = self.url(&["customers", ask.customer, method])?;
        let request = self.signed(self.http.request(Method::POST, url), caller.access);
        let request = match &caller.access.manager {
            Some(manager) => request.header("login-customer-id", digits(manager)?),
            None => request,
        };
        Ok(request.json(body))
    }

    pub(super) fn signed(&self, request: RequestBuilder, access: &Access) -> RequestBuilder {
        let request = request.bearer_auth(access.token.expose_secret());
        match &self.developer_token {
            Some(token) => request.header("developer-token", token.expose_secret()),
            None => request,
        }
    }

    pub(super) fn url(&self, segments: &[&str]) -> Result<Url, Error> {
        let mut url = self.base_url.clone();
        url.path_segments_mut()
            .map_err(|()| refused("the base address cannot have a path"))?
            .pop_if_empty()
            .extend(segments);
        Ok(url)
    }

    /// Reads an answer; `take` gives `None` for what is no answer to the question. `whose` says with which token and of
    /// which account it was asked.
    pub(super) fn read<T>(
        &self,
        answer: &Answer,
        (access, customer): (&Access, &str),
        take: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Reading<T> {
        let is_cut = answer.body.len() >= ANSWER_LIMIT;
        let taken = if answer.status.is_success() && !is_cut {
            take(&answer.body)
        } else {
            None
        };
        let problem = match &taken {
            Some(_) => None,
            None => Problem::find(&answer.body),
        };
        let request_id = problem.as_ref().and_then(|it| it.request_id.clone());
        let of_header = answer.headers.get("request-id");
        let of_header = of_header.and_then(|id| id.to_str().ok()).map(str::to_owned);
        Reading {
            request_id: request_id.or(of_header),
            usage: Usage::default(),
            result: taken.ok_or_else(|| match &problem {
                Some(problem) => self.refusal(answer, problem, (access, customer)),
                None => self.unreadable(answer, customer),
            }),
        }
    }

    fn refusal(
        &self,
        answer: &Answer,
        problem: &Problem,
        (access, customer): (&Access, &str),
    ) -> Error {
        let developer_token = self
            .developer_token
            .as_ref()
            .map(SecretString::expose_secret);
        let secrets: Vec<&str> = [Some(access.token.expose_secret()), developer_token]
            .into_iter()
            .flatten()
            .collect();
        let detail = Detail::new(PROVIDER, &told(problem), &secrets)
            .status(answer.status.as_u16())
            .request_id(problem.request_id.as_deref());
        let detail = match code_of(problem) {
            Some(code) => detail.code(&code),
            None => detail,
        };
        let (class, delay) = Class::of(problem, answer.status);
        self.failure(class, delay, detail, customer)
    }

    fn unreadable(&self, answer: &Answer, customer: &str) -> Error {
        let is_cut = answer.status.is_success() && answer.body.len() >= ANSWER_LIMIT;
        let (class, message) = if is_cut {
            (Class::TooLarge, "the answer is longer than what is read")
        } else {
            (
                Class::of_unreadable(answer.status),
                "the answer is none to the question",
            )
        };
        let detail = Detail::new(PROVIDER, message, &[]).status(answer.status.as_u16());
        self.failure(class, None, detail, customer)
    }

    pub(super) fn failure(
        &self,
        class: Class,
        delay: Option<Duration>,
        detail: Detail,
        customer: &str,
    ) -> Error {
        match class {
            Class::Auth => Error::AuthExpired { detail },
            Class::Config => Error::Config { detail },
            Class::Permission => Error::Permission { detail },
            Class::Rate(quota) => Error::RateLimited {
                retry_after: Some(delay.unwrap_or_else(|| self.pause(quota, customer))),
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

    fn pause(&self, quota: Quota, customer: &str) -> Duration {
        match quota {
            Quota::Long => LONG,
            Quota::Short => self.pauses.wait(customer, Utc::now(), |before| {
                before.map_or(SHORT, |Pause { length, .. }| {
                    (length * 2).min(LONGEST_SHORT)
                })
            }),
        }
    }
}

/// Which operation a place is in: 3 of `mutate_operations[3].campaign_operation`.
fn index(place: &str) -> Option<usize> {
    let (_, rest) = place.split_once('[')?;
    let (index, _) = rest.split_once(']')?;
    index.parse().ok()
}

/// Whether a token of a page is what is wrong.
fn is_of_token(error: &Error) -> bool {
    matches!(
        error.detail().code.as_deref(),
        Some("requestError.EXPIRED_PAGE_TOKEN" | "requestError.INVALID_PAGE_TOKEN")
    )
}

/// What Google says, with the place in the request where it names one.
fn told(problem: &Problem) -> String {
    let faults = problem.faults.iter().map(|fault| {
        if fault.place.is_empty() {
            fault.message.clone()
        } else {
            format!("{} at {}", fault.message, fault.place)
        }
    });
    let told: Vec<String> = faults.collect();
    if told.is_empty() {
        problem.message.clone()
    } else {
        told.join("; ")
    }
}

/// The first fault's code, else the front end's reason or status.
fn code_of(problem: &Problem) -> Option<String> {
    let fault = problem.faults.first().map(|fault| fault.code());
    fault
        .or_else(|| problem.reason.clone())
        .or_else(|| (!problem.status.is_empty()).then(|| problem.status.clone()))
}
