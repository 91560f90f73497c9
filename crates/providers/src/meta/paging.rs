//! Meta's lists: where a page begins and whether another one follows. Its own address of the next page holds the token and
//! is looked at for its being there alone.

use serde_json::Value;

use super::{call::GraphCall, unreadable};
use crate::{
    error::Error,
    platform::{Cursor, Page},
};

/// Most entries of a page.
const MOST: u32 = 500;

/// A call for the page of a list that begins after `after`. `asked` entries, or else the `usual` number.
pub(super) fn at(
    call: GraphCall,
    asked: Option<u32>,
    usual: u32,
    after: Option<&Cursor>,
) -> GraphCall {
    let limit = asked.unwrap_or(usual).clamp(1, MOST);
    let call = call.with("limit", limit.to_string());
    match after {
        Some(Cursor(after)) => call.with("after", after),
        None => call,
    }
}

/// The page in an answer; `item` reads an entry.
///
/// # Errors
/// [`Error::Unavailable`] for what is no list, or has an entry that cannot be read.
pub(super) fn read<T>(body: &Value, item: impl Fn(&Value) -> Option<T>) -> Result<Page<T>, Error> {
    let data = body.get("data").and_then(Value::as_array);
    let data = data.ok_or_else(|| unreadable("the answer is no list"))?;
    let items: Option<Vec<T>> = data.iter().map(item).collect();
    Ok(Page {
        items: items.ok_or_else(|| unreadable("an entry of the list cannot be read"))?,
        next: next(body)?,
    })
}

/// Where the list goes on. Only the absence of `paging.next` is its end: a page may be short or empty and have another one
/// after it, and the last one has cursors too.
fn next(body: &Value) -> Result<Option<Cursor>, Error> {
    let Some(paging) = body.get("paging") else {
        return Ok(None);
    };
    if paging.get("next").is_none_or(Value::is_null) {
        return Ok(None);
    }
    let after = paging.pointer("/cursors/after").and_then(Value::as_str);
    let after = after.ok_or_else(|| unreadable("the list goes on and does not say where"))?;
    Ok(Some(Cursor(after.to_owned())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NEXT: &str = "https://graph.facebook.com/v26.0/act_1/ads?access_token=EAAfake&after=B";

    fn page(body: &Value) -> Result<Page<String>, Error> {
        read(body, |entry| entry["id"].as_str().map(str::to_owned))
    }

    #[test]
    fn an_empty_page_with_a_next_one_is_not_the_end() {
        let body =
            json!({"data": [], "paging": {"cursors": {"before": "A", "after": "B"}, "next": NEXT}});

        let page = page(&body).expect("a page");

        assert!(page.items.is_empty());
        assert_eq!(page.next, Some(Cursor("B".to_owned())));
    }

    #[test]
    fn cursors_without_a_next_page_are_the_end() {
        let body =
            json!({"data": [{"id": "1"}], "paging": {"cursors": {"before": "A", "after": "B"}}});

        let page = page(&body).expect("a page");

        assert_eq!(page.items, ["1"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn the_address_of_the_next_page_is_not_kept() {
        let body = json!({"data": [], "paging": {"cursors": {"after": "B"}, "next": NEXT}});

        let shown = format!("{:?}", page(&body).expect("a page"));

        assert!(!shown.contains("EAA") && !shown.contains("http"), "{shown}");
    }

    #[test]
    fn what_is_no_list_is_not_an_empty_one() {
        for body in [
            json!({}),
            json!({"data": {}}),
            json!({"data": [{}]}),
            json!({"data": [], "paging": {"next": NEXT}}),
        ] {
            assert!(
                matches!(page(&body), Err(Error::Unavailable { .. })),
                "{body}"
            );
        }
    }
}
