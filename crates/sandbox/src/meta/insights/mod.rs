//! Insights: rows of figures of an account, a campaign, an ad set or an ad, at once or for a
//! report.

mod actions;
mod breakdown;
mod period;
mod query;
mod row;

use serde_json::Value;

use super::{
    Context, access,
    call::Call,
    error::GraphError,
    paging::{self, PageRequest},
    usage::{Case, Meter},
};
use crate::world::Key;
use query::Query;

/// Most entries of a page.
const MOST: usize = 500;
/// Most rows that a question may have in all for an answer at once. More takes a report.
const MOST_AT_ONCE: usize = 20_000;

/// `GET /{id}/insights`.
///
/// # Errors
/// [`GraphError`] for what cannot be asked, for too much, and for whoever may not see it.
pub(super) fn answer(
    call: &Call,
    ctx: &Context<'_>,
    of: Key,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    admit(call, ctx, of, meter)?;
    let query = Query::of(call, ctx, of)?;
    if query.most_rows(ctx) > MOST_AT_ONCE {
        return Err(GraphError::too_many_rows());
    }
    page(call, ctx, &query)
}

/// Lets a call pass whose token reaches the account, and counts it.
///
/// # Errors
/// [`GraphError`] for whoever may not see it.
pub(super) fn admit(
    call: &Call,
    ctx: &Context<'_>,
    of: Key,
    meter: &mut Meter,
) -> Result<(), GraphError> {
    if !of.kind.has_figures() {
        return Err(GraphError::unknown_path("insights"));
    }
    let caller = access::check(call, ctx)?;
    caller.require_account(ctx, of)?;
    meter.count(ctx, of.its_account(), Case::AdsInsights)
}

/// Whether a question can be asked, for a report.
///
/// # Errors
/// [`GraphError`] when it cannot.
pub(super) fn check(call: &Call, ctx: &Context<'_>, of: Key) -> Result<(), GraphError> {
    Query::of(call, ctx, of).map(drop)
}

/// The page that a call asks for. `ctx.now` is when the figures are seen.
///
/// # Errors
/// [`GraphError`] for what cannot be asked.
pub(super) fn page_of(call: &Call, ctx: &Context<'_>, of: Key) -> Result<Value, GraphError> {
    page(call, ctx, &Query::of(call, ctx, of)?)
}

/// The first and the last day of a question.
///
/// # Errors
/// [`GraphError`] for what cannot be asked.
pub(super) fn days(
    call: &Call,
    ctx: &Context<'_>,
    of: Key,
) -> Result<(String, String), GraphError> {
    let (first, last) = Query::of(call, ctx, of)?.days();
    Ok((first.to_string(), last.to_string()))
}

fn page(call: &Call, ctx: &Context<'_>, query: &Query) -> Result<Value, GraphError> {
    let request = PageRequest::of(call, MOST)?;
    let mut place = query.place(request.after.as_deref())?;
    let first = query.name(place);
    let mut data = Vec::new();
    let mut rows_left = (request.limit / query.breakdown.parts()).max(1);
    while let Some(of_range) = query.rows(ctx, place.range) {
        let mut rows = ctx.shared.world.rows(&of_range, place.position);
        for row in rows.by_ref().take(rows_left) {
            rows_left -= 1;
            data.extend(row::shown(ctx, query, &row));
        }
        place.position = rows.position();
        if rows_left == 0 {
            break;
        }
        place = place.next_range();
    }
    // Whether another row follows is not known before it is asked for, so that a last page may be
    // empty.
    let has_more = rows_left == 0;
    let ends = (has_more || !data.is_empty()).then(|| (first, query.name(place)));
    Ok(paging::page(call, data, ends, has_more))
}
