//! Figures made ready for their tables: only what was asked for, none twice, in the order of their keys. Pure.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::NaiveDate;
use providers::platform::{Granularity, InsightRow};

use super::{Days, storable};
use crate::store::insights::{FigureRows, StagedDay};

/// Most rows that one statement stores, unless one day has more.
const BATCH: u64 = 5_000;

/// What stands for the hour of figures of a day.
const WHOLE_DAY: i16 = -1;

/// The figures of a page.
pub(super) struct Figures<'a> {
    /// By day, hour, entity and breakdown.
    sorted: Vec<Figure<'a>>,
    /// How many were told unasked.
    pub(super) ignored: usize,
}

struct Figure<'a> {
    date: NaiveDate,
    hour: i16,
    entity_id: Cow<'a, str>,
    breakdown: Cow<'a, str>,
    row: &'a InsightRow,
}

impl<'a> Figures<'a> {
    /// Those of these days and this granularity. One that is told twice counts as it was told last.
    pub(super) fn of(rows: &'a [InsightRow], granularity: Granularity, days: Days) -> Self {
        let mut by_key = BTreeMap::new();
        let mut ignored = 0;
        for row in rows {
            let hour = hour(row, granularity).filter(|_| days.has(row.date));
            let Some(hour) = hour else {
                ignored += 1;
                continue;
            };
            let entity_id = storable::text(&row.entity_id);
            let breakdown = storable::text(&row.breakdown);
            by_key.insert((row.date, hour, entity_id, breakdown), row);
        }
        let sorted = by_key.into_iter();
        let sorted = sorted.map(|((date, hour, entity_id, breakdown), row)| Figure {
            date,
            hour,
            entity_id,
            breakdown,
            row,
        });
        Self {
            sorted: sorted.collect(),
            ignored,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// Whether they are more than are looked up in a list.
    pub(super) fn are_many(&self) -> bool {
        self.sorted.len() as u64 > BATCH
    }

    /// None.
    pub(super) fn none() -> Self {
        Self {
            sorted: Vec::new(),
            ignored: 0,
        }
    }

    /// Those of these days, as arrays.
    pub(super) fn rows(&self, days: Days) -> FigureRows {
        let mut rows = FigureRows::default();
        let first = self.sorted.partition_point(|it| it.date < days.from);
        let end = self.sorted.partition_point(|it| it.date <= days.to);
        for figure in self.sorted.get(first..end).unwrap_or_default() {
            push(&mut rows, figure);
        }
        rows
    }

    /// Cuts days into stretches whose figures, with those that wait, fit into one statement; a day is never cut.
    pub(super) fn stretches(&self, days: Days, staged: &[StagedDay]) -> Vec<Days> {
        let mut counts: BTreeMap<NaiveDate, u64> = BTreeMap::new();
        for figure in &self.sorted {
            *counts.entry(figure.date).or_default() += 1;
        }
        for day in staged {
            *counts.entry(day.date).or_default() += day.rows.unsigned_abs();
        }
        cut(days, &counts)
    }
}

/// The hour as it is stored; `None`: the row is of another granularity.
fn hour(row: &InsightRow, granularity: Granularity) -> Option<i16> {
    match (granularity, row.hour) {
        (Granularity::Day, None) => Some(WHOLE_DAY),
        (Granularity::Hour, Some(hour)) if hour < 24 => Some(i16::from(hour)),
        (Granularity::Day, Some(_)) | (Granularity::Hour, _) => None,
    }
}

fn push(rows: &mut FigureRows, figure: &Figure<'_>) {
    let (row, told) = (figure.row, &figure.row.figures);
    rows.dates.push(figure.date);
    rows.hours.push(figure.hour);
    rows.entity_ids.push(figure.entity_id.to_string());
    rows.breakdowns.push(figure.breakdown.to_string());
    rows.impressions.push(told.impressions);
    rows.clicks.push(told.clicks);
    rows.link_clicks.push(told.link_clicks);
    rows.views.push(told.views);
    rows.likes.push(told.likes);
    rows.comments.push(told.comments);
    rows.shares.push(told.shares);
    rows.spend.push(told.spend);
    rows.conversions.push(told.conversions);
    rows.revenue.push(told.revenue);
    rows.leads.push(told.leads);
    rows.reach.push(row.reach);
    rows.currencies
        .push(row.currency.as_deref().map(storable::owned));
}

fn cut(days: Days, counts: &BTreeMap<NaiveDate, u64>) -> Vec<Days> {
    let mut stretches = Vec::new();
    let mut from = days.from;
    let mut sum = 0;
    for (&date, &count) in counts.range(days.from..=days.to) {
        if sum > 0
            && sum + count > BATCH
            && let Some(last) = date.pred_opt()
        {
            stretches.push(Days { from, to: last });
            from = date;
            sum = 0;
        }
        sum += count;
    }
    stretches.push(Days { from, to: days.to });
    stretches
}

#[cfg(test)]
mod tests {
    use providers::platform::Figures as Told;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn days(from: &str, to: &str) -> Days {
        Days {
            from: day(from),
            to: day(to),
        }
    }

    fn row(date: &str, hour: Option<u8>, entity_id: &str, clicks: i64) -> InsightRow {
        InsightRow {
            entity_id: entity_id.to_owned(),
            date: day(date),
            hour,
            breakdown: String::new(),
            currency: None,
            figures: Told {
                clicks,
                ..Told::default()
            },
            reach: None,
        }
    }

    #[test]
    fn what_is_told_twice_counts_once_and_as_it_was_told_last() {
        let rows = [
            row("2026-11-02", None, "7", 1),
            row("2026-11-01", None, "9", 2),
            row("2026-11-02", None, "7\0", 3),
        ];
        let asked = days("2026-11-01", "2026-11-02");

        let figures = Figures::of(&rows, Granularity::Day, asked);

        let kept = figures.rows(asked);
        assert_eq!((figures.count(), figures.ignored), (2, 0));
        assert_eq!(kept.entity_ids, ["9", "7"]);
        assert_eq!(kept.clicks, [2, 3]);
        assert_eq!(kept.hours, [WHOLE_DAY, WHOLE_DAY]);
    }

    #[test]
    fn what_was_not_asked_for_is_left_out_and_counted() {
        let rows = [
            row("2026-11-01", Some(23), "7", 1),
            row("2026-11-01", Some(24), "7", 1),
            row("2026-11-01", None, "7", 1),
            row("2026-11-02", Some(0), "7", 1),
        ];
        let asked = days("2026-11-01", "2026-11-01");

        let figures = Figures::of(&rows, Granularity::Hour, asked);

        assert_eq!((figures.count(), figures.ignored), (1, 3));
        assert_eq!(figures.rows(asked).hours, [23]);
    }

    #[test]
    fn days_are_cut_between_days_and_none_is_left_out() {
        let staged = [
            ("2026-11-02", 3_000),
            ("2026-11-03", 2_000),
            ("2026-11-06", 1),
            ("2026-11-09", 20_000),
        ];
        let staged = staged.map(|(date, rows)| StagedDay {
            date: day(date),
            rows,
        });
        let figures = Figures::of(&[], Granularity::Day, days("2026-11-01", "2026-11-30"));

        let stretches = figures.stretches(days("2026-11-01", "2026-11-30"), &staged);

        assert_eq!(
            stretches,
            [
                days("2026-11-01", "2026-11-05"),
                days("2026-11-06", "2026-11-08"),
                days("2026-11-09", "2026-11-30"),
            ]
        );
    }
}
