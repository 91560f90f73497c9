//! When something should start: from when its gates open, and from how long such attempts took.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Gate, GateAnswer};

/// What an estimate goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) now: DateTime<Utc>,
    /// How long such an attempt takes.
    pub(super) usual_seconds: Option<f64>,
    /// How many attempts run at a time.
    pub(super) lanes: i64,
    /// Jobs that run or go first.
    pub(super) before: i64,
    /// Jobs of the same key that run or go first, and how many of them run at a time.
    pub(super) of_key: (i64, i64),
}

impl Pace {
    /// When a job with these gates should start; `None` where nobody knows.
    pub(super) fn start(&self, gates: &[GateAnswer]) -> Option<DateTime<Utc>> {
        let blocking = gates.iter().filter(|gate| gate.blocking);
        blocking
            .map(|gate| self.opens(gate))
            .try_fold(self.now, |start, opens| opens.map(|opens| start.max(opens)))
    }

    fn opens(&self, gate: &GateAnswer) -> Option<DateTime<Utc>> {
        match gate.gate {
            Gate::QueuePaused
            | Gate::NotDue
            | Gate::QueueRate
            | Gate::Budget
            | Gate::AccountHeld => gate.until,
            Gate::NoWorker => None,
            Gate::QueueFull | Gate::Backlog => self.after(self.before, self.lanes),
            Gate::KeyLimit => self.after(self.of_key.0, self.of_key.1),
        }
    }

    /// When so many jobs have ended that one after them can start.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of jobs stay far below 2^53"
    )]
    fn after(&self, before: i64, lanes: i64) -> Option<DateTime<Utc>> {
        if lanes <= 0 {
            return None;
        }
        let turns = (before / lanes) as f64;
        let wait = std::time::Duration::try_from_secs_f64(self.usual_seconds? * turns).ok()?;
        self.now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("it is a time")
    }

    fn pace() -> Pace {
        Pace {
            now: at(0),
            usual_seconds: Some(2.0),
            lanes: 4,
            before: 8,
            of_key: (4, 1),
        }
    }

    fn closed(gate: Gate, until: Option<DateTime<Utc>>) -> GateAnswer {
        GateAnswer {
            until,
            ..GateAnswer::closed(gate, "")
        }
    }

    #[test]
    fn what_nothing_keeps_should_start_now() {
        let open = GateAnswer::open(Gate::Backlog, "");

        assert_eq!(pace().start(&[open]), Some(at(0)));
    }

    #[test]
    fn the_last_gate_to_open_decides() {
        let gates = [
            closed(Gate::QueuePaused, Some(at(60))),
            closed(Gate::Backlog, None),
            closed(Gate::KeyLimit, None),
        ];

        assert_eq!(pace().start(&gates[1..]), Some(at(8)));
        assert_eq!(pace().start(&gates), Some(at(60)));
    }

    #[test]
    fn what_nobody_knows_is_not_told() {
        let unknown = Pace {
            usual_seconds: None,
            ..pace()
        };
        let nobody_works = Pace { lanes: 0, ..pace() };
        let backlog = [closed(Gate::Backlog, None)];

        assert_eq!(unknown.start(&backlog), None);
        assert_eq!(nobody_works.start(&backlog), None);
        assert_eq!(pace().start(&[closed(Gate::AccountHeld, None)]), None);
        assert_eq!(pace().start(&[closed(Gate::QueuePaused, None)]), None);
    }
}
