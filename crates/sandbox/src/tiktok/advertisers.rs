//! Advertisers: those that a token reaches, and what they are like.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{Call, Context, access, entities::Fields, error::TikTokError, quota};
use crate::{
    oauth::Holder,
    world::{Account, AccountStatus, MICROS, Platform},
};

/// Most advertisers of one call.
const MOST: usize = 100;

/// The advertisers that somebody reaches.
pub(super) fn of(ctx: &Context<'_>, holder: &Holder) -> Vec<Account> {
    let mut accounts = ctx.shared.world.accounts(Platform::TikTok);
    accounts.retain(|account| holder.grant.reaches(&account.id));
    accounts
}

/// `GET oauth2/advertiser/get/`.
///
/// # Errors
/// Those of [`access::holder`], 40101 for another app.
pub(super) fn list(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let params = &call.params;
    access::check_app(ctx, params.text("app_id")?, params.text("secret")?)?;
    let holder = access::holder(ctx, call)?;
    quota::count(ctx, call.name, None)?;
    let list: Vec<_> = of(ctx, &holder)
        .iter()
        .map(|account| json!({ "advertiser_id": account.id, "advertiser_name": account.name }))
        .collect();
    Ok(json!({ "list": list }))
}

/// `GET advertiser/info/`.
///
/// # Errors
/// Those of [`access::holder`] and of [`access::reached`], 40011 for too many advertisers.
pub(super) fn info(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let holder = access::holder(ctx, call)?;
    quota::count(ctx, call.name, None)?;
    let ids = call.params.words("advertiser_ids")?;
    let ids = ids.ok_or_else(|| TikTokError::missing("advertiser_ids"))?;
    if ids.len() > MOST {
        return Err(TikTokError::too_many("advertiser_ids", MOST));
    }
    let fields = Fields::read(&call.params)?;
    let list = ids
        .iter()
        .map(|id| fields.select(shown(ctx, &access::reached(ctx, &holder, id)?)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "list": list }))
}

fn shown(ctx: &Context<'_>, account: &Account) -> Value {
    let balance = ctx
        .shared
        .world
        .dice(account.key, "balance")
        .between(0, 900_000);
    let cents = balance * account.currency.minor_micros();
    json!({
        "advertiser_id": account.id,
        "name": account.name,
        "company": account.name,
        "status": status(account.status),
        "role": "ROLE_ADVERTISER",
        "currency": account.currency.code(),
        "timezone": account.zone.name(),
        "display_timezone": account.zone.name(),
        "balance": cents as f64 / MICROS as f64,
        "country": country(account.zone),
        "create_time": account.created_at.timestamp(),
    })
}

fn status(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "STATUS_ENABLE",
        AccountStatus::Disabled => "STATUS_LIMIT",
        AccountStatus::Closed => "STATUS_DISABLE",
    }
}

fn country(zone: Tz) -> &'static str {
    match zone {
        Tz::Europe__Berlin => "DE",
        Tz::Europe__London => "GB",
        Tz::Asia__Tokyo => "JP",
        Tz::Australia__Sydney => "AU",
        Tz::America__Sao_Paulo => "BR",
        _ => "US",
    }
}
