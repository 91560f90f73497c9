//! Sending a batch whose members may be bad. Meta refuses a batch as a whole when one event is wrong, so the batch is
//! taken apart until the event at fault stands alone, and every event gets an answer of its own.

use std::ops::ControlFlow;

use super::{
    Destination, EventsReceived, Failure, MAX_EVENTS, Meta, PROVIDER, Split,
    conversions::ServerEvent,
};
use crate::{
    Admission,
    error::{Detail, Error},
};

/// Most requests that one batch may cost. A single bad event among a thousand costs 21 (3 where Meta names it), so this
/// is enough for about ten of them; what has no answer by then is postponed, to be sent without those.
const MAX_CALLS: usize = 200;

impl Meta {
    /// Sends events and answers for each of them, in their order; each request waits until it is admitted. A bad or expired
    /// event never takes its batch mates along. A failure that is not about the events (limits, outages, a spent token)
    /// ends the sending, and the events that were not sent get that failure too. Where so many are refused that the calls
    /// run out, or no more are admitted, the rest is [`Error::Postponed`].
    ///
    /// The answer to an event that was taken is the one to the request it travelled in.
    pub async fn send_batch(
        &self,
        to: Destination<'_>,
        events: &[ServerEvent],
        admission: &impl Admission,
    ) -> Vec<Result<EventsReceived, Error>> {
        let mut progress = Progress::over(events.len());

        for _ in 0..MAX_CALLS {
            let Some(group) = progress.take_next() else {
                break;
            };
            let members: Vec<&ServerEvent> = group.members.iter().map(|&i| &events[i]).collect();
            let result = self.post_admitted(to, &members, admission).await;
            if let ControlFlow::Break(error) = progress.record(group, result) {
                return progress.finish(&error.unsent());
            }
        }
        progress.finish(&postponed())
    }

    async fn post_admitted(
        &self,
        to: Destination<'_>,
        events: &[&ServerEvent],
        admission: &impl Admission,
    ) -> Result<EventsReceived, Box<Failure>> {
        let _pass = admission.admit().await?;
        self.post_events(to, events).await
    }
}

/// Events that travel in one request, by their place in the batch.
struct Group {
    members: Vec<usize>,
    /// Meta named this event as the one at fault.
    named: bool,
}

struct Progress {
    results: Vec<Option<Result<EventsReceived, Error>>>,
    /// A stack: what was split last is sent next.
    waiting: Vec<Group>,
    /// Whether the places that Meta names have been right so far.
    trusts_places: bool,
}

impl Progress {
    fn over(events: usize) -> Self {
        let all: Vec<usize> = (0..events).collect();
        Self {
            results: vec![None; events],
            waiting: all
                .chunks(MAX_EVENTS)
                .rev()
                .map(|members| Group {
                    members: members.to_vec(),
                    named: false,
                })
                .collect(),
            trusts_places: true,
        }
    }

    fn take_next(&mut self) -> Option<Group> {
        self.waiting.pop()
    }

    /// Breaks with the failure that ends the sending.
    fn record(
        &mut self,
        group: Group,
        result: Result<EventsReceived, Box<Failure>>,
    ) -> ControlFlow<Error> {
        let failure = match result {
            Ok(received) => {
                self.trusts_places &= !group.named;
                self.settle(&group, &Ok(received));
                return ControlFlow::Continue(());
            }
            Err(failure) => failure,
        };
        match failure.split {
            Some(split) if group.members.len() > 1 => {
                self.split(group, split);
                ControlFlow::Continue(())
            }
            Some(_) => {
                self.settle(&group, &Err(failure.error));
                ControlFlow::Continue(())
            }
            None => {
                self.settle(&group, &Err(failure.error.clone()));
                ControlFlow::Break(failure.error)
            }
        }
    }

    fn settle(&mut self, group: &Group, result: &Result<EventsReceived, Error>) {
        for &member in &group.members {
            self.results[member] = Some(result.clone());
        }
    }

    fn split(&mut self, group: Group, split: Split) {
        let mut rest = group.members;
        match split {
            Split::At(place) if self.trusts_places && place < rest.len() => {
                let named = rest.remove(place);
                self.wait(rest, false);
                self.wait(vec![named], true);
            }
            Split::At(_) | Split::Halves => {
                let second = rest.split_off(rest.len() / 2);
                self.wait(second, false);
                self.wait(rest, false);
            }
        }
    }

    fn wait(&mut self, members: Vec<usize>, named: bool) {
        self.waiting.push(Group { members, named });
    }

    /// Every event's result; those that have none yet get `error`.
    fn finish(self, error: &Error) -> Vec<Result<EventsReceived, Error>> {
        self.results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(error.clone())))
            .collect()
    }
}

fn postponed() -> Error {
    Error::Postponed {
        wait: None,
        detail: Detail::new(
            PROVIDER,
            "too many other events of its batch were refused",
            &[],
        ),
    }
}
