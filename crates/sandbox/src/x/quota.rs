//! How often may be called, by families of calls and by accounts, and the headers that say so. They
//! tell a time to come back at: by the machine's clock, which callers compare it with.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;

use super::{Context, access::Caller, error::XError};
use crate::{
    clock,
    faults::Throttling,
    limits::{Allowance, Reading},
    world::{Account, Platform},
};

const QUARTER: TimeDelta = TimeDelta::minutes(15);
/// What the headers of one person's limit begin with, and those of an account's. Where the latter
/// are present, they are the ones that count.
const OF_PERSON: &str = "x-rate-limit";
const OF_ACCOUNT: &str = "x-account-rate-limit";

/// Calls that share an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Lists of what an account holds.
    Core,
    /// Other reads.
    Reads,
    /// Lists that are counted to their end.
    TotalCount,
    /// Statistics at once.
    Stats,
    Writes,
}

/// What is told of limits beside an answer.
#[derive(Default)]
pub(super) struct Meter {
    person: Option<Reading>,
    account: Option<Reading>,
}

impl Family {
    fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Reads => "reads",
            Self::TotalCount => "total_count",
            Self::Stats => "stats",
            Self::Writes => "writes",
        }
    }

    fn allowance(self) -> Allowance {
        let (calls, per) = match self {
            Self::Core => (10_000, QUARTER),
            Self::Reads => (2_000, QUARTER),
            Self::TotalCount => (200, QUARTER),
            Self::Stats => (250, QUARTER),
            Self::Writes => (450, TimeDelta::minutes(1)),
        };
        Allowance { calls, per }
    }
}

impl Meter {
    /// Counts a call, for an account where it is for one.
    ///
    /// # Errors
    /// TOO_MANY_REQUESTS.
    pub(super) fn count(
        &mut self,
        ctx: &Context<'_>,
        family: Family,
        caller: &Caller,
        account: Option<&Account>,
    ) -> Result<(), XError> {
        let count = |who: &str| {
            let scope = format!("{who}/{}", family.as_str());
            let limits = &ctx.shared.limits;
            limits.count(Platform::X, &scope, family.allowance(), ctx.now)
        };
        let reading = count(account.map_or(caller.tag.as_str(), |account| account.id.as_str()));
        if family == Family::Core && account.is_some() {
            self.account = Some(reading);
        } else {
            self.person = Some(reading);
        }
        if reading.is_over {
            return Err(XError::too_many_requests());
        }
        // A person's calls for all accounts are told as well, but it is the account's that count.
        if self.account.is_some() {
            self.person = Some(count(&caller.tag));
        }
        Ok(())
    }

    /// Writes the headers.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for (prefix, reading) in [(OF_PERSON, self.person), (OF_ACCOUNT, self.account)] {
            if let Some(reading) = reading {
                let (limit, remaining) = (reading.calls, reading.remaining());
                tell(headers, prefix, (limit, remaining), reading.resets_in);
            }
        }
    }
}

/// Too many calls, as a fault asks for it.
pub(super) fn throttled(throttling: &Throttling) -> Response {
    let status = throttling.status.unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let error = match throttling.code {
        Some(code) => XError::number(status, code, "Rate limit exceeded"),
        None if status == StatusCode::SERVICE_UNAVAILABLE => {
            XError::word(status, "OVER_CAPACITY", "The service is over capacity")
        }
        None => XError::word(status, "TOO_MANY_REQUESTS", "Rate limit exceeded"),
    };
    let mut answer = error.into_response();
    let wait = TimeDelta::seconds(i64::from(throttling.wait_s));
    tell(answer.headers_mut(), OF_PERSON, (250, 0), wait);
    answer
}

/// `reset` is seconds since 1970.
fn tell(headers: &mut HeaderMap, prefix: &str, of: (u64, u64), resets_in: TimeDelta) {
    let (limit, remaining) = of;
    let reset = (clock::now() + resets_in).timestamp();
    let told = [
        ("limit", HeaderValue::from(limit)),
        ("remaining", HeaderValue::from(remaining)),
        ("reset", HeaderValue::from(reset)),
    ];
    for (name, value) in told {
        if let Ok(name) = HeaderName::try_from(format!("{prefix}-{name}")) {
            headers.insert(name, value);
        }
    }
}
