//! What pages and Instagram accounts tell of a day: figures by name, whatever the name, so that
//! each server keeps its own list of those that there are.

use chrono::{Datelike, NaiveDate};

use super::{Key, World, plan};

/// How a week's days differ, Monday first, in per cent.
const BY_WEEKDAY: [i64; 7] = [90, 95, 100, 100, 110, 115, 90];

impl World {
    /// A figure of a page or an Instagram account for one day; 0 to some thousands, depending on
    /// its name.
    pub(crate) fn social(&self, key: Key, metric: &str, day: NaiveDate) -> i64 {
        let dice = plan::of(self.seed, key).about(metric);
        let scale = dice.between(5, 4_000);
        let weekday = day.weekday().num_days_from_monday() as usize;
        let luck = dice
            .of(u64::from(day.num_days_from_ce().unsigned_abs()))
            .between(60, 140);
        scale * BY_WEEKDAY[weekday] / 100 * luck / 100
    }
}
