//! `GET /adAnalytics`: figures of days, months, years or all of a time, by up to three pivots, whole and in one answer.

mod ask;
mod facets;
mod fields;
mod members;
mod pivot;
mod rows;

use serde_json::{Map, Value, json};

use super::{Context, access, call::Call, error::ApiError, quota};
use crate::oauth::Holder;
use ask::Ask;
use facets::Facets;
use rows::Element;

/// Most rows of one answer.
const MOST_ELEMENTS: usize = 15_000;

/// Figures. `start` and `count` change nothing, and what `paging` says means nothing: everything is in the answer.
///
/// # Errors
/// [`ApiError`]; 400 beyond 15,000 rows, 429 beyond 45 million figures in five minutes.
pub(super) fn answer(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
) -> Result<Value, ApiError> {
    access::require(holder, &access::REPORT, "adAnalytics")?;
    let ask = Ask::read(call, ctx.now)?;
    let facets = Facets::read(ctx, holder, call)?;
    for account in facets.accounts() {
        let id = ctx.shared.world.id(account);
        quota::count_call(ctx, Some(&id), "adAnalytics")?;
    }
    let elements = rows::all(ctx, &ask, &facets)?;
    let shown: Vec<_> = elements.iter().map(|element| show(&ask, element)).collect();
    quota::count_figures(ctx, shown.len() * ask.fields.metrics())?;
    Ok(json!({
        "elements": shown,
        "paging": { "start": 0, "count": 10, "links": [] },
    }))
}

fn show(ask: &Ask, element: &Element) -> Value {
    let mut row = Map::new();
    ask.fields
        .write(&mut row, &element.figures, element.currency);
    if ask.fields.has_date_range {
        let (from, to) = element.days;
        row.insert(
            "dateRange".to_owned(),
            json!({ "start": ask::day_json(from), "end": ask::day_json(to) }),
        );
    }
    if ask.fields.has_pivot_values {
        row.insert("pivotValues".to_owned(), json!(element.values));
    }
    Value::Object(row)
}
