//! What a queue can do, and how soon it is empty: its slots over the run time of what waits, no sooner than its rate lets
//! them start and than the jobs of one key run one after another. No theory of queues: what is not known of tomorrow's
//! load is larger than what such a theory would add.

use serde::Serialize;

/// What a queue can do, and how soon it is empty. Rates are of jobs in a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlook {
    /// Attempts that the fleet runs at a time.
    pub slots: i64,
    /// Jobs that arrive.
    pub arrivals_per_second: f64,
    /// How long an attempt runs on average; `None`: not measured.
    pub mean_run_seconds: Option<f64>,
    /// Jobs that can be done; `None`: not measured.
    pub capacity_per_second: Option<f64>,
    /// What becomes of what is ready and running.
    pub drain: Drain,
    /// When it is done, where `drain` is `drains`.
    pub drain_seconds: Option<f64>,
}

/// What becomes of a queue's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    /// There is none.
    Empty,
    /// It is done after a while.
    Drains,
    /// More arrives than can be done.
    Never,
    /// The queue is paused.
    Paused,
    /// No process works on the queue.
    NoWorker,
    /// Held accounts and dry budgets keep all of it.
    Held,
    /// How long its attempts run is not known.
    NotMeasured,
}

impl Drain {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Drains => "drains",
            Self::Never => "never",
            Self::Paused => "paused",
            Self::NoWorker => "no_worker",
            Self::Held => "held",
            Self::NotMeasured => "not_measured",
        }
    }
}

/// What a queue may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) slots: i64,
    pub(super) rate: Option<Allowance>,
    pub(super) is_paused: bool,
}

/// A queue's rate. Every start counts for one span and then comes back; those that count now are taken for one burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Allowance {
    /// Attempts that may start in a span.
    pub(super) count: f64,
    pub(super) span_seconds: f64,
    /// Those that may start at once.
    pub(super) room: f64,
    /// When the others may: at most a span from now.
    pub(super) refills_in_seconds: f64,
}

/// What a queue has to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// Ready jobs that nothing holds.
    pub(super) ready: i64,
    pub(super) running: i64,
    /// Ready jobs that a held account or a dry budget keeps.
    pub(super) held: i64,
    pub(super) arrivals_per_second: f64,
    pub(super) mean_run_seconds: Option<f64>,
    /// How long the jobs of one key take of which few may run at a time.
    pub(super) longest_line_seconds: f64,
}

impl Capacity {
    pub(super) fn outlook(self, work: Work) -> Outlook {
        let by_slots = work.mean_run_seconds.map(|run| self.slots as f64 / run);
        let by_rate = self.rate.map(|rate| rate.count / rate.span_seconds);
        let capacity = by_slots.map(|jobs| by_rate.map_or(jobs, |rate| jobs.min(rate)));
        let arrivals = work.arrivals_per_second;
        let jobs = work.ready + work.running;
        // A rate that is too low is so however long attempts run.
        let outruns = |most: f64| arrivals > 0.0 && arrivals >= most;
        let (drain, seconds) = match work.mean_run_seconds {
            _ if jobs == 0 && work.held == 0 && arrivals <= 0.0 => (Drain::Empty, None),
            _ if self.is_paused => (Drain::Paused, None),
            _ if self.slots == 0 => (Drain::NoWorker, None),
            _ if capacity.or(by_rate).is_some_and(outruns) => (Drain::Never, None),
            _ if jobs == 0 && work.held > 0 => (Drain::Held, None),
            None => (Drain::NotMeasured, None),
            Some(_) if jobs == 0 => (Drain::Empty, None),
            Some(run) => (Drain::Drains, Some(self.drained(work, run))),
        };
        Outlook {
            slots: self.slots,
            arrivals_per_second: rounded(arrivals),
            mean_run_seconds: work.mean_run_seconds.map(rounded),
            capacity_per_second: capacity.map(rounded),
            drain,
            drain_seconds: seconds.map(rounded),
        }
    }

    /// When it is done, where less arrives than can be done.
    fn drained(self, work: Work, run: f64) -> f64 {
        let pace = Pace {
            starts: self.slots as f64 / run,
            arrivals: work.arrivals_per_second,
            run,
        };
        let by_slots = pace.clears((work.ready + work.running) as f64);
        let by_rate = self.rate.map_or(0.0, |rate| rate.clears(work.ready, pace));
        by_slots.max(by_rate).max(work.longest_line_seconds)
    }
}

/// How fast jobs start and arrive where the slots alone count; more start than arrive.
#[derive(Debug, Clone, Copy)]
struct Pace {
    starts: f64,
    arrivals: f64,
    run: f64,
}

impl Pace {
    fn net(self) -> f64 {
        self.starts - self.arrivals
    }

    /// When so many jobs are done: no attempt is sooner than it runs.
    fn clears(self, jobs: f64) -> f64 {
        (jobs / self.net()).max(self.run)
    }
}

impl Allowance {
    /// When so many ready jobs are done, with those that arrive meanwhile: some start at once, and the others with what
    /// comes back, span by span.
    fn clears(self, ready: i64, pace: Pace) -> f64 {
        let ready = ready as f64;
        let (span, first_span) = (self.span_seconds, self.refills_in_seconds);
        let at_once = ready / pace.net();
        if at_once <= first_span && at_once * pace.starts <= self.room {
            return pace.clears(ready);
        }
        let first_starts = self.room.min(first_span * pace.starts);
        let left = (ready + first_span * pace.arrivals - first_starts).max(0.0);
        if span * pace.starts <= self.count {
            // From the first span on the slots alone count, or from the beginning.
            let is_hindered = self.room < first_span * pace.starts;
            return if is_hindered {
                first_span + pace.clears(left)
            } else {
                pace.clears(ready)
            };
        }
        let less_each_span = self.count - span * pace.arrivals;
        // What is left when the last span begins is done within it.
        let most_in_last = self.count * pace.net() / pace.starts;
        let spans = ((left - most_in_last) / less_each_span).ceil().max(0.0);
        let at_last = (left - spans * less_each_span).max(0.0);
        first_span + spans * span + pace.clears(at_last)
    }
}

/// To thousandths: nothing here is known better.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Work = Work {
        ready: 0,
        running: 0,
        held: 0,
        arrivals_per_second: 0.0,
        mean_run_seconds: Some(2.0),
        longest_line_seconds: 0.0,
    };
    /// Does five jobs a second.
    const TEN: Capacity = Capacity {
        slots: 10,
        rate: None,
        is_paused: false,
    };

    fn ready(jobs: i64) -> Work {
        Work {
            ready: jobs,
            ..QUIET
        }
    }

    /// Ten slots under a rate of which nothing is used.
    fn limited(count: f64, span_seconds: f64) -> Capacity {
        Capacity {
            rate: Some(Allowance {
                count,
                span_seconds,
                room: count,
                refills_in_seconds: span_seconds,
            }),
            ..TEN
        }
    }

    fn drain(capacity: Capacity, work: Work) -> (Drain, Option<f64>) {
        let outlook = capacity.outlook(work);
        (outlook.drain, outlook.drain_seconds)
    }

    #[test]
    fn a_backlog_drains_at_the_slots_pace_less_what_arrives() {
        let arriving = Work {
            arrivals_per_second: 3.0,
            ..ready(1_000)
        };

        assert_eq!(drain(TEN, ready(1_000)), (Drain::Drains, Some(200.0)));
        assert_eq!(drain(TEN, arriving), (Drain::Drains, Some(500.0)));
    }

    // The 500th pair starts after 499 s, and runs for two.
    #[test]
    fn a_rate_that_is_lower_than_what_the_slots_do_holds() {
        let work = ready(1_000);

        assert_eq!(drain(limited(2.0, 1.0), work), (Drain::Drains, Some(501.0)));
        assert_eq!(
            drain(limited(50.0, 1.0), work),
            (Drain::Drains, Some(200.0))
        );
    }

    // Fails when a rate is spread evenly over its span: the claims spread nothing.
    #[test]
    fn what_fits_into_a_rate_starts_at_once_and_the_rest_a_span_later() {
        let hourly = limited(100.0, 3_600.0);

        assert_eq!(drain(hourly, ready(50)), (Drain::Drains, Some(10.0)));
        assert_eq!(drain(hourly, ready(100)), (Drain::Drains, Some(20.0)));
        assert_eq!(drain(hourly, ready(150)), (Drain::Drains, Some(3_610.0)));
        assert_eq!(drain(hourly, ready(250)), (Drain::Drains, Some(7_210.0)));
    }

    #[test]
    fn what_was_started_lately_leaves_less_for_now() {
        let used = Allowance {
            count: 100.0,
            span_seconds: 3_600.0,
            room: 0.0,
            refills_in_seconds: 600.0,
        };
        let spent = Capacity {
            rate: Some(used),
            ..TEN
        };
        let running = Work {
            running: 5,
            ..QUIET
        };

        assert_eq!(drain(spent, ready(50)), (Drain::Drains, Some(610.0)));
        assert_eq!(drain(spent, ready(150)), (Drain::Drains, Some(4_210.0)));
        assert_eq!(drain(spent, running), (Drain::Drains, Some(2.0)));
    }

    #[test]
    fn jobs_of_one_key_are_done_one_after_another_whatever_the_slots() {
        let lined = Work {
            longest_line_seconds: 300.0,
            ..ready(1_000)
        };

        assert_eq!(drain(TEN, lined), (Drain::Drains, Some(300.0)));
    }

    #[test]
    fn no_attempt_is_done_sooner_than_it_runs() {
        assert_eq!(drain(TEN, ready(1)), (Drain::Drains, Some(2.0)));
    }

    #[test]
    fn more_arrivals_than_capacity_never_drain_even_from_empty() {
        let work = Work {
            arrivals_per_second: 5.0,
            ..QUIET
        };
        let unknown = Work {
            mean_run_seconds: None,
            ..work
        };

        assert_eq!(drain(TEN, work), (Drain::Never, None));
        assert_eq!(drain(TEN, Work { ready: 9, ..work }), (Drain::Never, None));
        assert_eq!(drain(limited(4.0, 1.0), unknown), (Drain::Never, None));
    }

    #[test]
    fn what_is_not_known_or_not_worked_on_is_said_and_not_guessed() {
        let work = ready(7);
        let unknown = Work {
            mean_run_seconds: None,
            ..work
        };
        let held = Work { held: 7, ..QUIET };
        let paused = Capacity {
            is_paused: true,
            ..TEN
        };
        let unmanned = Capacity { slots: 0, ..TEN };

        assert_eq!(drain(TEN, unknown), (Drain::NotMeasured, None));
        assert_eq!(drain(TEN, held), (Drain::Held, None));
        assert_eq!(drain(paused, work), (Drain::Paused, None));
        assert_eq!(drain(unmanned, work), (Drain::NoWorker, None));
        assert_eq!(drain(unmanned, QUIET), (Drain::Empty, None));
    }
}
