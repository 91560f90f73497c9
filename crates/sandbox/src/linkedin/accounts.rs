//! Accounts, and whose they are.

use serde_json::{Value, json};

use super::{
    Context, access,
    call::Call,
    error::ApiError,
    lists::{self, Page},
    numbered::Numbered,
    quota,
    search::Search,
    shapes, urn,
};
use crate::{oauth::Holder, world::Kind};

/// Most accounts on a page.
const MOST: usize = 1_000;

/// `GET /adAccounts?q=search`.
///
/// # Errors
/// [`ApiError`].
pub(super) fn find(ctx: &Context<'_>, holder: &Holder, call: &Call<'_>) -> Result<Value, ApiError> {
    access::require(holder, &access::READ, "adAccounts")?;
    quota::count_call(ctx, None, "adAccounts")?;
    lists::check_search(call)?;
    let search = Search::read(call, &ctx.shared.world, Kind::Account)?;
    let mut accounts = access::accounts(ctx, holder);
    if lists::is_descending(call)? {
        accounts.reverse();
    }
    let page = Page::of(call, MOST)?;
    Ok(page.cut(accounts.len(), |index| {
        let account = accounts.get(index)?;
        search
            .fits_account(account)
            .then(|| call.project(shapes::account(account)))
    }))
}

/// `GET /adAccounts/{id}`.
///
/// # Errors
/// 404 for one that the token's owner does not see.
pub(super) fn get(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
    id: &str,
) -> Result<Value, ApiError> {
    access::require(holder, &access::READ, "adAccounts")?;
    call.allow(&["fields"])?;
    let account = access::account(ctx, holder, id)?;
    quota::count_call(ctx, Some(&account.id), "adAccounts")?;
    Ok(call.project(shapes::account(&account)))
}

/// `GET /adAccountUsers?q=authenticatedUser`: this list goes on by numbers.
///
/// # Errors
/// [`ApiError`].
pub(super) fn users(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
) -> Result<Value, ApiError> {
    access::require(holder, &access::READ, "adAccountUsers")?;
    quota::count_call(ctx, None, "adAccountUsers")?;
    call.allow(&["q", "start", "count"])?;
    lists::finder(call, "authenticatedUser")?;
    let page = Numbered::of(call)?;
    let accounts = access::accounts(ctx, holder);
    Ok(page.cut(call, &accounts, |account| {
        json!({
            "account": urn::of(&ctx.shared.world, account.key),
            "user": format!("urn:li:person:{}", holder.grant.user),
            "role": "ACCOUNT_MANAGER",
            "changeAuditStamps": {
                "created": { "time": account.created_at.timestamp_millis() },
                "lastModified": { "time": account.created_at.timestamp_millis() },
            },
        })
    }))
}
