//! Lists that go on by numbers: at which element a page begins, and how many it has.

use serde_json::{Value, json};

use super::{call::Call, error::ApiError};

/// Most elements of a page, and how many where nobody says it.
const MOST: usize = 100;
const USUAL: usize = 10;

/// What every such list may be asked with.
const PAGING: [&str; 2] = ["start", "count"];

/// Which part of a list is asked for.
pub(super) struct Numbered {
    start: usize,
    count: usize,
}

impl Numbered {
    /// # Errors
    /// PARAM_INVALID for a page that is too large, and for what is no number.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, ApiError> {
        let start = call.number("start")?.unwrap_or(0);
        let count = call.number("count")?.unwrap_or(USUAL);
        if !(1..=MOST).contains(&count) {
            let description = format!("The count has to be between 1 and {MOST}");
            return Err(ApiError::invalid_param("count", &description));
        }
        Ok(Self { start, count })
    }

    /// That part of a list, each element as `show` shows it. There is a link where something is left.
    pub(super) fn cut<T>(&self, call: &Call<'_>, all: &[T], show: impl Fn(&T) -> Value) -> Value {
        let Self { start, count } = *self;
        let shown = all.iter().skip(start).take(count).map(show);
        let elements: Vec<Value> = shown.collect();
        let next = start.saturating_add(count);
        let links = if next < all.len() {
            let (path, question) = (&call.incoming.path, call.question(&PAGING));
            json!([{
                "rel": "next",
                "type": "application/json",
                "href": format!("{path}?{question}&start={next}&count={count}"),
            }])
        } else {
            json!([])
        };
        json!({
            "elements": elements,
            "paging": { "start": start, "count": count, "total": all.len(), "links": links },
        })
    }
}
