//! Everything that a request can end in beside success, and the one translation from that to a problem document.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use marketing::{
    ProviderError, StoreError, accounts::AccountsError, campaigns::CampaignsError,
    outbound::OutboundError, performance::PerformanceError, rules::RulesError, sync::SyncError,
};
use queue::{AdminError, DatabaseError, EnqueueError, PayloadProblem, error_chain};
use tokio::task::JoinError;

use crate::problem::{FieldProblem, Problem, ProblemKind};

/// How long to wait for a database that is away.
const DATABASE_RETRY: Duration = Duration::from_secs(2);
/// How long to wait for a platform that says nothing of it.
const PLATFORM_RETRY: Duration = Duration::from_secs(30);
/// Most characters of a caller's word that an answer repeats.
const LONGEST_ECHO: usize = 100;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No key, an unsound one, or one that is unknown, expired or revoked: the answer does not tell which.
    #[error("no API key, or none that is known")]
    Unauthenticated,
    /// A platform should have signed it.
    #[error("the request is not signed by the platform")]
    Unsigned,
    #[error("too many wrong API keys from this address")]
    TooManyWrongKeys { retry_after: Duration },
    #[error("the key lacks the scope {scope}")]
    MissingScope { scope: String },
    #[error("a key that is bound to a tenant cannot do this")]
    BoundKey,
    #[error("the key is bound to another tenant")]
    ForeignTenant,
    #[error("no such path or thing")]
    NotFound,
    #[error("the path has no such method")]
    MethodNotAllowed,
    /// A header or a query parameter is malformed.
    #[error("{detail}")]
    MalformedRequest {
        detail: String,
        errors: Vec<FieldProblem>,
    },
    /// The body is not sound JSON.
    #[error("{detail}")]
    MalformedBody {
        detail: String,
        errors: Vec<FieldProblem>,
    },
    /// The body is sound JSON with wrong members.
    #[error("{} members are wrong", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("{0}")]
    MediaType(&'static str),
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the body arrived too slowly")]
    BodyTimedOut,
    #[error("the body broke off")]
    BodyBrokeOff,
    #[error("the key's rate is used up")]
    RateLimited { retry_after: Duration },
    #[error("as many requests as are let in at once are at work")]
    Overloaded { retry_after: Duration },
    #[error("an item of the atomic batch is wrong")]
    BatchRefused(Vec<FieldProblem>),
    #[error("{0}")]
    NotReady(&'static str),
    #[error("the handler panicked")]
    Panicked,
    /// The wiring of routes is wrong: a fault of ours.
    #[error("{0}")]
    Wiring(&'static str),
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Syncs(#[from] SyncError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Campaigns(#[from] CampaignsError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Performance(#[from] PerformanceError),
    #[error("the answer could not be written")]
    Unwritten(#[from] JoinError),
    /// As [`Self::Admin`], where what can be invalid is a query parameter.
    #[error(transparent)]
    Listing(AdminError),
}

impl ApiError {
    /// Whether the same enqueue may well be accepted later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Enqueue(
                EnqueueError::IdempotencyPending { .. }
                    | EnqueueError::QueueFull { .. }
                    | EnqueueError::Overloaded { .. }
                    | EnqueueError::Unavailable(_)
            )
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        use ProblemKind as Kind;
        let detail = error.to_string();
        match error {
            ApiError::Unauthenticated => Self::new(Kind::Unauthenticated, detail),
            ApiError::Unsigned => Self::new(Kind::Unsigned, detail),
            ApiError::TooManyWrongKeys { retry_after } => {
                Self::new(Kind::TooManyWrongKeys, detail).retry_after(retry_after)
            }
            ApiError::MissingScope { .. } | ApiError::BoundKey | ApiError::ForeignTenant => {
                Self::new(Kind::Forbidden, detail)
            }
            ApiError::NotFound => Self::new(Kind::NotFound, detail),
            ApiError::MethodNotAllowed => Self::new(Kind::MethodNotAllowed, detail),
            ApiError::MalformedRequest { errors, .. } => {
                Self::new(Kind::MalformedRequest, detail).errors(errors)
            }
            ApiError::MalformedBody { errors, .. } => {
                Self::new(Kind::MalformedBody, detail).errors(errors)
            }
            ApiError::Invalid(errors) => Self::new(Kind::Invalid, detail).errors(errors),
            ApiError::MediaType(_) => Self::new(Kind::MediaType, detail),
            ApiError::BodyTooLarge { .. } => Self::new(Kind::TooLarge, detail),
            ApiError::BodyTimedOut => Self::new(Kind::BodyTimedOut, detail),
            ApiError::BodyBrokeOff => Self::new(Kind::MalformedBody, detail),
            ApiError::RateLimited { retry_after } => {
                Self::new(Kind::RateLimited, detail).retry_after(retry_after)
            }
            ApiError::Overloaded { retry_after } => {
                Self::new(Kind::Overloaded, detail).retry_after(retry_after)
            }
            ApiError::BatchRefused(errors) => Self::new(Kind::BatchRefused, detail).errors(errors),
            ApiError::NotReady(_) => Self::new(Kind::NotReady, detail).retry_after(DATABASE_RETRY),
            ApiError::Panicked | ApiError::Wiring(_) => internal(detail),
            ApiError::Enqueue(error) => of_enqueue(error),
            ApiError::Admin(error) => of_admin(error, ""),
            ApiError::Accounts(error) => of_accounts(error),
            ApiError::Syncs(error) => of_syncs(error),
            ApiError::Rules(error) => of_rules(error),
            ApiError::Campaigns(CampaignsError::Store(error)) => of_store(error),
            ApiError::Campaigns(CampaignsError::Engine(error)) => of_admin(error, "?"),
            ApiError::Outbound(error) => of_outbound(error),
            ApiError::Performance(error) => of_performance(error),
            ApiError::Unwritten(error) => internal(error_chain(&error)),
            ApiError::Listing(error) => of_admin(error, "?"),
        }
    }
}

fn of_enqueue(error: EnqueueError) -> Problem {
    use ProblemKind as Kind;
    match error {
        EnqueueError::UnknownKind { kind, suggestion } => {
            let known = suggestion
                .map(|known| format!("; did you mean \"{known}\"?"))
                .unwrap_or_default();
            let kind: String = kind.chars().take(LONGEST_ECHO).collect();
            let message = format!("there is no kind \"{kind}\"{known}");
            Problem::new(Kind::UnknownKind, message.clone())
                .errors(vec![FieldProblem::new("/kind", message)])
        }
        EnqueueError::Payload(problems) => {
            Problem::new(Kind::InvalidPayload, "the payload does not fit")
                .errors(problems.into_iter().map(in_payload).collect())
        }
        EnqueueError::Field { pointer, message } => {
            Problem::new(Kind::Invalid, "a member is wrong")
                .errors(vec![FieldProblem::new(pointer, message)])
        }
        EnqueueError::PayloadSyntax(problem) => {
            Problem::new(Kind::MalformedBody, "the payload is not sound JSON")
                .errors(vec![in_payload(problem)])
        }
        EnqueueError::TooLarge { limit_bytes } => Problem::new(
            Kind::TooLarge,
            format!("the payload is larger than {limit_bytes} bytes"),
        ),
        EnqueueError::Conflict { existing } => {
            let detail = format!("job {existing} has this unique key");
            Problem {
                existing: Some(existing),
                ..Problem::new(Kind::UniqueConflict, detail)
            }
        }
        EnqueueError::IdempotencyMismatch => Problem::new(
            Kind::IdempotencyMismatch,
            "the first request with this key had another body",
        ),
        EnqueueError::IdempotencyPending { retry_after } => Problem::new(
            Kind::IdempotencyPending,
            "the first request is still being stored",
        )
        .retry_after(retry_after),
        EnqueueError::QueueFull { queue, retry_after } => {
            Problem::new(Kind::QueueFull, format!("queue \"{queue}\" is full"))
                .retry_after(retry_after)
        }
        EnqueueError::Overloaded { retry_after } => {
            Problem::new(Kind::Overloaded, "more jobs arrive than can be stored")
                .retry_after(retry_after)
        }
        EnqueueError::Unavailable(error) => of_database(&error),
        EnqueueError::NoKeys { kind } => Problem::new(
            Kind::NotSetUp,
            format!(
                "payloads of \"{kind}\" are encrypted, and MILLPOND_ENCRYPTION_KEYS is not set"
            ),
        ),
        EnqueueError::NotKept => Problem::new(Kind::NotKept, "nothing of the batch was kept"),
    }
}

fn in_payload(problem: PayloadProblem) -> FieldProblem {
    FieldProblem::new(format!("/payload{}", problem.pointer), problem.message)
}

/// `sigil` tells query parameters, with "?", from members of a body.
fn of_admin(error: AdminError, sigil: &str) -> Problem {
    match error {
        AdminError::NotFound => Problem::new(ProblemKind::NotFound, "no such thing"),
        AdminError::State { state, message } => Problem {
            state: Some(state.as_str().to_owned()),
            ..Problem::new(ProblemKind::WrongState, message)
        },
        AdminError::Status { status, message } => Problem {
            state: Some(status),
            ..Problem::new(ProblemKind::WrongState, message)
        },
        AdminError::Invalid { pointer, message } => {
            let kind = if sigil.is_empty() {
                ProblemKind::Invalid
            } else {
                ProblemKind::MalformedRequest
            };
            let errors = vec![FieldProblem::new(
                format!("{sigil}{pointer}"),
                message.clone(),
            )];
            Problem::new(kind, message).errors(errors)
        }
        AdminError::Configuration(problems) => {
            let errors = problems
                .iter()
                .map(|problem| FieldProblem::new("/text", problem.to_string()))
                .collect();
            Problem::new(ProblemKind::Invalid, "the configuration is not valid").errors(errors)
        }
        AdminError::NotEnqueued(error) => of_enqueue(error),
        AdminError::Database(error) => of_database(&error),
    }
}

fn of_database(error: &DatabaseError) -> Problem {
    match error {
        DatabaseError::Unavailable(_) | DatabaseError::TimedOut | DatabaseError::Busy(_) => {
            Problem::new(
                ProblemKind::Unavailable,
                "the database did not answer; whether the request took effect is unknown",
            )
            .retry_after(DATABASE_RETRY)
            .cause(error_chain(error))
        }
        DatabaseError::Refused(_) => Problem::new(
            ProblemKind::Invalid,
            "a value of the request cannot be stored",
        ),
        DatabaseError::InvalidUrl(_)
        | DatabaseError::Statement(_)
        | DatabaseError::Migration(_) => internal(error_chain(error)),
    }
}

fn of_accounts(error: AccountsError) -> Problem {
    use ProblemKind as Kind;
    let detail = error.to_string();
    match error {
        AccountsError::NotFound => Problem::new(Kind::NotFound, detail),
        AccountsError::Invalid { pointer, message } => {
            let kind = if pointer.starts_with('?') {
                Kind::MalformedRequest
            } else {
                Kind::Invalid
            };
            Problem::new(kind, message.clone()).errors(vec![FieldProblem::new(pointer, message)])
        }
        AccountsError::NoKeys | AccountsError::NotSetUp(_) | AccountsError::NoPlatform(_) => {
            Problem::new(Kind::NotSetUp, detail)
        }
        error @ AccountsError::Sealed { .. } => internal(error_chain(&error)),
        AccountsError::Disconnected => Problem {
            state: Some("disconnected".to_owned()),
            ..Problem::new(Kind::WrongState, detail)
        },
        AccountsError::RefreshUnderway => {
            Problem::new(Kind::PlatformUnavailable, detail).retry_after(DATABASE_RETRY)
        }
        AccountsError::UnknownState => Problem::new(Kind::MalformedRequest, detail),
        AccountsError::Refused => Problem::new(Kind::AccessNotGiven, detail),
        AccountsError::NotSigned => Problem::new(Kind::NotSigned, detail),
        AccountsError::Platform(error) => of_platform(&error),
        AccountsError::Store(error) => of_store(error),
        AccountsError::Engine(error) => of_admin(error, "?"),
    }
}

fn of_syncs(error: SyncError) -> Problem {
    use ProblemKind as Kind;
    let detail = error.to_string();
    match error {
        SyncError::NotFound => Problem::new(Kind::NotFound, detail),
        SyncError::Invalid { pointer, message } => Problem::new(Kind::Invalid, message.clone())
            .errors(vec![FieldProblem::new(pointer, message)]),
        SyncError::Disconnected => Problem {
            state: Some("disconnected".to_owned()),
            ..Problem::new(Kind::WrongState, detail)
        },
        SyncError::Superseded => Problem::new(Kind::WrongState, detail),
        SyncError::Store(error) => of_store(error),
        SyncError::Engine(error) => of_admin(error, "?"),
    }
}

fn of_outbound(error: OutboundError) -> Problem {
    use ProblemKind as Kind;
    let detail = error.to_string();
    match error {
        OutboundError::NotFound => Problem::new(Kind::NotFound, detail),
        OutboundError::Invalid { pointer, message } => Problem::new(Kind::Invalid, message.clone())
            .errors(vec![FieldProblem::new(pointer, message)]),
        OutboundError::TooMany(_) => Problem::new(Kind::WrongState, detail),
        OutboundError::Disabled => Problem {
            state: Some("disabled".to_owned()),
            ..Problem::new(Kind::WrongState, detail)
        },
        OutboundError::NoKeys => Problem::new(Kind::NotSetUp, detail),
        error @ (OutboundError::Sealed { .. } | OutboundError::NoSecret) => {
            internal(error_chain(&error))
        }
        OutboundError::Store(error) => of_store(error),
        OutboundError::Engine(error) => of_admin(error, "?"),
    }
}

fn of_performance(error: PerformanceError) -> Problem {
    match error {
        PerformanceError::TooMany => Problem::new(ProblemKind::MalformedRequest, error.to_string()),
        PerformanceError::Store(error) => of_store(error),
    }
}

fn of_rules(error: RulesError) -> Problem {
    use ProblemKind as Kind;
    let detail = error.to_string();
    match error {
        RulesError::NotFound => Problem::new(Kind::NotFound, detail),
        RulesError::Invalid { pointer, message } => Problem::new(Kind::Invalid, message.clone())
            .errors(vec![FieldProblem::new(pointer, message)]),
        RulesError::State { state, message } => Problem {
            state: Some(state.to_owned()),
            ..Problem::new(Kind::WrongState, message)
        },
        RulesError::Store(error) => of_store(error),
        RulesError::Engine(error) => of_admin(error, "?"),
    }
}

fn of_store(error: StoreError) -> Problem {
    match error {
        StoreError::Database(error) => of_database(&error.into()),
        StoreError::Silent => of_database(&DatabaseError::TimedOut),
    }
}

/// A platform's own words, scrubbed where they came in. What is about our set-up is for the log alone: nobody else can mend it.
fn of_platform(error: &ProviderError) -> Problem {
    use ProblemKind as Kind;
    let detail = error.to_string();
    match error {
        ProviderError::RateLimited { retry_after, .. } => Problem::new(Kind::PlatformBusy, detail)
            .retry_after(retry_after.unwrap_or(PLATFORM_RETRY)),
        ProviderError::Postponed { wait, .. } => {
            Problem::new(Kind::PlatformBusy, detail).retry_after(wait.unwrap_or(PLATFORM_RETRY))
        }
        ProviderError::AuthExpired { .. }
        | ProviderError::Permission { .. }
        | ProviderError::Rejected { .. }
        | ProviderError::TooLarge { .. } => Problem::new(Kind::PlatformRefused, detail),
        ProviderError::Config { .. } => Problem::new(
            Kind::NotSetUp,
            "the app that calls the platform for this process is not set up, or the platform refuses it; the log says more",
        )
        .cause(detail),
        ProviderError::Unavailable { .. } | ProviderError::TimedOut { .. } => {
            Problem::new(Kind::PlatformUnavailable, detail).retry_after(PLATFORM_RETRY)
        }
    }
}

/// Tells the caller nothing of the inside.
fn internal(cause: String) -> Problem {
    Problem::new(ProblemKind::Internal, "the request failed unexpectedly").cause(cause)
}

#[cfg(test)]
mod tests {
    use marketing::ProviderDetail;

    use super::*;

    #[test]
    fn what_is_wrong_in_a_payload_is_pointed_at_from_the_body() {
        let error = EnqueueError::Payload(vec![PayloadProblem {
            pointer: "/to".to_owned(),
            message: "is missing".to_owned(),
        }]);

        let problem = Problem::from(ApiError::from(error));

        assert_eq!(
            problem.errors,
            [FieldProblem::new("/payload/to", "is missing")]
        );
    }

    #[test]
    fn nothing_of_the_inside_is_told() {
        let problem = Problem::from(ApiError::Wiring(
            "a route without admission asked for its caller",
        ));

        assert_eq!(problem.kind, ProblemKind::Internal);
        assert_eq!(problem.detail, "the request failed unexpectedly");
        assert!(problem.cause.is_some());
    }

    // Fails when a customer hears of a mistake in our own secrets.
    #[test]
    fn what_a_platform_says_of_our_own_set_up_is_for_the_log_alone() {
        let said = "client_secret is invalid";
        let detail = ProviderDetail {
            provider: "meta",
            message: said.to_owned(),
            ..ProviderDetail::default()
        };
        let error = AccountsError::Platform(ProviderError::Config { detail });

        let problem = Problem::from(ApiError::from(error));

        assert_eq!(problem.kind, ProblemKind::NotSetUp);
        assert!(!problem.detail.contains(said), "{}", problem.detail);
        assert!(problem.cause.is_some_and(|cause| cause.contains(said)));
    }

    #[test]
    fn a_database_that_is_away_or_busy_is_told_with_a_time_to_come_back() {
        let away = ApiError::from(AdminError::Database(DatabaseError::TimedOut));
        let deadlocked = DatabaseError::Busy(sqlx::Error::WorkerCrashed);
        let busy = ApiError::from(EnqueueError::Unavailable(deadlocked));

        for problem in [away, busy].map(Problem::from) {
            assert_eq!(problem.kind, ProblemKind::Unavailable);
            assert!(problem.retry_after.is_some());
        }
    }
}
