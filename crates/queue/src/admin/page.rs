//! Pages of lists: a size and a place to go on from.

use uuid::Uuid;

use super::AdminError;

/// Items on a page where none are asked for, and at most.
const DEFAULT_LIMIT: i64 = 50;
const MOST: i64 = 500;

/// A page of a list.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts what was read, one more than the page's limit, down to the page. Its cursor is the list's name and the last
    /// item's place, so that a cursor of another list is told from one of this.
    pub fn cut(
        mut items: Vec<T>,
        page: &PageRequest,
        list: &str,
        place: impl Fn(&T) -> String,
    ) -> Self {
        let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = items.len() > most;
        items.truncate(most);
        let next = if has_more {
            items.last().map(|last| format!("{list}-{}", place(last)))
        } else {
            None
        };
        Self { items, next }
    }
}

/// Which page of a list.
#[derive(Debug, Clone)]
pub struct PageRequest {
    limit: i64,
    cursor: Option<String>,
}

impl PageRequest {
    /// A page of `limit` items (1 to 500, 50 where none is asked for) after a cursor that an earlier page gave.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a limit out of bounds.
    pub fn new(limit: Option<i64>, cursor: Option<String>) -> Result<Self, AdminError> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(AdminError::invalid("limit", "must be 1 to 500"));
        }
        Ok(Self { limit, cursor })
    }

    /// How many rows to read: one more than the page holds, to know whether there is a next one.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The place in this list that the cursor names; `None`: its beginning.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub fn text(&self, list: &str) -> Result<Option<String>, AdminError> {
        self.parsed(list, |place| Some(place.to_owned()))
    }

    /// The id behind which the page begins, in a list whose places are ids; `None`: it is the first page.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub fn id(&self, list: &str) -> Result<Option<Uuid>, AdminError> {
        self.parsed(list, |place| Uuid::try_parse(place).ok())
    }

    /// The place, where places are numbers.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn number(&self, list: &str) -> Result<Option<i64>, AdminError> {
        self.parsed(list, |place| place.parse().ok())
    }

    fn parsed<T>(
        &self,
        list: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, AdminError> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let place = cursor
            .strip_prefix(list)
            .and_then(|rest| rest.strip_prefix('-'));
        match place.and_then(parse) {
            Some(place) => Ok(Some(place)),
            None => Err(AdminError::invalid("cursor", "is not one of this list")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(cursor: &str) -> PageRequest {
        PageRequest::new(Some(1), Some(cursor.to_owned())).expect("a page of one is allowed")
    }

    #[test]
    fn the_cursor_of_a_page_leads_on_in_its_own_list_alone() {
        let first = PageRequest::new(Some(1), None).expect("a page of one is allowed");
        let id = Uuid::from_u128(7);

        let page = Page::cut(vec![id, Uuid::nil()], &first, "job", Uuid::to_string);
        let cursor = page.next.expect("there is a second page");

        assert_eq!(after(&cursor).id("job").ok(), Some(Some(id)));
        for list in ["key", "jo", "job-0"] {
            assert!(
                matches!(after(&cursor).id(list), Err(AdminError::Invalid { .. })),
                "{list}"
            );
        }
    }

    #[test]
    fn an_id_alone_is_no_cursor() {
        let id = Uuid::from_u128(7).to_string();

        assert!(matches!(
            after(&id).id("job"),
            Err(AdminError::Invalid { .. })
        ));
    }
}
