//! Problem documents (RFC 9457): the one form in which the API says no. `error.rs` decides which problem it is;
//! `frame.rs` adds the request's id and writes it out; `/docs/problems` shows the list below.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use queue::JobId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The media type of problem documents.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Most wrong members named in one answer.
pub(crate) const MOST_ERRORS: usize = 50;
/// Longest that a client is asked to wait.
const LONGEST_WAIT_SECONDS: u64 = 86_400;
/// Even short waits are spread over so much more.
const SPREAD_SECONDS: u64 = 2;

macro_rules! problem_kinds {
    ($($kind:ident: $status:ident, $slug:literal, $title:literal, $remedy:literal;)+) => {
        /// What sort of problem it is. Slugs are part of the promise: clients tell problems apart by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ProblemKind { $($kind,)+ }

        impl ProblemKind {
            /// Every kind, by status.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind,)+];

            /// The status it is answered with.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            /// The end of its `type`.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug,)+ }
            }

            /// The same words for every occurrence.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }

            /// What the caller can do.
            pub(crate) const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy,)+ }
            }
        }
    };
}

problem_kinds! {
    MalformedBody: BAD_REQUEST, "malformed-body", "The body is not sound JSON",
        "Mend the body; the detail has line and column. Nothing was stored.";
    MalformedRequest: BAD_REQUEST, "malformed-request", "The request is malformed",
        "Mend the header or the query parameter that the detail names. Nothing was stored.";
    Unauthenticated: UNAUTHORIZED, "unauthenticated", "No API key, or none that is known",
        "Send one key, as `Authorization: Bearer mp_…` or as `X-API-Key: mp_…`.";
    Unsigned: UNAUTHORIZED, "unsigned", "The request does not bear the signature of the platform that it should come from",
        "Only the platform itself can send it; check the secret of the app that is set here.";
    Forbidden: FORBIDDEN, "forbidden", "The API key may not do this",
        "Use a key with the scope that the detail names, or one that is not bound to a tenant.";
    NotSigned: FORBIDDEN, "not-signed", "The request is not signed by whom it should come from",
        "Only the platform itself can send it.";
    AccessNotGiven: FORBIDDEN, "access-not-given", "The person did not give access",
        "Begin again, and give access on the platform's page.";
    NotFound: NOT_FOUND, "not-found", "There is no such thing",
        "Check the path and the id. What belongs to another tenant is not shown.";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "The path has no such method",
        "Use one of the methods in the `Allow` header.";
    BodyTimedOut: REQUEST_TIMEOUT, "body-timed-out", "The body arrived too slowly",
        "Send the whole body at once. Nothing was stored.";
    WrongState: CONFLICT, "wrong-state", "The present state does not allow this",
        "Read the thing again; `state` is its present state.";
    UniqueConflict: CONFLICT, "unique-conflict", "A job with this unique key exists",
        "`existing` is its id. Use another `on_conflict` to have it kept or replaced.";
    IdempotencyPending: CONFLICT, "idempotency-pending", "The first request with this idempotency key is still at work",
        "Repeat the same request after `Retry-After`.";
    NotSetUp: CONFLICT, "not-set-up", "This process is not set up for that",
        "Set what the detail, or else the log, names in the environment of the processes that serve the API, or ask whoever runs them.";
    TooLarge: PAYLOAD_TOO_LARGE, "too-large", "The body is too large",
        "Send less, or in several requests. Nothing was stored.";
    MediaType: UNSUPPORTED_MEDIA_TYPE, "media-type", "The body's form is not supported",
        "Send UTF-8 as `application/json`, batches also as `application/x-ndjson`, without a content encoding.";
    Invalid: UNPROCESSABLE_ENTITY, "invalid", "The request is well-formed but wrong",
        "`errors` names each wrong member. Nothing was stored.";
    UnknownKind: UNPROCESSABLE_ENTITY, "unknown-kind", "There is no such kind of job",
        "`GET /v1/kinds` lists the kinds.";
    InvalidPayload: UNPROCESSABLE_ENTITY, "invalid-payload", "The payload does not fit its kind's schema",
        "`errors` names each wrong member; `GET /v1/kinds/{kind}/schema` is the schema. Nothing was stored.";
    IdempotencyMismatch: UNPROCESSABLE_ENTITY, "idempotency-mismatch", "The idempotency key was used for another request",
        "Use a new key for a new request.";
    BatchRefused: UNPROCESSABLE_ENTITY, "batch-refused", "An item of the batch is wrong, so none was kept",
        "Mend the items that `errors` names, or send the batch without `atomic`.";
    NotKept: UNPROCESSABLE_ENTITY, "not-kept", "Another item of the batch is wrong",
        "Mend that item and send the batch again.";
    PlatformRefused: UNPROCESSABLE_ENTITY, "platform-refused", "The platform refuses what it was asked for",
        "The detail has the platform's own words.";
    RateLimited: TOO_MANY_REQUESTS, "rate-limited", "The API key makes too many requests",
        "Wait for `Retry-After`.";
    QueueFull: TOO_MANY_REQUESTS, "queue-full", "The queue takes no more jobs at present",
        "Wait for `Retry-After`; the queue's `max_ready` is reached.";
    TooManyWrongKeys: TOO_MANY_REQUESTS, "too-many-wrong-keys", "Too many wrong API keys from this address",
        "Wait for `Retry-After`, with a right key.";
    PlatformBusy: TOO_MANY_REQUESTS, "platform-busy", "The platform asks for a pause",
        "Wait for `Retry-After`.";
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "The service is at its limit",
        "Repeat the request after `Retry-After`. Nothing was stored.";
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "The database cannot be reached at present",
        "Repeat the request after `Retry-After`, with the same idempotency key: whether it took effect is unknown.";
    PlatformUnavailable: SERVICE_UNAVAILABLE, "platform-unavailable", "The platform cannot be reached at present",
        "Repeat the request after `Retry-After`.";
    NotReady: SERVICE_UNAVAILABLE, "not-ready", "This process should get no requests at present",
        "The detail says why.";
    Internal: INTERNAL_SERVER_ERROR, "internal", "The request failed unexpectedly",
        "Tell an operator the `request_id`: the log has more under it.";
}

impl ProblemKind {
    /// The kind that stands for a status which something other than our own code chose.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let same = Self::ALL.iter().find(|kind| kind.status() == status);
        same.copied().unwrap_or(if status.is_server_error() {
            Self::Internal
        } else {
            Self::MalformedRequest
        })
    }
}

/// A wrong member of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// JSON Pointer of the member, "" for the whole body; `?name` for a query parameter.
    #[schema(example = "/priority")]
    pub(crate) pointer: String,
    /// What is wrong with it.
    #[schema(example = "must be a whole number from 0 to 9")]
    pub(crate) message: String,
}

impl FieldProblem {
    /// What is wrong with the member that a pointer names.
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// One occurrence of a problem, not yet written out.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldProblem>,
    pub(crate) existing: Option<JobId>,
    pub(crate) state: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// What went wrong inside: for the log alone.
    pub(crate) cause: Option<String>,
}

impl Problem {
    /// An occurrence with a sentence of its own.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            existing: None,
            state: None,
            retry_after: None,
            cause: None,
        }
    }

    /// The members that are wrong; those beyond 50 are left out.
    pub(crate) fn errors(mut self, mut errors: Vec<FieldProblem>) -> Self {
        errors.truncate(MOST_ERRORS);
        self.errors = errors;
        self
    }

    /// When to come back.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What the log says of it.
    pub(crate) fn cause(mut self, cause: String) -> Self {
        self.cause = Some(cause);
        self
    }

    /// The document as it is sent.
    pub(crate) fn document(self, request_id: Option<&str>) -> ProblemDocument {
        ProblemDocument {
            kind: format!("/docs/problems#{}", self.kind.slug()),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail,
            request_id: request_id.map(str::to_owned),
            errors: self.errors,
            existing: self.existing.map(|id| id.0),
            state: self.state,
        }
    }
}

impl IntoResponse for Problem {
    /// Carries the problem to the frame, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What went wrong, as RFC 9457 has it. `type` stays the same from release to release.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument {
    /// What sort of problem it is: a page that explains it.
    #[serde(rename = "type")]
    #[schema(example = "/docs/problems#invalid-payload")]
    kind: String,
    /// The same words for every occurrence.
    #[schema(example = "The payload does not fit its kind's schema")]
    title: String,
    /// The status of the answer.
    #[schema(example = 422)]
    status: u16,
    /// What it is in this case.
    detail: String,
    /// The request's id, as in `X-Request-Id`; the log has it too. Absent in the items of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Each wrong member, up to 50.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// The job that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<Uuid>,
    /// The present state that does not allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

/// `Retry-After`: whole seconds, at least one, and at random up to a fifth more or two, so that those who were refused
/// together do not return together.
pub(crate) fn retry_after_seconds(wait: Duration) -> u64 {
    let rounded_up = wait
        .as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0));
    let least = rounded_up.clamp(1, LONGEST_WAIT_SECONDS);
    least + rand::random_range(0..=(least / 5).max(SPREAD_SECONDS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_of_problem_has_a_slug_of_its_own() {
        let slugs: BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.slug()).collect();

        assert_eq!(slugs.len(), ProblemKind::ALL.len());
    }

    #[test]
    fn a_wait_is_rounded_up_and_spread_but_never_shortened() {
        for (wait, least, most) in [
            (Duration::ZERO, 1, 3),
            (Duration::from_millis(2_001), 3, 5),
            (Duration::from_secs(100), 100, 120),
            (
                Duration::MAX,
                LONGEST_WAIT_SECONDS,
                LONGEST_WAIT_SECONDS * 2,
            ),
        ] {
            let seconds = retry_after_seconds(wait);

            assert!(
                (least..=most).contains(&seconds),
                "{wait:?} became {seconds}"
            );
        }
    }

    // Fails when all who are refused at a time are told the same.
    #[test]
    fn those_who_are_refused_together_are_not_called_back_together() {
        let told: BTreeSet<u64> = (0..200)
            .map(|_| retry_after_seconds(Duration::from_secs(1)))
            .collect();

        assert_eq!(told, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn a_status_that_is_nobodys_is_told_as_the_nearest_kind() {
        assert_eq!(
            ProblemKind::of_status(StatusCode::PAYLOAD_TOO_LARGE),
            ProblemKind::TooLarge
        );
        assert_eq!(
            ProblemKind::of_status(StatusCode::URI_TOO_LONG),
            ProblemKind::MalformedRequest
        );
        assert_eq!(
            ProblemKind::of_status(StatusCode::BAD_GATEWAY),
            ProblemKind::Internal
        );
    }
}
