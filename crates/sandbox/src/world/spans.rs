//! When something delivers: sets of hours, as the spans between its changes.

use std::ops::Range;

use super::calendar::Hour;

/// Hours, in spans that neither touch nor overlap, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans(Vec<Range<Hour>>);

impl Spans {
    /// The hours after each switching on, up to the next switching off. The switches are in order
    /// of time.
    pub(super) fn between(switches: &[(Hour, bool)]) -> Self {
        let mut spans: Vec<Range<Hour>> = Vec::new();
        let mut since = None;
        for (hour, is_on) in switches {
            match (since, is_on) {
                (None, true) => since = Some(*hour),
                (Some(start), false) => {
                    spans.push(start..*hour);
                    since = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        spans.extend(since.map(|start| start..Hour::MAX));
        spans.retain(|span| !span.is_empty());
        Self(spans)
    }

    /// The hours that are in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let spans = self.0.iter().flat_map(|left| {
            let others = other.0.iter();
            others.map(move |right| left.start.max(right.start)..left.end.min(right.end))
        });
        Self(spans.filter(|span| !span.is_empty()).collect())
    }

    /// Those of the hours that are in here.
    pub(super) fn within(&self, hours: &Range<Hour>) -> impl Iterator<Item = Hour> {
        self.0
            .iter()
            .flat_map(move |span| span.start.max(hours.start)..span.end.min(hours.end))
    }

    /// Whether any of the hours is in here.
    pub(super) fn touches(&self, hours: &Range<Hour>) -> bool {
        self.within(hours).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_reach_from_each_switching_on_to_the_next_switching_off() {
        let spans = Spans::between(&[(1, true), (2, true), (5, false), (6, false), (9, true)]);

        assert_eq!(
            spans.within(&(0..11)).collect::<Vec<_>>(),
            [1, 2, 3, 4, 9, 10]
        );
        assert!(!spans.touches(&(5..9)));
    }

    #[test]
    fn what_is_in_both_is_in_neither_more() {
        let left = Spans::between(&[(0, true), (10, false), (20, true)]);
        let right = Spans::between(&[(5, true), (25, false)]);

        let both = left.and(&right);

        assert_eq!(both, Spans(vec![5..10, 20..25]));
    }
}
