//! How much may be called: requests in a short time, which Google does not publish, and operations in any 24 hours, which
//! it does.

use chrono::TimeDelta;

use super::{
    Context,
    error::{AdsError, Quota},
};
use crate::{
    limits::{Allowance, Reading},
    world::{Platform, hour_of, start_of},
};

/// Operations of a project with basic access in any 24 hours.
const OPERATIONS: u64 = 15_000;
/// The 24 hours slide by whole ones.
const HOURS: i64 = 24;
/// For one customer; chosen, as the next one is.
const OF_A_CUSTOMER: Allowance = Allowance {
    calls: 6_000,
    per: TimeDelta::minutes(1),
};
/// For all customers of a project.
const OF_A_PROJECT: Allowance = Allowance {
    calls: 30_000,
    per: TimeDelta::minutes(1),
};

/// Counts a request, whatever it asks for.
///
/// # Errors
/// RESOURCE_TEMPORARILY_EXHAUSTED.
pub(super) fn count_request(ctx: &Context<'_>, customer: Option<&str>) -> Result<(), AdsError> {
    let count = |scope: &str, allowance| {
        let limits = &ctx.shared.limits;
        limits.count(Platform::GoogleAds, scope, allowance, ctx.now)
    };
    if let Some(customer) = customer {
        let reading = count(customer, OF_A_CUSTOMER);
        if reading.is_over {
            return Err(too_fast(&reading, "ACCOUNT", "Requests per account"));
        }
    }
    let reading = count("requests", OF_A_PROJECT);
    if reading.is_over {
        return Err(too_fast(&reading, "DEVELOPER", "Requests per project"));
    }
    Ok(())
}

/// Counts an operation: a query, however many rows it has. Its further pages are free.
///
/// # Errors
/// RESOURCE_EXHAUSTED until the first operations of the day before fall out of the 24 hours.
pub(super) fn count_operation(ctx: &Context<'_>) -> Result<(), AdsError> {
    let this_hour = hour_of(ctx.now);
    let earlier: u64 = (this_hour + 1 - HOURS..this_hour)
        .map(|hour| used_in(ctx, hour))
        .sum();
    let allowance = in_an_hour(OPERATIONS.saturating_sub(earlier));
    let limits = &ctx.shared.limits;
    let scope = scope(this_hour);
    let reading = limits.count(Platform::GoogleAds, &scope, allowance, ctx.now);
    if !reading.is_over {
        return Ok(());
    }
    let first = (this_hour + 1 - HOURS..this_hour)
        .find(|hour| used_in(ctx, *hour) > 0)
        .unwrap_or(this_hour);
    let quota = Quota {
        scope: "DEVELOPER",
        name: "Number of operations for basic access",
        wait: start_of(first + HOURS) - ctx.now,
    };
    let wait_s = quota.wait.num_seconds();
    let message = format!("Too many requests. Retry in {wait_s} seconds.");
    Err(AdsError::quota("RESOURCE_EXHAUSTED", &message, quota))
}

/// Each hour is counted by itself, so that the hours can be added up as they go by.
fn scope(hour: i64) -> String {
    format!("operations/{hour}")
}

fn used_in(ctx: &Context<'_>, hour: i64) -> u64 {
    // With an allowance of nothing a reading is what was counted, whatever the control says.
    let nothing = in_an_hour(0);
    let limits = &ctx.shared.limits;
    let reading = limits.read(Platform::GoogleAds, &scope(hour), nothing, start_of(hour));
    reading.used
}

fn in_an_hour(calls: u64) -> Allowance {
    Allowance {
        calls,
        per: TimeDelta::hours(1),
    }
}

fn too_fast(reading: &Reading, scope: &'static str, name: &'static str) -> AdsError {
    let quota = Quota {
        scope,
        name,
        wait: reading.resets_in,
    };
    let wait_s = quota.wait.num_seconds();
    let message = format!("Too many requests. Retry in {wait_s} seconds.");
    AdsError::quota("RESOURCE_TEMPORARILY_EXHAUSTED", &message, quota)
}
