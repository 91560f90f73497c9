//! What is told of the gates that stand before a whole queue.

use super::{COUNTED, Gate, GateAnswer, View};
use crate::gates::survey::Standing;

impl GateAnswer {
    /// A gate that keeps nobody.
    pub(super) fn open(gate: Gate, detail: impl Into<String>) -> Self {
        Self {
            gate,
            blocking: false,
            detail: detail.into(),
            until: None,
        }
    }

    /// A gate that keeps somebody; nobody knows until when.
    pub(super) fn closed(gate: Gate, detail: impl Into<String>) -> Self {
        Self {
            blocking: true,
            ..Self::open(gate, detail)
        }
    }
}

impl View {
    pub(super) fn queue_paused(&self) -> GateAnswer {
        let Some(pause) = &self.pause else {
            return GateAnswer::open(Gate::QueuePaused, "nobody paused the queue");
        };
        let detail = match &pause.reason {
            Some(reason) => format!("{} paused the queue: {reason}", pause.by),
            None => format!("{} paused the queue", pause.by),
        };
        GateAnswer {
            until: pause.until,
            ..GateAnswer::closed(Gate::QueuePaused, detail)
        }
    }

    pub(super) fn queue_full(&self) -> GateAnswer {
        let places = self.standing().and_then(|standing| standing.places);
        let Some((running, places)) = places else {
            return GateAnswer::open(Gate::QueueFull, "the queue has no global_concurrency");
        };
        let is_full = running >= places;
        let detail = match is_full {
            _ if self.tells_of_all => format!("{running} of {places} attempts run in the fleet"),
            true => "as many attempts run in the fleet as may".to_owned(),
            false => "fewer attempts run in the fleet than may".to_owned(),
        };
        if is_full {
            GateAnswer::closed(Gate::QueueFull, detail)
        } else {
            GateAnswer::open(Gate::QueueFull, detail)
        }
    }

    pub(super) fn queue_rate(&self) -> GateAnswer {
        let window = self
            .standing()
            .and_then(|standing| standing.window.as_ref());
        let Some(window) = window else {
            return GateAnswer::open(Gate::QueueRate, "the queue has no rate");
        };
        let room = window.room();
        if room > 0 {
            let detail = if self.tells_of_all {
                format!("the rate lets {room} more attempts start now")
            } else {
                "the rate lets more attempts start now".to_owned()
            };
            return GateAnswer::open(Gate::QueueRate, detail);
        }
        GateAnswer {
            until: window.opens_at(),
            ..GateAnswer::closed(
                Gate::QueueRate,
                "as many attempts were started lately as the rate allows",
            )
        }
    }

    fn standing(&self) -> Option<&Standing> {
        self.survey.standing.as_ref()
    }
}

/// A count that ends somewhere, in words, with the verb that goes with one job and with more.
pub(super) fn counted_with_verb(jobs: i64, [of_one, of_more]: [&str; 2]) -> String {
    let verb = if jobs <= 1 { of_one } else { of_more };
    format!("{} {verb}", counted(jobs))
}

/// A count that ends somewhere, in words.
pub(super) fn counted(jobs: i64) -> String {
    match jobs {
        0 => "no job".to_owned(),
        1 => "1 job".to_owned(),
        jobs if jobs >= COUNTED => "more than 10,000 jobs".to_owned(),
        jobs => format!("{jobs} jobs"),
    }
}
