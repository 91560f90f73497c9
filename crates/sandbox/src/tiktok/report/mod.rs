//! Reports: at once, page by page, or in the background as a file.

mod audience;
mod csv;
mod filter;
mod metric;
mod query;
mod row;
mod task;

use serde_json::{Value, json};

use super::{Call, Context, access, error::TikTokError, paging::Paging, quota};
use crate::world::Account;
use query::ReportQuery;
use row::Teller;

pub(super) use task::{check as check_task, create as create_task, download};

/// `GET report/integrated/get/`.
///
/// # Errors
/// Those of [`access::advertiser`], 40001 without the permission to report, 40002 for what cannot be
/// asked.
pub(super) fn get(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let holder = access::holder(ctx, call)?;
    access::check_permission(&holder, access::REPORTING)?;
    let account = access::reached(ctx, &holder, call.params.required("advertiser_id")?)?;
    quota::count(ctx, call.name, Some(&account.id))?;
    let paging = Paging::read(&call.params)?;
    let query = ReportQuery::read(&call.params)?;
    let (list, total) = page(ctx, &query, &account, paging);
    Ok(json!({ "list": list, "page_info": paging.info(total) }))
}

/// The rows of a page, and how many there are in all.
fn page(
    ctx: &Context<'_>,
    query: &ReportQuery,
    account: &Account,
    paging: Paging,
) -> (Vec<Value>, usize) {
    let world = &ctx.shared.world;
    let teller = Teller {
        world,
        account,
        query,
    };
    let mut list = Vec::new();
    let mut total = 0;
    for row in query.rows(world, account, ctx.now) {
        for part in teller.parts(&row) {
            if total >= paging.passed() && list.len() < paging.size {
                list.push(teller.json(&row, &part));
            }
            total += 1;
        }
    }
    (list, total)
}
