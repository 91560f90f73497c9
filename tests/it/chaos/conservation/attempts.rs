//! The part of the check that looks at attempts, and at what the receiver saw of them.

use std::collections::BTreeMap;

use super::{Effect, Evidence, Excuses, Findings, Place, Row, Rule};

/// Seconds by which two times of this machine's clock may differ that mean the same: `now()` is when a statement came,
/// a moment before it saw the data.
const GRAIN: f64 = 0.05;
/// Seconds by which they may differ while statements wait for locks: sessions give up after 2 s.
const LOCK_WAIT: f64 = 2.5;
/// Seconds by which an effect may start after the crash that made the database forget its claim.
const UNFLUSHED: f64 = 5.0;
/// Outcomes that use up no attempt.
const FREE: [&str; 3] = ["snoozed", "rate_limited", "interrupted"];
/// With what an attempt may end a dead letter.
const DEADLY: [&str; 2] = ["dead", "lost"];

/// What a job's own attempts must say.
pub(super) fn of_row(row: &Row, excuses: &Excuses, findings: &mut Findings) {
    let id = &row.id;
    let numbers: Vec<u32> = row.attempts.iter().map(|attempt| attempt.number).collect();
    if !numbers.iter().copied().eq((1..).take(numbers.len())) {
        findings.add(Rule::GapInNumbers, format!("job {id} has {numbers:?}"));
    }
    for (index, one) in row.attempts.iter().enumerate() {
        for other in &row.attempts[index + 1..] {
            let shared = one.finished.min(other.finished) - one.started.max(other.started);
            if shared > excuses.tolerance(one.started.max(other.started)) {
                let detail = format!(
                    "job {id}: attempts {} and {} for {shared:.3} s",
                    one.number, other.number
                );
                findings.add(Rule::LeasesOverlap, detail);
            }
        }
    }
    let used = row
        .attempts
        .iter()
        .filter(|attempt| !FREE.contains(&attempt.outcome.as_str()))
        .count();
    let used = u32::try_from(used).unwrap_or(u32::MAX);
    let has_ended = !matches!(row.place, Place::Live(_));
    if row.attempts_used > row.max_attempts || (has_ended && used != row.attempts_used) {
        let detail = format!(
            "job {id} used {used}, was counted {}, may {}",
            row.attempts_used, row.max_attempts
        );
        findings.add(Rule::TooManyAttempts, detail);
    }
    let last = row.attempts.last().map(|attempt| attempt.outcome.as_str());
    let is_decided = match row.place {
        Place::Live(_) | Place::Cancelled => true,
        Place::Succeeded => last == Some("succeeded"),
        Place::Dead => last.is_some_and(|outcome| DEADLY.contains(&outcome)),
    };
    if !is_decided {
        findings.add(
            Rule::Undecided,
            format!("job {id} is {:?} after {last:?}", row.place),
        );
    }
}

/// What the receiver saw must fit what the rows say.
pub(super) fn effects(evidence: &Evidence, findings: &mut Findings) {
    let rows: BTreeMap<&str, &Row> = evidence
        .rows
        .iter()
        .map(|row| (row.id.as_str(), row))
        .collect();
    let mut by_job: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
    for effect in &evidence.effects {
        by_job.entry(&effect.job).or_default().push(effect);
        if effect.key != effect.job {
            let detail = format!(
                "an effect of job {} came with key {}",
                effect.job, effect.key
            );
            findings.add(Rule::OtherKey, detail);
        }
    }
    for (id, effects) in &by_job {
        let Some(row) = rows.get(id) else {
            findings.add(Rule::Unknown, format!("an effect of job {id}"));
            continue;
        };
        twice(row, effects, &evidence.excuses, findings);
    }
    for row in evidence
        .rows
        .iter()
        .filter(|row| row.place == Place::Succeeded)
    {
        let last = row.attempts.last().map_or(0, |attempt| attempt.number);
        let was_seen = by_job.get(row.id.as_str()).is_some_and(|effects| {
            effects.iter().any(|effect| {
                effect.attempt == last && effect.status.is_some_and(|s| (200..300).contains(&s))
            })
        });
        if !was_seen {
            findings.add(
                Rule::NoEffect,
                format!("job {} succeeded with attempt {last}", row.id),
            );
        }
    }
}

/// No attempt is made twice, none that its job does not know, and no two at once under valid leases.
fn twice(row: &Row, effects: &[&Effect], excuses: &Excuses, findings: &mut Findings) {
    for (index, one) in effects.iter().enumerate() {
        let Some(own) = lease(row, one.attempt) else {
            if !matches!(row.place, Place::Live(_)) {
                let detail = format!("an effect of job {}'s attempt {}", row.id, one.attempt);
                findings.add(Rule::Unknown, detail);
            }
            continue;
        };
        for other in &effects[index + 1..] {
            if one.attempt == other.attempt {
                if !excuses.may_repeat(one, other) {
                    let detail = format!("job {}'s attempt {}", row.id, one.attempt);
                    findings.add(Rule::AttemptTwice, detail);
                }
                continue;
            }
            let Some(others) = lease(row, other.attempt) else {
                continue;
            };
            let began = [one.started, other.started, own.0, others.0];
            let ended = [one.ended, other.ended, own.1, others.1];
            let shared = ended.into_iter().fold(f64::INFINITY, f64::min)
                - began.into_iter().fold(f64::NEG_INFINITY, f64::max);
            if shared > GRAIN {
                let detail = format!(
                    "job {}: attempts {} and {} for {shared:.3} s",
                    row.id, one.attempt, other.attempt
                );
                findings.add(Rule::EffectsOverlap, detail);
            }
        }
    }
}

/// From when to when an attempt's lease can have been valid.
fn lease(row: &Row, number: u32) -> Option<(f64, f64)> {
    let attempt = row
        .attempts
        .iter()
        .find(|attempt| attempt.number == number)?;
    Some((attempt.started, attempt.finished))
}

impl Excuses {
    fn tolerance(&self, at: f64) -> f64 {
        let waited = |(from, to): &(f64, f64)| (*from..=*to + LOCK_WAIT).contains(&at);
        if self.waits.iter().any(waited) {
            LOCK_WAIT
        } else {
            GRAIN
        }
    }

    /// Whether the database may have forgotten the claim under which the first of two effects happened.
    fn may_repeat(&self, one: &Effect, other: &Effect) -> bool {
        let first = one.started.min(other.started);
        let second = one.started.max(other.started);
        self.crashes
            .iter()
            .any(|crash| (first - UNFLUSHED..=second).contains(crash))
    }
}
