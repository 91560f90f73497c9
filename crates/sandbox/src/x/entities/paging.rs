//! How a list is asked for: how much of it, from where on, in which order, and with what.

use std::cmp::Reverse;

use crate::{
    world::Entity,
    x::{
        Context,
        cursor::{Cursor, Rank},
        error::XError,
        params::Params,
    },
};

/// Most entries of a page, and those of a page where nobody says how many.
const LARGEST: usize = 1_000;
const USUAL: usize = 200;

/// Which page of a list.
pub(in crate::x) struct Paging {
    pub(in crate::x) count: usize,
    pub(in crate::x) after: Option<Rank>,
    pub(in crate::x) with_deleted: bool,
    pub(in crate::x) with_total_count: bool,
    pub(super) order: Order,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    by: By,
    is_descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Number,
    CreatedAt,
    UpdatedAt,
}

impl Paging {
    /// # Errors
    /// INVALID_PARAMETER.
    pub(in crate::x) fn read(
        ctx: &Context<'_>,
        params: &Params,
        list: &str,
    ) -> Result<Self, XError> {
        let with_total_count = params.flag("with_total_count")?;
        let cursor = Cursor::read(list, params, ctx.now)?;
        if let Some(text) = params.get("cursor")
            && with_total_count
        {
            let message = "cursor and with_total_count cannot be used together";
            return Err(XError::invalid("cursor", text, message));
        }
        Ok(Self {
            count: count(params)?,
            after: cursor.map(|cursor| cursor.after),
            with_deleted: params.flag("with_deleted")?,
            with_total_count,
            order: Order::read(params)?,
        })
    }
}

fn count(params: &Params) -> Result<usize, XError> {
    let Some(text) = params.get("count") else {
        return Ok(USUAL);
    };
    let count: Option<usize> = text.parse().ok();
    count
        .filter(|count| (1..=LARGEST).contains(count))
        .ok_or_else(|| {
            let message = format!("Expected an Integer from 1 to {LARGEST} for count");
            XError::invalid("count", text, message)
        })
}

impl Order {
    fn read(params: &Params) -> Result<Self, XError> {
        let Some(text) = params.get("sort_by") else {
            return Ok(Self {
                by: By::Number,
                is_descending: false,
            });
        };
        let (name, direction) = text.split_once('-').unwrap_or((text, "asc"));
        let by = match name {
            "created_at" => Some(By::CreatedAt),
            "updated_at" => Some(By::UpdatedAt),
            _ => None,
        };
        match (by, direction) {
            (Some(by), "asc" | "desc") => Ok(Self {
                by,
                is_descending: direction == "desc",
            }),
            _ => Err(XError::invalid(
                "sort_by",
                text,
                "Expected created_at or updated_at, with -asc or -desc",
            )),
        }
    }

    /// Where something stands.
    pub(super) fn rank(self, entity: &Entity) -> Rank {
        let time = match self.by {
            By::Number => 0,
            By::CreatedAt => entity.created_at.timestamp_micros(),
            By::UpdatedAt => entity.updated_at.timestamp_micros(),
        };
        (time, entity.key.n)
    }

    pub(super) fn sort(self, things: &mut [(Rank, Entity)]) {
        if self.is_descending {
            things.sort_by_key(|(rank, _)| Reverse(*rank));
        } else {
            things.sort_by_key(|(rank, _)| *rank);
        }
    }

    /// Whether something comes later than what is at `after`.
    pub(super) fn is_behind(self, rank: Rank, after: Rank) -> bool {
        if self.is_descending {
            rank < after
        } else {
            rank > after
        }
    }
}
