//! A batch of outcomes by the statements that store them, as arrays.

use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    job::{AttemptOutcome, ErrorClass, JobState},
    store::{
        holds::Unusable,
        logs::Lines,
        settle::{Again, Ended},
    },
    worker::{claimed::Settlement, verdict::Verdict},
};

/// Outcomes of a batch by the statement that stores them.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    pub(super) deleted: Ended,
    pub(super) finished: Ended,
    pub(super) results: Vec<Option<Json<serde_json::Value>>>,
    pub(super) buried: Ended,
    pub(super) fingerprints: Vec<String>,
    pub(super) put_back: Ended,
    pub(super) again: Again,
}

impl Sorted {
    pub(super) fn of(batch: &[Settlement]) -> Self {
        let mut sorted = Self::default();
        for settlement in batch {
            match &settlement.verdict {
                Verdict::Succeeded { keep: false, .. } => {
                    push(&mut sorted.deleted, settlement, None)
                }
                Verdict::Succeeded { result, keep: true } => {
                    push(&mut sorted.finished, settlement, None);
                    sorted.results.push(result.clone().map(Json));
                }
                Verdict::Cancelled { reason } => {
                    push(&mut sorted.finished, settlement, reason.as_deref());
                    sorted.results.push(None);
                }
                Verdict::Dead(failure) => {
                    push(&mut sorted.buried, settlement, Some(&failure.error));
                    sorted.fingerprints.push(failure.fingerprint.clone());
                }
                Verdict::Again {
                    state,
                    delay,
                    used,
                    failure,
                    ..
                } => {
                    push(
                        &mut sorted.put_back,
                        settlement,
                        failure.as_ref().map(|failure| failure.error.as_str()),
                    );
                    sorted.again.states.push(state.as_str().to_owned());
                    sorted.again.delays.push(delay.as_secs_f64());
                    sorted.again.used.push(*used);
                    sorted.again.held.push(None);
                }
                Verdict::Held { account, failure } => {
                    push(&mut sorted.put_back, settlement, Some(&failure.error));
                    sorted
                        .again
                        .states
                        .push(JobState::Ready.as_str().to_owned());
                    sorted.again.delays.push(0.0);
                    sorted.again.used.push(false);
                    sorted.again.held.push(Some(account.clone()));
                }
            }
        }
        sorted
    }

    /// Whether one statement stores all, so that it needs no transaction around it.
    pub(super) fn is_one_statement(&self, batch: &[Settlement]) -> bool {
        let statements = [&self.deleted, &self.finished, &self.buried]
            .iter()
            .filter(|ended| !ended.ids.is_empty())
            .count();
        statements == 1
            && self.put_back.ids.is_empty()
            && batch.iter().all(|settlement| {
                settlement.follow_ups.is_empty() && settlement.recorded.log.is_empty()
            })
    }
}

fn push(ended: &mut Ended, settlement: &Settlement, error: Option<&str>) {
    let failure = settlement.verdict.failure();
    ended.ids.push(settlement.id.0);
    ended.tokens.push(settlement.token);
    ended
        .outcomes
        .push(settlement.verdict.outcome().as_str().to_owned());
    ended
        .classes
        .push(failure.map(|failure| failure.class.as_str().to_owned()));
    ended.errors.push(error.map(|text| text.replace('\0', " ")));
    let progress = settlement.recorded.progress.clone();
    ended.progress.push(progress.map(Json));
    ended.wiped.push(Some(settlement.is_wiped));
}

/// The accounts that attempts could not use whose outcomes were stored.
pub(super) fn unusable(batch: &[Settlement], stored: &[Uuid]) -> Unusable {
    let mut unusable = Unusable::default();
    for settlement in batch {
        if let Verdict::Held { account, failure } = &settlement.verdict
            && stored.contains(&settlement.id.0)
        {
            unusable.accounts.push(account.clone());
            unusable.reasons.push(failure.error.replace('\0', " "));
            unusable.kinds.push(settlement.kind.to_string());
        }
    }
    unusable
}

/// Those that were not put back, as cancelled.
pub(super) fn cancelled_instead(put_back: &Ended, done: &[Uuid]) -> Ended {
    let mut rest = Ended::default();
    for (place, id) in put_back
        .ids
        .iter()
        .enumerate()
        .filter(|(_, id)| !done.contains(id))
    {
        let (token, progress) = (put_back.tokens[place], put_back.progress[place].clone());
        rest.push_cancelled(*id, token, progress, put_back.wiped[place]);
    }
    rest
}

pub(super) fn lines(settlements: &[&Settlement]) -> Lines {
    let mut lines = Lines::default();
    for settlement in settlements {
        for (number, line) in (0..).zip(&settlement.recorded.log) {
            lines.job_ids.push(settlement.id.0);
            lines.attempts.push(settlement.attempt);
            lines.numbers.push(number);
            lines.times.push(line.at);
            lines.levels.push(line.level.as_str().to_owned());
            lines.messages.push(line.message.clone());
        }
    }
    lines
}

/// The state a put-back job is in; used by the rescuer too.
pub(in crate::worker) fn ready_again(
    ended: &mut (Ended, Again),
    id: Uuid,
    token: Uuid,
    error: &str,
) {
    let (ended, again) = ended;
    ended.ids.push(id);
    ended.tokens.push(token);
    ended
        .outcomes
        .push(AttemptOutcome::Lost.as_str().to_owned());
    ended
        .classes
        .push(Some(ErrorClass::Lost.as_str().to_owned()));
    ended.errors.push(Some(error.to_owned()));
    ended.progress.push(None);
    again.states.push(JobState::Ready.as_str().to_owned());
    again.delays.push(0.0);
    again.used.push(true);
    again.held.push(None);
}
