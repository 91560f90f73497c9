//! Many operations in one request, each with an outcome of its own. Each counts for Meta's limits as if it had come alone,
//! and what was used up of them stands in the outcomes, not in the answer's own headers.

use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    Meta,
    call::{GraphCall, Identity, is_part, request_id},
    refused, unreadable, usage,
};
use crate::{
    error::Error,
    http::Answer,
    platform::{Caller, Usage, call::Reading, members},
};

/// Most operations of one request.
pub const MAX_OPERATIONS: usize = 50;

/// One operation. No `Debug`: it may hold a token.
#[derive(Clone)]
pub struct Operation {
    method: Method,
    path: String,
    params: Vec<(String, String)>,
    token: Option<SecretString>,
}

/// What became of an operation.
#[derive(Debug, Clone)]
pub enum Operated {
    /// Its answer.
    Done(Value),
    /// Meta did not finish it in time. Only this one is to be repeated; whether a write was done nobody knows.
    Unfinished,
    /// It failed, and the others may not have.
    Failed(Error),
}

/// An operation as it is sent.
#[derive(Serialize)]
struct Sent {
    method: &'static str,
    relative_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Operation {
    /// Reads what stands at a path such as `act_1/campaigns`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path.into())
    }

    /// Writes to a path.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path.into())
    }

    /// With a parameter, as text; lists and objects are JSON.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// With a token of its own in the place of the caller's, such as a Page's.
    #[must_use]
    pub fn with_token(mut self, token: SecretString) -> Self {
        self.token = Some(token);
        self
    }

    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            params: Vec::new(),
            token: None,
        }
    }

    /// Whose limits it counts for.
    fn scope(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

impl Meta {
    /// Does up to [`MAX_OPERATIONS`] operations in one request, for which the caller's door counts each. The outcomes are in
    /// the order of the operations.
    ///
    /// # Errors
    /// Any variant of [`Error`], where the request as a whole failed; [`Error::Rejected`] for more operations.
    pub async fn graph_batch(
        &self,
        caller: Caller<'_>,
        operations: &[Operation],
    ) -> Result<Vec<Operated>, Error> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        if operations.len() > MAX_OPERATIONS {
            return Err(refused("a batch has at most 50 operations"));
        }
        let sent: Vec<Sent> = operations
            .iter()
            .map(|operation| self.sent(operation))
            .collect::<Result<_, _>>()?;
        let batch = serde_json::to_string(&sent)
            .map_err(|_| refused("an operation cannot be written as JSON"))?;
        let call = GraphCall::post("POST batch", &[])
            .with("include_headers", "true")
            .with("batch", batch);

        let token = &caller.access.token;
        let own = operations
            .iter()
            .filter_map(|operation| operation.token.as_ref());
        let mut secrets = self.secrets(token);
        secrets.extend(own.map(SecretString::expose_secret));
        let weight = u32::try_from(operations.len()).unwrap_or(u32::MAX);
        let who = Identity::Holder(token);
        self.send(who, (caller.door, weight), &call, |answer| {
            self.outcomes(answer, operations, &secrets)
        })
        .await
    }

    fn sent(&self, operation: &Operation) -> Result<Sent, Error> {
        if !operation.path.split('/').all(is_part) {
            return Err(refused(
                "a path of a batch has other parts than ids and names",
            ));
        }
        let proof = operation
            .token
            .as_ref()
            .and_then(|token| self.proof_for(token));
        let mut params = form_urlencoded::Serializer::new(String::new());
        params.extend_pairs(&operation.params);
        if let Some(token) = &operation.token {
            params.append_pair("access_token", token.expose_secret());
        }
        if let Some(proof) = &proof {
            params.append_pair("appsecret_proof", proof);
        }
        let params = params.finish();

        let path = operation.path.clone();
        Ok(if operation.method == Method::POST {
            Sent {
                method: "POST",
                relative_url: path,
                body: Some(params),
            }
        } else if params.is_empty() {
            Sent {
                method: "GET",
                relative_url: path,
                body: None,
            }
        } else {
            Sent {
                method: "GET",
                relative_url: format!("{path}?{params}"),
                body: None,
            }
        })
    }

    /// What the answer says of each operation, and of the limits of all of them.
    fn outcomes(
        &self,
        answer: &Answer,
        operations: &[Operation],
        secrets: &[&str],
    ) -> Reading<Vec<Operated>> {
        let mut usage = usage::read(&answer.headers);
        let result = self.read_answer(answer, "", secrets).and_then(|body| {
            let entries = body
                .as_array()
                .ok_or_else(|| unreadable("the answer to a batch is no list"))?;
            let outcomes = operations.iter().enumerate().map(|(at, operation)| {
                let entry = entries.get(at).and_then(part);
                let Some(part) = entry else {
                    return Operated::Unfinished;
                };
                usage = usage::worse(usage, usage::read(&part.headers));
                match self.read_answer(&part, operation.scope(), secrets) {
                    Ok(body) => Operated::Done(body),
                    Err(error) => {
                        usage = usage::worse(usage, refusal(&error));
                        Operated::Failed(error)
                    }
                }
            });
            Ok(outcomes.collect())
        });
        Reading {
            request_id: request_id(&result),
            usage,
            result,
        }
    }
}

/// A limit that one operation met is one of the whole request.
fn refusal(error: &Error) -> Usage {
    match error {
        Error::RateLimited { retry_after, .. } => Usage {
            used_share: None,
            remaining: Some(0),
            resets_in: *retry_after,
        },
        _ => Usage::default(),
    }
}

/// An operation's answer, which is a small HTTP answer in JSON; `None` for `null`, which is one that was not finished.
fn part(entry: &Value) -> Option<Answer> {
    let status = members::integer(entry.get("code")?)?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    let headers = entry.get("headers").and_then(Value::as_array);
    let headers: HeaderMap = headers.into_iter().flatten().filter_map(header).collect();
    Some(Answer {
        status,
        headers,
        body: members::text(entry, "body").unwrap_or_default().into(),
    })
}

fn header(told: &Value) -> Option<(HeaderName, HeaderValue)> {
    let name = members::text(told, "name")?.parse().ok()?;
    let value = HeaderValue::from_str(members::text(told, "value")?).ok()?;
    Some((name, value))
}
