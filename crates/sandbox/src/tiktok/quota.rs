//! How often may be called: by the second, the minute and the day, for each endpoint and advertiser.
//! There are no headers and no waits, only messages.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Context,
    error::{Limit, TikTokError},
};
use crate::{limits::Allowance, world::Platform};

/// What the endpoint is called that begins reports in the background.
const TASKS: &str = "report/task/create/";
/// For how many minutes calls are refused after too many of them in one, which is the first of them.
const BLOCK_MINUTES: i64 = 5;
/// An allowance that nobody uses up: what the control sets for a scope is asked by way of it.
const FAR: u64 = 1_000_000_000;

/// How many calls.
struct Tier {
    a_second: u64,
    a_minute: u64,
    a_day: u64,
}

const BASIC: Tier = Tier {
    a_second: 10,
    a_minute: 600,
    a_day: 864_000,
};
const OF_TASKS: Tier = Tier {
    a_second: 2,
    a_minute: 60,
    a_day: 4_500,
};

/// Counts a call of an endpoint, for an advertiser where it is for one. The control reaches the
/// limit by the second with the advertiser's id, the others with `qpm` and `qpd`.
///
/// # Errors
/// 40100, with a message that names the limit.
pub(super) fn count(
    ctx: &Context<'_>,
    endpoint: &str,
    advertiser: Option<&str>,
) -> Result<(), TikTokError> {
    let tier = if endpoint == TASKS { &OF_TASKS } else { &BASIC };
    let bucket = format!("{}/{endpoint}", advertiser.unwrap_or("app"));
    // While the clock stands still no second ends, nor any minute.
    let is_stopped = ctx.shared.world.clock().is_stopped();
    let of_running = |most: u64| if is_stopped { FAR } else { most };
    if is_blocked(ctx, &bucket) {
        return Err(TikTokError::over(Limit::Minute));
    }
    let second = TimeDelta::seconds(1);
    if is_over(ctx, &bucket, of_running(tier.a_second), second) {
        return Err(TikTokError::over(Limit::Second));
    }
    let minute = TimeDelta::minutes(1);
    if is_over(
        ctx,
        &format!("qpm/{bucket}"),
        of_running(tier.a_minute),
        minute,
    ) {
        block(ctx, &bucket);
        return Err(TikTokError::over(Limit::Minute));
    }
    if is_over(
        ctx,
        &format!("qpd/{bucket}"),
        tier.a_day,
        TimeDelta::days(1),
    ) {
        return Err(TikTokError::over(Limit::Day));
    }
    Ok(())
}

/// Counts a call against `most` of them. Per cent are counted of [`FAR`] and not of so few: 97 per
/// cent of ten calls would be all of them.
fn is_over(ctx: &Context<'_>, scope: &str, most: u64, per: TimeDelta) -> bool {
    let allowance = Allowance { calls: FAR, per };
    used(ctx, scope, per, ctx.now) >= most
        || ctx
            .shared
            .limits
            .count(Platform::TikTok, scope, allowance, ctx.now)
            .is_over
}

/// What was counted, whatever the control says.
fn used(ctx: &Context<'_>, scope: &str, per: TimeDelta, at: DateTime<Utc>) -> u64 {
    let nothing = Allowance { calls: 0, per };
    let limits = &ctx.shared.limits;
    limits.read(Platform::TikTok, scope, nothing, at).used
}

/// A block is written down as a call of the minute in which it began.
fn block(ctx: &Context<'_>, bucket: &str) {
    let allowance = Allowance {
        calls: FAR,
        per: TimeDelta::minutes(1),
    };
    let scope = block_scope(bucket, ctx.now);
    ctx.shared
        .limits
        .count(Platform::TikTok, &scope, allowance, ctx.now);
}

fn is_blocked(ctx: &Context<'_>, bucket: &str) -> bool {
    (0..BLOCK_MINUTES).any(|minutes| {
        let at = ctx.now - TimeDelta::minutes(minutes);
        used(ctx, &block_scope(bucket, at), TimeDelta::minutes(1), at) > 0
    })
}

fn block_scope(bucket: &str, at: DateTime<Utc>) -> String {
    format!("block/{bucket}/{}", at.timestamp().div_euclid(60))
}
