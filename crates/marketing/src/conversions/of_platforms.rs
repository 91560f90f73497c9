//! Events to the other platforms, in an account's name. A bad event never takes its batch mates along: a request that is
//! refused for some of its events is taken apart until those stand alone.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use providers::{
    Detail as ProviderDetail, Error as ProviderError,
    meta::conversions::{Event, Refused},
    platform::{
        Access, Caller, ConversionAnswer as Answer, ConversionApi, ConversionTarget, Door,
        Outgoing, Receipt, RequestOutcome,
    },
};

use super::carrier::Carrier;
use crate::accounts::{AccountId, Accounts, AccountsError};

/// Most requests that the events of one call may cost; what has no answer by then is postponed.
const MOST_CALLS: usize = 200;

/// A platform that takes events, and in whose name they are sent.
#[derive(Clone, Copy)]
pub struct Outlet<'a> {
    /// The platform.
    pub api: &'a dyn ConversionApi,
    /// Has the account's token.
    pub accounts: &'a Accounts,
    /// The account.
    pub account: AccountId,
    /// By which calls leave.
    pub door: &'a dyn Door,
    /// Where the events go.
    pub target: ConversionTarget<'a>,
}

impl Carrier for Outlet<'_> {
    type Ready = Outgoing;

    fn dedupes_hours(&self) -> u32 {
        self.api.dedupes_hours()
    }

    fn prepare(
        &self,
        event: &Event,
        now: DateTime<Utc>,
    ) -> Result<(Outgoing, Vec<String>), Refused> {
        let mut outgoing = self.api.prepare(event, &self.target, now)?;
        let left_out = std::mem::take(&mut outgoing.left_out);
        Ok((outgoing, left_out))
    }

    async fn send(&self, events: Vec<(Outgoing, bool)>) -> Vec<Result<Receipt, ProviderError>> {
        let mut progress = Progress::over(&events, self.api.most(self.target.via));
        for _ in 0..MOST_CALLS {
            let Some(members) = progress.waiting.pop() else {
                break;
            };
            let bodies: Vec<&Outgoing> = members.iter().map(|&place| &events[place].0).collect();
            match self.send_one(&bodies).await {
                Ok(answer) => progress.record(members, answer),
                Err(error) => {
                    progress.settle(&members, &Err(error.clone()));
                    return progress.finish(&unsent(error));
                }
            }
        }
        progress.finish(&postponed())
    }

    async fn outcome(&self, request_id: &str, of: usize) -> Result<RequestOutcome, ProviderError> {
        let (api, door) = (self.api, self.door);
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            api.outcome(caller, request_id, of).await
        };
        let asked = self.accounts.with_fresh_token(self.account, door, ask);
        Box::pin(asked).await.map_err(said)
    }
}

impl Outlet<'_> {
    async fn send_one(&self, events: &[&Outgoing]) -> Result<Answer, ProviderError> {
        let (api, door, target) = (self.api, self.door, &self.target);
        let ask = |access: Access| async move {
            let caller = Caller {
                access: &access,
                door,
            };
            api.send(caller, target, events).await
        };
        let asked = self.accounts.with_fresh_token(self.account, door, ask);
        Box::pin(asked).await.map_err(said)
    }
}

/// How far the sending is.
struct Progress {
    results: Vec<Option<Result<Receipt, ProviderError>>>,
    /// A stack of requests, by the places of their events.
    waiting: Vec<Vec<usize>>,
}

impl Progress {
    fn over(events: &[(Outgoing, bool)], most: usize) -> Self {
        let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut waiting: Vec<Vec<usize>> = Vec::new();
        for (place, (event, is_alone)) in events.iter().enumerate() {
            if *is_alone {
                waiting.push(vec![place]);
            } else {
                groups.entry(event.group).or_default().push(place);
            }
        }
        for members in groups.values() {
            waiting.extend(members.chunks(most.max(1)).map(<[usize]>::to_vec));
        }
        waiting.reverse();
        Self {
            results: vec![None; events.len()],
            waiting,
        }
    }

    fn record(&mut self, members: Vec<usize>, answer: Answer) {
        match answer {
            Answer::Each(answers) => {
                for (place, answer) in members.into_iter().zip(answers) {
                    self.results[place] = Some(answer);
                }
            }
            Answer::Refused { at, .. } if !at.is_empty() => {
                let (mut bad, mut good) = (Vec::new(), Vec::new());
                for (index, place) in members.into_iter().enumerate() {
                    match at.iter().find(|(named, _)| *named == index) {
                        Some((_, why)) => bad.push((place, why.clone())),
                        None => good.push(place),
                    }
                }
                for (place, why) in bad {
                    self.results[place] = Some(Err(why));
                }
                if !good.is_empty() {
                    self.waiting.push(good);
                }
            }
            Answer::Refused { error, .. } if members.len() == 1 => {
                self.settle(&members, &Err(error));
            }
            Answer::Refused { .. } => {
                let mut first = members;
                let second = first.split_off(first.len() / 2);
                self.waiting.push(second);
                self.waiting.push(first);
            }
        }
    }

    fn settle(&mut self, members: &[usize], result: &Result<Receipt, ProviderError>) {
        for &place in members {
            self.results[place] = Some(result.clone());
        }
    }

    fn finish(self, error: &ProviderError) -> Vec<Result<Receipt, ProviderError>> {
        self.results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(error.clone())))
            .collect()
    }
}

/// The same failure for events that were never sent because of it.
fn unsent(mut error: ProviderError) -> ProviderError {
    if let ProviderError::Unavailable { maybe_received, .. }
    | ProviderError::TimedOut { maybe_received, .. } = &mut error
    {
        *maybe_received = false;
    }
    error
}

fn postponed() -> ProviderError {
    ProviderError::Postponed {
        wait: None,
        detail: ours("too many other events of its batch were refused"),
    }
}

/// A call that could not be made, as what a platform says of one: nothing was sent.
pub(super) fn said(error: AccountsError) -> ProviderError {
    match error {
        AccountsError::Platform(said) => said,
        AccountsError::RefreshUnderway => ProviderError::Postponed {
            wait: None,
            detail: ours("the account's token is being refreshed"),
        },
        // The operator's to mend: no number of attempts does.
        unset @ (AccountsError::NoKeys
        | AccountsError::Sealed { .. }
        | AccountsError::NotSetUp(_)
        | AccountsError::NoPlatform(_)) => ProviderError::Config {
            detail: ours(&unset.to_string()),
        },
        other => ProviderError::Unavailable {
            detail: ours("the account's token is not to be had"),
            maybe_received: false,
            source: Some(Arc::new(other)),
        },
    }
}

fn ours(message: &str) -> ProviderDetail {
    ProviderDetail {
        provider: "millpond",
        message: message.to_owned(),
        ..ProviderDetail::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn event(group: &'static str, is_alone: bool) -> (Outgoing, bool) {
        let outgoing = Outgoing {
            body: Value::Null,
            group,
            left_out: Vec::new(),
        };
        (outgoing, is_alone)
    }

    fn refused() -> ProviderError {
        ProviderError::Rejected {
            detail: ours("bad event"),
        }
    }

    fn taken(events: usize) -> Answer {
        Answer::Each(vec![Ok(Receipt::default()); events])
    }

    #[test]
    fn groups_have_requests_of_their_own_and_so_has_what_is_to_be_alone() {
        let events = [
            event("web", false),
            event("app", false),
            event("web", false),
            event("web", true),
            event("web", false),
        ];

        let mut progress = Progress::over(&events, 2);
        progress.waiting.reverse();

        assert_eq!(progress.waiting, [vec![3], vec![1], vec![0, 2], vec![4]]);
    }

    #[test]
    fn a_bad_event_that_is_named_leaves_its_mates_to_be_sent() {
        let events: Vec<_> = (0..3).map(|_| event("", false)).collect();
        let mut progress = Progress::over(&events, 100);
        let members = progress.waiting.pop().expect("a request");

        let at = vec![(1, refused())];
        progress.record(
            members,
            Answer::Refused {
                at,
                error: refused(),
            },
        );
        let rest = progress.waiting.pop().expect("the rest");
        progress.record(rest.clone(), taken(2));

        assert_eq!(rest, [0, 2]);
        let results = progress.finish(&refused());
        let are_taken: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(are_taken, [true, false, true]);
    }

    // Fails when events are given up as keys are missing in a process.
    #[test]
    fn a_token_that_our_own_set_up_keeps_from_us_is_no_fault_of_the_platform() {
        let unset = said(AccountsError::NoKeys);
        let busy = said(AccountsError::RefreshUnderway);

        assert!(matches!(unset, ProviderError::Config { .. }), "{unset:?}");
        assert!(matches!(busy, ProviderError::Postponed { .. }), "{busy:?}");
    }

    #[test]
    fn a_bad_event_that_is_not_named_is_found_by_halves() {
        let events: Vec<_> = (0..8).map(|_| event("", false)).collect();
        let mut progress = Progress::over(&events, 100);

        while let Some(members) = progress.waiting.pop() {
            let answer = if members.contains(&5) {
                let at = Vec::new();
                Answer::Refused {
                    at,
                    error: refused(),
                }
            } else {
                taken(members.len())
            };
            progress.record(members, answer);
        }

        let results = progress.finish(&postponed());
        let bad: Vec<usize> = (0..8).filter(|&place| results[place].is_err()).collect();
        assert_eq!(bad, [5]);
    }
}
