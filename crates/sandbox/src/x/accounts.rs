//! Ad accounts. They do not say what they pay in.

use serde_json::{Value, json};

use super::{
    access,
    ads::Ask,
    cursor::Cursor,
    entities::{self, Paging, time},
    error::XError,
    quota::Family,
};
use crate::world::{Account, AccountStatus, Platform};

/// Most ids of one filter.
const MOST_IDS: usize = 200;

/// `GET accounts`: those that the caller reaches.
///
/// # Errors
/// INVALID_PARAMETER, TOO_MANY_REQUESTS.
pub(super) fn list(ask: &mut Ask<'_>) -> Result<Value, XError> {
    ask.meter.count(ask.ctx, Family::Reads, &ask.caller, None)?;
    let Ask { ctx, params, .. } = &*ask;
    let paging = Paging::read(ctx, params, "accounts")?;
    let ids = params.ids("account_ids", MOST_IDS)?;
    let grant = &ask.caller.holder.grant;
    let mut accounts = ctx.shared.world.accounts(Platform::X);
    accounts.retain(|account| {
        grant.reaches(&account.id)
            && (paging.with_deleted || !is_deleted(account))
            && ids
                .as_ref()
                .is_none_or(|ids| ids.contains(&account.id.as_str()))
    });
    let total = accounts.len();
    accounts.retain(|account| paging.after.is_none_or(|(_, n)| account.key.account > n));
    let has_more = accounts.len() > paging.count;
    accounts.truncate(paging.count);
    let next = accounts.last().filter(|_| has_more).map(|last| {
        let rank = (0, last.key.account);
        Cursor::new("accounts", params, rank, ctx.now).text()
    });
    let data: Vec<_> = accounts.iter().map(shown).collect();
    Ok(entities::envelope(
        params.echo(None),
        data,
        (next, paging.with_total_count.then_some(total)),
    ))
}

/// `GET accounts/{id}`.
///
/// # Errors
/// ACCOUNT_NOT_FOUND, TOO_MANY_REQUESTS.
pub(super) fn one(ask: &mut Ask<'_>, id: &str) -> Result<Value, XError> {
    let account = access::account(ask.ctx, &ask.caller, id)?;
    ask.meter
        .count(ask.ctx, Family::Reads, &ask.caller, Some(&account))?;
    Ok(json!({
        "request": { "params": ask.params.echo(Some(id)) },
        "data": shown(&account),
    }))
}

fn is_deleted(account: &Account) -> bool {
    account.status == AccountStatus::Closed
}

fn shown(account: &Account) -> Value {
    let approval = match account.status {
        AccountStatus::Active | AccountStatus::Closed => "ACCEPTED",
        AccountStatus::Disabled => "REJECTED",
    };
    json!({
        "id": account.id,
        "name": account.name,
        "business_name": account.name,
        "timezone": account.zone.name(),
        "timezone_switch_at": time(account.created_at),
        "approval_status": approval,
        "created_at": time(account.created_at),
        "updated_at": time(account.updated_at),
        "deleted": is_deleted(account),
    })
}
