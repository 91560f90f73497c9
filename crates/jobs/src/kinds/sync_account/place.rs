//! Where a sync of what an account holds goes on: kept with every page.

use chrono::{DateTime, Utc};
use providers::platform::{Cursor, EntityType};
use queue::ErrorClass;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The largest page once a platform has said that its usual one is too large: half of the smallest usual one, which Meta's
/// richest lists have.
const FIRST_SMALLER_PAGE: u32 = 25;

/// Where a sync goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// What is read; `None`: everything was.
    pub(super) kind: Option<EntityType>,
    pub(super) stage: Stage,
    /// Most on a page; `None`: the platform's usual.
    pub(super) page_size: Option<u32>,
    /// Only what changed since; `None`: all.
    pub(super) since: Option<DateTime<Utc>>,
    /// How many kinds were read to their ends.
    pub(super) whole: u32,
    /// What could not be read.
    pub(super) left_out: Vec<LeftOut>,
}

/// How far a kind is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// This page is next.
    Page(Option<Cursor>),
    /// Its last page is stored.
    End,
}

/// A kind that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    pub(super) kind: EntityType,
    pub(super) class: ErrorClass,
    pub(super) message: String,
}

impl Place {
    /// The beginning.
    pub(super) fn first(kinds: &[EntityType], since: Option<DateTime<Utc>>) -> Self {
        Self {
            kind: kinds.first().copied(),
            stage: Stage::Page(None),
            page_size: None,
            since,
            whole: 0,
            left_out: Vec::new(),
        }
    }

    /// What was stored of an earlier attempt; `None` where it cannot be read: another release wrote it.
    pub(super) fn stored(document: &Value) -> Option<Self> {
        Self::deserialize(document).ok()
    }

    /// As it is stored.
    pub(super) fn document(&self) -> Value {
        json!(self)
    }

    /// Behind a page.
    pub(super) fn behind(self, next: Option<Cursor>) -> Self {
        let stage = match next {
            Some(cursor) => Stage::Page(Some(cursor)),
            None => Stage::End,
        };
        Self { stage, ..self }
    }

    /// At the next kind; the one before was read to its end.
    pub(super) fn behind_kind(self, kinds: &[EntityType]) -> Self {
        Self {
            whole: self.whole + 1,
            ..self.at_next(kinds)
        }
    }

    /// At the next kind, with what kept the one before from being read.
    pub(super) fn without(mut self, left_out: LeftOut, kinds: &[EntityType]) -> Self {
        self.left_out.push(left_out);
        self.at_next(kinds)
    }

    /// What could not be read, and is to be seen first: rights may be missing for good, all else wants a look.
    pub(super) fn worst_left_out(&self) -> Option<&LeftOut> {
        let is_worse = |it: &&LeftOut| it.class != ErrorClass::Permission;
        let worse = self.left_out.iter().find(is_worse);
        worse.or_else(|| self.left_out.first())
    }

    /// At the beginning of the kind, with pages of half the size. A list is begun anew, since places in it may be numbers of
    /// pages. `None`: pages of one were too large.
    pub(super) fn with_smaller_pages(self) -> Option<Self> {
        let smaller = match self.page_size {
            None => FIRST_SMALLER_PAGE,
            Some(0 | 1) => return None,
            Some(size) => size / 2,
        };
        Some(Self {
            stage: Stage::Page(None),
            page_size: Some(smaller),
            ..self
        })
    }

    fn at_next(self, kinds: &[EntityType]) -> Self {
        let mut rest = kinds.iter().skip_while(|kind| Some(**kind) != self.kind);
        rest.next();
        Self {
            kind: rest.next().copied(),
            stage: Stage::Page(None),
            page_size: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [EntityType; 3] = [EntityType::Campaign, EntityType::AdSet, EntityType::Ad];

    #[test]
    fn a_place_is_read_as_it_was_stored() {
        let place = Place::first(&KINDS, Some(DateTime::UNIX_EPOCH))
            .behind(Some(Cursor("c1".to_owned())))
            .without(
                LeftOut {
                    kind: EntityType::Campaign,
                    class: ErrorClass::Permission,
                    message: "no".to_owned(),
                },
                &KINDS,
            );

        let stored = Place::stored(&place.document());

        assert_eq!(stored, Some(place));
        assert_eq!(Place::stored(&json!({"page": 7})), None);
    }

    #[test]
    fn kinds_follow_one_another_to_the_end() {
        let mut place = Place::first(&KINDS, None);
        let mut read = Vec::new();
        while let Some(kind) = place.kind {
            read.push(kind);
            place = place.behind(None).behind_kind(&KINDS);
        }

        assert_eq!(read, KINDS);
        assert_eq!(place.whole, 3);
    }

    // Fails when a right that is missing for good hides what went wrong beside it.
    #[test]
    fn what_is_more_than_a_missing_right_is_seen_first() {
        let left_out = |kind, class| LeftOut {
            kind,
            class,
            message: "no".to_owned(),
        };
        let unread = left_out(EntityType::Campaign, ErrorClass::Permission);
        let wrong = left_out(EntityType::AdSet, ErrorClass::Invalid);

        let place = Place::first(&KINDS, None).without(unread.clone(), &KINDS);
        let both = place.clone().without(wrong.clone(), &KINDS);

        assert_eq!(place.worst_left_out(), Some(&unread));
        assert_eq!(both.worst_left_out(), Some(&wrong));
        assert_eq!(Place::first(&KINDS, None).worst_left_out(), None);
    }

    #[test]
    fn pages_are_halved_down_to_one() {
        let mut place = Place::first(&KINDS, None).behind(Some(Cursor("c1".to_owned())));
        let mut sizes = Vec::new();
        while let Some(smaller) = place.clone().with_smaller_pages() {
            sizes.extend(smaller.page_size);
            place = smaller;
        }

        assert_eq!(sizes, [25, 12, 6, 3, 1]);
        assert_eq!(place.stage, Stage::Page(None));
        assert_eq!(place.behind_kind(&KINDS).page_size, None);
    }
}
