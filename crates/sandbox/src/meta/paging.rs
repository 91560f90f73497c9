//! Pages: how many entries, where they begin, and the cursors that tell it. A page is cut before
//! deleted things are left out, so that it may be short or empty and still have a next one; the end
//! is where `next` is missing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{call::Call, error::GraphError};

/// Entries of a page where nobody says how many.
const USUAL: usize = 25;
/// What every cursor begins with.
const MARK: &str = "cursor:";

/// Which page is asked for.
pub(super) struct PageRequest {
    pub(super) limit: usize,
    /// What the cursor says that the page begins behind; `None` for the first one.
    pub(super) after: Option<String>,
}

impl PageRequest {
    /// # Errors
    /// [`GraphError`] for a limit that is none, for one beyond `most`, and for a cursor that was
    /// never given.
    pub(super) fn of(call: &Call, most: usize) -> Result<Self, GraphError> {
        let limit = match call.number("limit") {
            Some(limit @ 1..) => usize::try_from(limit).unwrap_or(usize::MAX),
            None if !call.has("limit") => USUAL,
            Some(_) | None => {
                return Err(GraphError::bad_param("limit", "must be greater than 0"));
            }
        };
        if limit > most {
            return Err(GraphError::reduce_the_amount());
        }
        let after = match call.text("after").filter(|after| !after.is_empty()) {
            None => None,
            Some(after) => Some(opened(after).ok_or_else(bad_cursor)?),
        };
        Ok(Self { limit, after })
    }

    /// What the cursor says, as a number.
    ///
    /// # Errors
    /// [`GraphError`] for a cursor of another list.
    pub(super) fn after_number(&self) -> Result<Option<u32>, GraphError> {
        self.after
            .as_ref()
            .map(|after| after.parse().map_err(|_| bad_cursor()))
            .transpose()
    }
}

/// The numbers of a list that are on a page, and whether there are more.
pub(super) fn cut(numbers: &[u32], page: &PageRequest) -> Result<(Vec<u32>, bool), GraphError> {
    let start = match page.after_number()? {
        Some(after) => numbers.partition_point(|number| *number <= after),
        None => 0,
    };
    let rest = numbers.get(start..).unwrap_or_default();
    let on_page = rest.iter().copied().take(page.limit).collect();
    Ok((on_page, rest.len() > page.limit))
}

/// A page as Graph sends it. `ends` are the positions of its first and of its last entry, the ones
/// left out included; `None` when there was nothing.
pub(super) fn page(
    call: &Call,
    data: Vec<Value>,
    ends: Option<(String, String)>,
    has_more: bool,
) -> Value {
    let Some((first, last)) = ends else {
        return json!({ "data": data });
    };
    let (before, after) = (sealed(&first), sealed(&last));
    let mut paging = json!({ "cursors": { "before": before, "after": after } });
    if has_more {
        paging["next"] = json!(call.address_with(&[("after", &after)]));
    }
    json!({ "data": data, "paging": paging })
}

/// A cursor that does not fit.
pub(super) fn bad_cursor() -> GraphError {
    GraphError::bad_param("after", "is not a valid cursor for this request")
}

fn sealed(position: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{MARK}{position}"))
}

fn opened(cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    text.strip_prefix(MARK).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_to_what_was_sealed_in_it_and_nothing_else_does() {
        assert_eq!(opened(&sealed("12.3")).as_deref(), Some("12.3"));
        for cursor in ["", "abc", "é", "AAAA"] {
            assert_eq!(opened(cursor), None, "{cursor}");
        }
    }

    #[test]
    fn pages_cover_a_list_with_gaps_once() {
        let numbers = [0, 1, 4, 9, 12];
        let page = |after: Option<&str>| PageRequest {
            limit: 2,
            after: after.map(str::to_owned),
        };

        let cuts = [None, Some("1"), Some("9"), Some("12")]
            .map(|after| cut(&numbers, &page(after)).expect("a page"));

        assert_eq!(cuts[0], (vec![0, 1], true));
        assert_eq!(cuts[1], (vec![4, 9], true));
        assert_eq!(cuts[2], (vec![12], false));
        assert_eq!(cuts[3], (vec![], false));
    }
}
