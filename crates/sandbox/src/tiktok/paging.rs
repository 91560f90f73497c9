//! Pages by number, from 1 on.

use serde_json::{Value, json};

use super::{error::TikTokError, params::Params};

/// Most entries of a page.
const LARGEST: u32 = 1_000;
/// Entries of a page where nobody says how many.
const USUAL: u32 = 10;

/// Which page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paging {
    page: usize,
    pub(super) size: usize,
}

impl Paging {
    /// # Errors
    /// 40002 for numbers out of bounds.
    pub(super) fn read(params: &Params) -> Result<Self, TikTokError> {
        Self::up_to(LARGEST, params)
    }

    /// Of a list whose pages are smaller.
    ///
    /// # Errors
    /// 40002 for numbers out of bounds.
    pub(super) fn up_to(largest: u32, params: &Params) -> Result<Self, TikTokError> {
        let page = params.number("page", 1, 1..=u32::MAX)?;
        let size = params.number("page_size", USUAL, 1..=largest)?;
        Ok(Self {
            page: page as usize,
            size: size as usize,
        })
    }

    /// How many entries come before it.
    pub(super) fn passed(&self) -> usize {
        (self.page - 1) * self.size
    }

    /// What is told beside it; of nothing there are 0 pages.
    pub(super) fn info(&self, total: usize) -> Value {
        json!({
            "page": self.page,
            "page_size": self.size,
            "total_number": total,
            "total_page": total.div_ceil(self.size),
        })
    }
}
