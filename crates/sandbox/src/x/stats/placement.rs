//! Where ads are shown. A line item is shown in one place; a campaign's may be in several.

use crate::world::{Key, Kind};

/// One line item of so many is shown in each of the rarer places.
const RARE_EVERY: u32 = 16;
/// Which one of them.
const SPOTLIGHT: u32 = 3;
const TREND: u32 = 6;

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::x) enum Placement {
    AllOnTwitter,
    Spotlight,
    Trend,
}

impl Placement {
    const ALL: [Self; 3] = [Self::AllOnTwitter, Self::Spotlight, Self::Trend];

    pub(in crate::x) fn as_str(self) -> &'static str {
        match self {
            Self::AllOnTwitter => "ALL_ON_TWITTER",
            Self::Spotlight => "SPOTLIGHT",
            Self::Trend => "TREND",
        }
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

/// Where a line item, or the one that a promoted tweet is of, is shown.
pub(in crate::x) fn placement_of(key: Key) -> Placement {
    let line_item = match key.kind {
        Kind::Ad => key.parent().unwrap_or(key),
        _ => key,
    };
    match line_item.n % RARE_EVERY {
        SPOTLIGHT => Placement::Spotlight,
        TREND => Placement::Trend,
        _ => Placement::AllOnTwitter,
    }
}
