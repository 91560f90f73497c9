//! Ad accounts: `act_{id}` and `me/adaccounts`.

use chrono::{DateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{Thing, members};
use crate::{
    meta::{
        Context, access,
        call::Call,
        error::GraphError,
        fields::Fields,
        paging::{self, PageRequest},
        words,
    },
    world::{Key, MICROS, Platform},
};

/// Most accounts of a page.
const MOST: usize = 500;

/// `GET /me/adaccounts`: those that the token reaches.
///
/// # Errors
/// [`GraphError`] for whoever may not see them.
pub(in crate::meta) fn accounts(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require(&["ads_read", "ads_management"], ctx.now)?;
    let holder = caller.holder()?;
    let fields = Fields::of(call, &["id", "account_id"])?;
    let page = PageRequest::of(call, MOST)?;
    let reached: Vec<Key> = ctx
        .shared
        .world
        .accounts(Platform::Meta)
        .into_iter()
        .filter(|account| holder.grant.reaches(&account.id))
        .map(|account| account.key)
        .collect();
    let numbers: Vec<u32> = reached.iter().map(|key| key.account).collect();
    let (on_page, has_more) = paging::cut(&numbers, &page)?;
    let data = on_page
        .iter()
        .map(|number| {
            let key = Key::account(Platform::Meta, *number);
            fields.select("AdAccount", &thing(ctx, key))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let ends = on_page.first().zip(on_page.last());
    let ends = ends.map(|(first, last)| (first.to_string(), last.to_string()));
    Ok(paging::page(call, data, ends, has_more))
}

/// An account with every member that can be asked for. Its `id` has a prefix, its `account_id` has
/// none. What it spent and owes is made up and fits nothing.
pub(super) fn thing(ctx: &Context<'_>, key: Key) -> Thing {
    let world = &ctx.shared.world;
    let account = world.account_of(key);
    let (status, disable_reason) = words::account_status(account.status);
    let spent = world.dice(key, "spent").between(1_000, 90_000) * MICROS;
    let business = world.dice(key, "business").between(1, 9);
    members(json!({
        "id": format!("act_{}", account.id),
        "account_id": account.id,
        "name": account.name,
        "account_status": status,
        "disable_reason": disable_reason,
        "currency": account.currency.code(),
        "timezone_name": account.zone.name(),
        "timezone_offset_hours_utc": offset_hours(account.zone, ctx.now),
        "amount_spent": words::minor(spent, account.currency),
        "balance": words::minor(spent / 100, account.currency),
        "spend_cap": "0",
        "business": { "id": format!("20000000000000{business}"), "name": "Fake Business" },
        "created_time": words::time(account.created_at, account.zone),
    }))
}

fn offset_hours(zone: Tz, now: DateTime<Utc>) -> i32 {
    let offset = zone.offset_from_utc_datetime(&now.naive_utc());
    offset.fix().local_minus_utc() / 3_600
}
