//! What the errors of the Google Ads API mean for a caller: category and name of each fault first, then what the front end
//! gives as its reason, the gRPC status, and the HTTP status last.

use std::time::Duration;

use reqwest::StatusCode;

use super::wire::{Fault, Problem};

/// What a caller does about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Auth,
    Config,
    Permission,
    Rate(Quota),
    Transient,
    TooLarge,
    Rejected,
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quota {
    /// That of the moment.
    Short,
    /// That of 24 hours, which slides.
    Long,
}

impl Class {
    /// The gravest class of all that an answer says is wrong, and for how long it asks us to wait.
    pub(super) fn of(problem: &Problem, http: StatusCode) -> (Self, Option<Duration>) {
        let undecided = || Self::of_front_end(problem, http);
        let gravest = problem
            .faults
            .iter()
            .map(|fault| of_fault(fault).unwrap_or_else(undecided))
            .max_by_key(|class| class.gravity());
        let told = problem.faults.iter().filter_map(|fault| fault.retry_delay);
        (
            gravest.unwrap_or_else(undecided),
            told.chain(problem.retry_delay).max(),
        )
    }

    /// The class of a body that is no JSON: a front end spoke, which knows nothing of tokens and rights.
    pub(super) fn of_unreadable(http: StatusCode) -> Self {
        match http.as_u16() {
            413 => Self::TooLarge,
            429 => Self::Rate(Quota::Short),
            300..=499 => Self::Rejected,
            _ => Self::Transient,
        }
    }

    fn of_front_end(problem: &Problem, http: StatusCode) -> Self {
        let is_exhausted = problem.status == "RESOURCE_EXHAUSTED" || http.as_u16() == 429;
        if is_exhausted && speaks_of_size(&problem.message) {
            return Self::TooLarge;
        }
        problem
            .reason
            .as_deref()
            .and_then(of_reason)
            .or_else(|| of_grpc_status(&problem.status))
            .unwrap_or_else(|| of_http_status(http))
    }

    /// Several faults come in one failure. What asking again will never mend outweighs what it may.
    fn gravity(self) -> u8 {
        match self {
            Self::Config => 7,
            Self::Auth => 6,
            Self::Permission => 5,
            Self::Rejected => 4,
            Self::TooLarge => 3,
            Self::Rate(Quota::Long) => 2,
            Self::Rate(Quota::Short) => 1,
            Self::Transient => 0,
        }
    }
}

fn of_fault(fault: &Fault) -> Option<Class> {
    let name = fault.name.as_str();
    Some(match fault.category.as_str() {
        "authenticationError" => return of_authentication(name),
        "authorizationError" => of_authorization(name),
        "notAllowlistedError" | "operationAccessDeniedError" | "resourceAccessDeniedError" => {
            Class::Permission
        }
        "quotaError" if speaks_of_size(&fault.message) => Class::TooLarge,
        "quotaError" => return of_quota(name),
        "requestError" => of_request(name),
        "internalError" => Class::Transient,
        "databaseError" => match name {
            "CONCURRENT_MODIFICATION" => Class::Transient,
            "REQUEST_TOO_LARGE" => Class::TooLarge,
            _ => Class::Rejected,
        },
        "queryError" if name == "DATE_RANGE_TOO_WIDE" => Class::TooLarge,
        "queryError" | "dateRangeError" | "dateError" | "fieldError" | "rangeError"
        | "stringLengthError" | "mutateError" => Class::Rejected,
        _ => return None,
    })
}

fn of_authentication(name: &str) -> Option<Class> {
    Some(match name {
        "OAUTH_TOKEN_EXPIRED"
        | "OAUTH_TOKEN_INVALID"
        | "OAUTH_TOKEN_HEADER_INVALID"
        | "AUTHENTICATION_ERROR"
        | "GOOGLE_ACCOUNT_COOKIE_INVALID"
        | "OAUTH_TOKEN_REVOKED"
        | "OAUTH_TOKEN_DISABLED"
        | "GOOGLE_ACCOUNT_DELETED"
        | "GOOGLE_ACCOUNT_AUTHENTICATION_FAILED"
        | "NOT_ADS_USER"
        | "TWO_STEP_VERIFICATION_NOT_ENROLLED"
        | "ADVANCED_PROTECTION_NOT_ENROLLED" => Class::Auth,
        "CUSTOMER_NOT_FOUND" | "CLIENT_CUSTOMER_ID_INVALID" => Class::Rejected,
        "DEVELOPER_TOKEN_INVALID" => Class::Config,
        name if name.starts_with("ORGANIZATION_") => Class::Config,
        _ => return None,
    })
}

fn of_authorization(name: &str) -> Class {
    match name {
        "PROJECT_DISABLED"
        | "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"
        | "CLOUD_PROJECT_NOT_UNDER_ORGANIZATION"
        | "DEVELOPER_TOKEN_NOT_APPROVED"
        | "DEVELOPER_TOKEN_PROHIBITED"
        | "DEVELOPER_TOKEN_NOT_ON_ALLOWLIST" => Class::Config,
        _ => Class::Permission,
    }
}

fn of_quota(name: &str) -> Option<Class> {
    Some(match name {
        "RESOURCE_TEMPORARILY_EXHAUSTED" | "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION" => {
            Class::Rate(Quota::Short)
        }
        "RESOURCE_EXHAUSTED" | "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION" => {
            Class::Rate(Quota::Long)
        }
        "ACCESS_PROHIBITED" => Class::Permission,
        _ => return None,
    })
}

fn of_request(name: &str) -> Class {
    match name {
        "CLOUD_PROJECT_NOT_FOUND" | "DEVELOPER_TOKEN_PARAMETER_MISSING" | "UNSUPPORTED_VERSION" => {
            Class::Config
        }
        // The manager is the account's and none of our set-up: no other account has to wait for it.
        "LOGIN_CUSTOMER_ID_PARAMETER_MISSING" => Class::Permission,
        "TOO_MANY_MUTATE_OPERATIONS" => Class::TooLarge,
        "RPC_DEADLINE_TOO_SHORT" | "EXPIRED_PAGE_TOKEN" | "INVALID_PAGE_TOKEN" => Class::Transient,
        _ => Class::Rejected,
    }
}

fn of_reason(reason: &str) -> Option<Class> {
    Some(match reason {
        "SERVICE_DISABLED" | "CONSUMER_INVALID" | "CONSUMER_SUSPENDED" | "BILLING_DISABLED" => {
            Class::Config
        }
        "ACCESS_TOKEN_EXPIRED" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => Class::Auth,
        "RATE_LIMIT_EXCEEDED" => Class::Rate(Quota::Short),
        _ => return None,
    })
}

fn of_grpc_status(status: &str) -> Option<Class> {
    Some(match status {
        "UNAUTHENTICATED" => Class::Auth,
        "PERMISSION_DENIED" => Class::Permission,
        "RESOURCE_EXHAUSTED" => Class::Rate(Quota::Short),
        "ABORTED" | "DEADLINE_EXCEEDED" | "INTERNAL" | "UNAVAILABLE" => Class::Transient,
        "FAILED_PRECONDITION"
        | "INVALID_ARGUMENT"
        | "NOT_FOUND"
        | "OUT_OF_RANGE"
        | "UNIMPLEMENTED" => Class::Rejected,
        _ => return None,
    })
}

fn of_http_status(http: StatusCode) -> Class {
    match http.as_u16() {
        401 => Class::Auth,
        403 => Class::Permission,
        413 => Class::TooLarge,
        429 => Class::Rate(Quota::Short),
        500..=599 => Class::Transient,
        _ => Class::Rejected,
    }
}

/// An answer that is too long is refused as if a quota were used up; waiting does not make it shorter.
fn speaks_of_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "larger than max",
        "too large",
        "response size",
        "message size",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests;
