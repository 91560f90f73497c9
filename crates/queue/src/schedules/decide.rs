//! What becomes of ticks that are due: pure policy, from the schedule's settings, its pause and the job before.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    config::{Misfire, Overlap, Schedule},
    job::TickOutcome,
};

/// A tick that is decided later than this was missed. A new leader is there within 20 s, so what a hand-over delays is
/// merely late.
pub(super) const GRACE: TimeDelta = TimeDelta::seconds(60);

/// A pause, over or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    pub(super) since: DateTime<Utc>,
    /// `None`: until somebody resumes the schedule.
    pub(super) until: Option<DateTime<Utc>>,
}

/// What ticks are decided by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) now: DateTime<Utc>,
    pub(super) pause: Option<Pause>,
    /// Whether a job of the schedule is still to be done.
    pub(super) has_open_job: bool,
}

impl Situation<'_> {
    /// What becomes of each due tick: `Enqueued` asks for a job. `then` is the due tick that follows them, for which
    /// there was no room among them.
    pub(super) fn decide(
        &self,
        due: &[DateTime<Utc>],
        then: Option<DateTime<Utc>>,
    ) -> Vec<TickOutcome> {
        let last_missed = then
            .into_iter()
            .chain(due.iter().rev().copied())
            .find(|tick| self.is_missed(*tick) && !self.is_paused_at(*tick));
        let mut is_open = self.has_open_job;
        let decide = |tick: &DateTime<Utc>| {
            let outcome = if self.is_paused_at(*tick) {
                TickOutcome::SkippedPaused
            } else if self.is_missed(*tick) {
                self.missed(Some(*tick) == last_missed, is_open)
            } else {
                self.unless_open(is_open)
            };
            is_open |= outcome == TickOutcome::Enqueued;
            outcome
        };
        due.iter().map(decide).collect()
    }

    fn missed(&self, is_last: bool, is_open: bool) -> TickOutcome {
        match self.schedule.misfire {
            Misfire::Skip => TickOutcome::SkippedMisfire,
            Misfire::RunOnce if is_last => self.unless_open(is_open),
            Misfire::RunOnce => TickOutcome::Coalesced,
            // Who wants the job of every tick wants it behind the others too.
            Misfire::RunAll => TickOutcome::Enqueued,
        }
    }

    fn unless_open(&self, is_open: bool) -> TickOutcome {
        match self.schedule.overlap {
            Overlap::Skip if is_open => TickOutcome::SkippedOverlap,
            Overlap::Skip | Overlap::Allow => TickOutcome::Enqueued,
        }
    }

    fn is_missed(&self, tick: DateTime<Utc>) -> bool {
        tick < self.now - GRACE
    }

    /// While a schedule is paused none of its ticks gets a job; once the pause is over, none that fell into it.
    fn is_paused_at(&self, tick: DateTime<Utc>) -> bool {
        self.pause
            .is_some_and(|Pause { since, until }| match until {
                Some(until) if until <= self.now => since <= tick && tick < until,
                _ => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Config,
        job::TickOutcome::{Coalesced, Enqueued, SkippedMisfire, SkippedOverlap, SkippedPaused},
    };

    fn schedule(misfire: &str, overlap: &str) -> Schedule {
        let text = format!(
            "[schedules.s]\nkind = \"email.send\"\ncron = \"* * * * *\"\nmisfire = \"{misfire}\"\noverlap = \"{overlap}\"\n"
        );
        let parsed = Config::parse(&text, &["email.send"]).expect("the schedule is right");
        parsed.config.schedules["s"].clone()
    }

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_268_800, 0).expect("a time")
    }

    fn minutes_ago(minutes: i64) -> DateTime<Utc> {
        noon() - TimeDelta::minutes(minutes)
    }

    fn at_noon(schedule: &Schedule) -> Situation<'_> {
        Situation {
            schedule,
            now: noon(),
            pause: None,
            has_open_job: false,
        }
    }

    /// Two ticks that were missed at noon, and two that were not.
    fn due() -> [DateTime<Utc>; 4] {
        [3, 2, 1, 0].map(minutes_ago)
    }

    #[test]
    fn misfire_and_overlap_decide_together() {
        const LEFT: TickOutcome = SkippedMisfire;
        const OPEN: TickOutcome = SkippedOverlap;
        const JOB: TickOutcome = Enqueued;
        let cases = [
            ("skip", "allow", false, [LEFT, LEFT, JOB, JOB]),
            ("skip", "allow", true, [LEFT, LEFT, JOB, JOB]),
            ("skip", "skip", false, [LEFT, LEFT, JOB, OPEN]),
            ("skip", "skip", true, [LEFT, LEFT, OPEN, OPEN]),
            ("run_once", "allow", false, [Coalesced, JOB, JOB, JOB]),
            ("run_once", "allow", true, [Coalesced, JOB, JOB, JOB]),
            ("run_once", "skip", false, [Coalesced, JOB, OPEN, OPEN]),
            ("run_once", "skip", true, [Coalesced, OPEN, OPEN, OPEN]),
            ("run_all", "allow", false, [JOB, JOB, JOB, JOB]),
            ("run_all", "allow", true, [JOB, JOB, JOB, JOB]),
            ("run_all", "skip", false, [JOB, JOB, OPEN, OPEN]),
            ("run_all", "skip", true, [JOB, JOB, OPEN, OPEN]),
        ];

        for (misfire, overlap, has_open_job, expected) in cases {
            let schedule = schedule(misfire, overlap);
            let situation = Situation {
                has_open_job,
                ..at_noon(&schedule)
            };

            let outcomes = situation.decide(&due(), None);

            assert_eq!(
                outcomes, expected,
                "{misfire}, {overlap}, open: {has_open_job}"
            );
        }
    }

    #[test]
    fn nothing_gets_a_job_while_the_schedule_is_paused() {
        for misfire in ["skip", "run_once", "run_all"] {
            for until in [None, Some(noon() + TimeDelta::hours(1))] {
                let schedule = schedule(misfire, "allow");
                let since = minutes_ago(1);
                let situation = Situation {
                    pause: Some(Pause { since, until }),
                    ..at_noon(&schedule)
                };

                let outcomes = situation.decide(&due(), None);

                assert_eq!(outcomes, [SkippedPaused; 4], "{misfire}");
            }
        }
    }

    #[test]
    fn a_pause_that_is_over_took_the_ticks_that_fell_into_it() {
        let schedule = schedule("run_once", "allow");
        let situation = Situation {
            pause: Some(Pause {
                since: minutes_ago(2),
                until: Some(noon()),
            }),
            ..at_noon(&schedule)
        };

        let outcomes = situation.decide(&due(), None);

        assert_eq!(outcomes, [Enqueued, SkippedPaused, SkippedPaused, Enqueued]);
    }

    #[test]
    fn of_missed_ticks_that_take_several_turns_the_last_one_gets_the_job() {
        let schedule = schedule("run_once", "skip");
        let situation = at_noon(&schedule);

        let first = situation.decide(&[5, 4].map(minutes_ago), Some(minutes_ago(3)));
        let second = situation.decide(&[3, 2].map(minutes_ago), Some(minutes_ago(1)));

        assert_eq!(first, [Coalesced, Coalesced]);
        assert_eq!(second, [Coalesced, Enqueued]);
    }

    #[test]
    fn a_tick_is_missed_after_the_grace_and_not_before() {
        let schedule = schedule("skip", "allow");
        let late = noon() - GRACE;

        let outcomes = at_noon(&schedule).decide(&[late - TimeDelta::seconds(1), late], None);

        assert_eq!(outcomes, [SkippedMisfire, Enqueued]);
    }
}
