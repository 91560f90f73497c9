//! The metrics that a client asks for. Platforms rename and retire metrics, and one that a platform does not know fails the
//! call for all of them: those that a refusal names and that can be done without are dropped, and not asked for again once
//! the call passes without them.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Granularity, Platform};
use crate::error::Detail;

/// The metrics of one query.
pub(crate) struct Wanted<'q> {
    needed: Vec<&'q str>,
    optional: Vec<&'static str>,
    dropped: Vec<&'static str>,
}

impl<'q> Wanted<'q> {
    /// What a query cannot do without, and of the rest those that live; none twice.
    pub(crate) fn new(
        needed: &[&'q str],
        optional: &[&'static str],
        granularity: Granularity,
        dead: &DeadMetrics,
    ) -> Self {
        let mut once: Vec<&'q str> = Vec::with_capacity(needed.len());
        for &name in needed {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        let optional = optional
            .iter()
            .copied()
            .filter(|&name| !once.contains(&name) && !dead.contains(granularity, name))
            .collect();
        Self {
            needed: once,
            optional,
            dropped: Vec::new(),
        }
    }

    /// What to ask for now.
    pub(crate) fn names(&self) -> Vec<&str> {
        let optional = self.optional.iter().copied();
        self.needed.iter().copied().chain(optional).collect()
    }

    /// Takes out what a refusal names of what can be done without, or all of that where it names nothing; `false`: there is
    /// nothing left to take out.
    pub(crate) fn shrink(&mut self, refusal: &Detail) -> bool {
        let words: BTreeSet<&str> = refusal
            .message
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .collect();
        let (named, kept): (Vec<_>, Vec<_>) = self
            .optional
            .iter()
            .copied()
            .partition(|name| words.contains(name));
        let (dropped, kept) = if named.is_empty() {
            (kept, named)
        } else {
            (named, kept)
        };
        self.optional = kept;
        self.dropped.extend(&dropped);
        !dropped.is_empty()
    }

    /// What was taken out.
    pub(crate) fn dropped(&self) -> &[&'static str] {
        &self.dropped
    }
}

/// The metrics that a platform does not know any more, as far as this process has met them: a metric may live by day and
/// be dead by hour.
#[derive(Default)]
pub(crate) struct DeadMetrics(Mutex<BTreeSet<(Granularity, &'static str)>>);

impl DeadMetrics {
    fn contains(&self, granularity: Granularity, name: &'static str) -> bool {
        self.lock().contains(&(granularity, name))
    }

    /// A call passed without these, and not with them.
    pub(crate) fn bury(
        &self,
        platform: Platform,
        granularity: Granularity,
        dropped: &[&'static str],
    ) {
        for &name in dropped {
            if self.lock().insert((granularity, name)) {
                tracing::warn!(
                    provider.name = platform.as_str(),
                    metric = name,
                    granularity = granularity.as_str(),
                    "the platform does not know a metric; it counts as zero from now on"
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Granularity, &'static str)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Detail {
        Detail::new("tiktok", message, &[])
    }

    fn wanted(dead: &DeadMetrics) -> Wanted<'static> {
        let needed = ["spend", "clicks", "spend"];
        Wanted::new(&needed, &["likes", "reach"], Granularity::Day, dead)
    }

    #[test]
    fn what_a_refusal_names_is_dropped_and_the_rest_is_asked_for() {
        let mut wanted = wanted(&DeadMetrics::default());

        let is_smaller = wanted.shrink(&refusal("metrics: 'reach' is not supported"));

        assert!(is_smaller);
        assert_eq!(wanted.names(), ["spend", "clicks", "likes"]);
        assert_eq!(wanted.dropped(), ["reach"]);
    }

    #[test]
    fn a_refusal_that_names_nothing_costs_all_that_can_be_done_without() {
        let mut wanted = wanted(&DeadMetrics::default());

        let first = wanted.shrink(&refusal("a limit was reached"));
        let second = wanted.shrink(&refusal("a limit was reached"));

        assert_eq!((first, second), (true, false));
        assert_eq!(wanted.names(), ["spend", "clicks"]);
        assert_eq!(wanted.dropped(), ["likes", "reach"]);
    }

    #[test]
    fn a_dead_metric_is_not_asked_for_again_but_may_live_by_the_hour() {
        let dead = DeadMetrics::default();
        dead.bury(Platform::TikTok, Granularity::Day, &["reach"]);

        let by_hour = Wanted::new(&["spend"], &["reach"], Granularity::Hour, &dead);

        assert_eq!(wanted(&dead).names(), ["spend", "clicks", "likes"]);
        assert_eq!(by_hour.names(), ["spend", "reach"]);
    }
}
