//! Breakdowns: the hours of the account's day, and where ads were shown.

use crate::{
    meta::{call::Call, error::GraphError},
    world::{Currency, Figures},
};

/// The breakdown by hours, also the member of a row that tells its hour.
pub(super) const BY_HOUR: &str = "hourly_stats_aggregated_by_advertiser_time_zone";
/// The breakdown by where ads were shown, also the member that tells it.
pub(super) const BY_PUBLISHER: &str = "publisher_platform";

/// What rows are broken down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakdown {
    Nothing,
    Hour,
    Publisher,
}

impl Breakdown {
    /// # Errors
    /// [`GraphError`] for a breakdown that is not there, or a combination that is not.
    pub(super) fn of(call: &Call) -> Result<Self, GraphError> {
        let words = call.words("breakdowns");
        match words.as_slice() {
            [] => Ok(Self::Nothing),
            [word] if word == BY_HOUR => Ok(Self::Hour),
            [word] if word == BY_PUBLISHER => Ok(Self::Publisher),
            words => Err(GraphError::bad_breakdown(&words.join(", "))),
        }
    }

    /// How many rows it makes of one, at most.
    pub(super) fn parts(self) -> usize {
        match self {
            Self::Nothing | Self::Hour => 1,
            Self::Publisher => 2,
        }
    }

    /// Those rows, each with its value of the breakdown. Together they are what they are made of.
    pub(super) fn split(
        self,
        figures: Figures,
        currency: Currency,
    ) -> Vec<(Option<&'static str>, Figures)> {
        match self {
            Self::Nothing | Self::Hour => vec![(None, figures)],
            Self::Publisher => {
                let instagram = figures.part((2, 5), currency);
                let facebook = figures - instagram;
                let parts = [("facebook", facebook), ("instagram", instagram)];
                let parts = parts.into_iter().filter(|(_, part)| !part.is_zero());
                parts.map(|(name, part)| (Some(name), part)).collect()
            }
        }
    }
}
