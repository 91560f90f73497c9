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
    /// Cuts what was read, one more than the page's limit, down to the page.
    pub(super) fn cut(
        mut items: Vec<T>,
        page: &PageRequest,
        cursor: impl Fn(&T) -> String,
    ) -> Self {
        let most = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = items.len() > most;
        items.truncate(most);
        let next = if has_more {
            items.last().map(cursor)
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

    /// One more than the page holds, to know whether there is a next one.
    pub(super) fn rows(&self) -> i64 {
        self.limit + 1
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(super) fn id(&self) -> Result<Option<Uuid>, AdminError> {
        self.parsed(|text| Uuid::try_parse(text).ok())
    }

    pub(super) fn number(&self) -> Result<Option<i64>, AdminError> {
        self.parsed(|text| text.parse().ok())
    }

    fn parsed<T>(&self, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, AdminError> {
        match &self.cursor {
            None => Ok(None),
            Some(text) => parse(text).map(Some).ok_or_else(|| {
                AdminError::invalid("cursor", "is not one that a page of this list gave")
            }),
        }
    }
}
