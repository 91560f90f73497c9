//! How much may be called: calls of a day for each address, whose number LinkedIn does not publish, and figures in a few
//! minutes.

use chrono::TimeDelta;

use super::{Context, error::ApiError};
use crate::{limits::Allowance, world::Platform};

/// Calls of one address in a day of UTC; chosen.
const OF_A_DAY: Allowance = Allowance {
    calls: 50_000,
    per: TimeDelta::days(1),
};
/// Figures that reports may have.
const FIGURES: Allowance = Allowance {
    calls: 45_000_000,
    per: TimeDelta::minutes(5),
};

/// Counts a call: of an account's where it is about one, else of the app's.
///
/// # Errors
/// 429.
pub(super) fn count_call(
    ctx: &Context<'_>,
    account: Option<&str>,
    endpoint: &str,
) -> Result<(), ApiError> {
    let limits = &ctx.shared.limits;
    let scope = format!("{}/{endpoint}", account.unwrap_or("app"));
    let is_used_up = limits
        .read(Platform::LinkedIn, &scope, OF_A_DAY, ctx.now)
        .is_over;
    let reading = limits.count(Platform::LinkedIn, &scope, OF_A_DAY, ctx.now);
    if reading.is_over {
        return Err(ApiError::throttled(is_used_up));
    }
    Ok(())
}

/// Counts the figures of a report.
///
/// # Errors
/// 429, with a sentence of its own.
pub(super) fn count_figures(ctx: &Context<'_>, figures: usize) -> Result<(), ApiError> {
    let limits = &ctx.shared.limits;
    let weight = u64::try_from(figures).unwrap_or(u64::MAX);
    let reading = limits.count_many(Platform::LinkedIn, "figures", (weight, FIGURES), ctx.now);
    if reading.is_over {
        return Err(ApiError::too_much_data());
    }
    Ok(())
}
