//! The conservation check: nothing accepted is lost, nothing is doubled, nothing is left over. Pure functions over
//! ledgers and rows. It proves something only as long as `tests.rs` shows that it finds each sort of violation.

mod attempts;
mod evidence;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub(crate) use evidence::{Attempt, Effect, Evidence, Excuses, Place, Row, Sent, Totals};

/// What was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// An acknowledged job is nowhere.
    LostAcknowledged,
    /// A job stands in two places.
    InTwoPlaces,
    /// A job, or an effect of one, that nobody sent.
    Unknown,
    /// More jobs came of a request than can have.
    Doubled,
    /// One idempotency key led to two jobs.
    TwoJobsForOneKey,
    /// The numbers of a job's attempts have a gap or repeat.
    GapInNumbers,
    /// Two attempts of a job held a lease at the same time.
    LeasesOverlap,
    /// Two effects of a job happened at the same time, both under a valid lease.
    EffectsOverlap,
    /// An attempt was made twice.
    AttemptTwice,
    /// A job succeeded, and the receiver knows nothing of it.
    NoEffect,
    /// An effect came with another key than its job's.
    OtherKey,
    /// More attempts were used than allowed, or they were counted wrongly.
    TooManyAttempts,
    /// The last attempt does not say why the job ended.
    Undecided,
    /// The job has not ended.
    LeftOver,
    /// The sums do not agree.
    Unbalanced,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        let detail = detail.into();
        self.0.push(Violation { rule, detail });
    }
}

/// Everything that is wrong.
pub(crate) fn violations(evidence: &Evidence) -> Vec<Violation> {
    let mut findings = Findings::default();
    places(evidence, &mut findings);
    requests(evidence, &mut findings);
    keys(evidence, &mut findings);
    for row in &evidence.rows {
        attempts::of_row(row, &evidence.excuses, &mut findings);
    }
    attempts::effects(evidence, &mut findings);
    balance(evidence, &mut findings);
    findings.0
}

/// Every acknowledged job stands in one place, and none is left over.
fn places(evidence: &Evidence, findings: &mut Findings) {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &evidence.rows {
        *times.entry(&row.id).or_default() += 1;
        if let Place::Live(state) = &row.place {
            findings.add(Rule::LeftOver, format!("job {} is still {state}", row.id));
        }
    }
    for (id, times) in times.iter().filter(|(_, times)| **times > 1) {
        findings.add(
            Rule::InTwoPlaces,
            format!("job {id} stands in {times} places"),
        );
    }
    for sent in &evidence.sent {
        for id in sent
            .answers
            .iter()
            .filter(|id| !times.contains_key(id.as_str()))
        {
            findings.add(
                Rule::LostAcknowledged,
                format!("job {id}, acknowledged for {}", sent.token),
            );
        }
    }
}

/// Every job was sent, and no request became more jobs than its answers and doubts allow.
fn requests(evidence: &Evidence, findings: &mut Findings) {
    let by_token: BTreeMap<&str, &Sent> = evidence
        .sent
        .iter()
        .map(|sent| (sent.token.as_str(), sent))
        .collect();
    let mut stored: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in &evidence.rows {
        match row
            .token
            .as_deref()
            .filter(|token| by_token.contains_key(token))
        {
            Some(token) => {
                stored.entry(token).or_default().insert(&row.id);
            }
            None => findings.add(
                Rule::Unknown,
                format!("job {} with token {:?}", row.id, row.token),
            ),
        }
    }
    for (token, ids) in stored {
        let Some(sent) = by_token.get(token) else {
            continue;
        };
        let answered: BTreeSet<&str> = sent.answers.iter().map(String::as_str).collect();
        let doubts = usize::try_from(sent.doubts).unwrap_or(usize::MAX);
        let most = match &sent.key {
            Some(_) => (answered.len() + doubts).min(1),
            None => answered.len().saturating_add(doubts),
        };
        if ids.len() > most {
            let detail = format!("{token} became {} jobs, at most {most} can be", ids.len());
            findings.add(Rule::Doubled, detail);
        }
    }
}

/// One job for each idempotency key, in every answer and in the table.
fn keys(evidence: &Evidence, findings: &mut Findings) {
    let mut jobs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, id) in &evidence.keys {
        jobs.entry(key).or_default().insert(id);
    }
    for sent in &evidence.sent {
        if let Some(key) = &sent.key {
            let answers = sent.answers.iter().map(String::as_str);
            jobs.entry(key).or_default().extend(answers);
        }
    }
    for (key, ids) in jobs.iter().filter(|(_, ids)| ids.len() > 1) {
        findings.add(
            Rule::TwoJobsForOneKey,
            format!("key {key} led to jobs {ids:?}"),
        );
    }
}

/// What was accepted is what has ended, by every way to count it.
fn balance(evidence: &Evidence, findings: &mut Findings) {
    let in_doubt: BTreeSet<&str> = evidence
        .sent
        .iter()
        .filter(|sent| sent.doubts > 0)
        .map(|sent| sent.token.as_str())
        .collect();
    let mut accepted: BTreeSet<&str> = evidence
        .sent
        .iter()
        .flat_map(|sent| sent.answers.iter().map(String::as_str))
        .collect();
    accepted.extend(
        evidence
            .rows
            .iter()
            .filter(|row| {
                row.token
                    .as_deref()
                    .is_some_and(|token| in_doubt.contains(token))
            })
            .map(|row| row.id.as_str()),
    );
    let accepted = u64::try_from(accepted.len()).unwrap_or(u64::MAX);
    let totals = evidence.totals;
    let ended = totals.succeeded + totals.cancelled + totals.dead;
    if accepted != ended {
        findings.add(
            Rule::Unbalanced,
            format!("{accepted} accepted, {ended} ended: {totals:?}"),
        );
    }
    if totals.dead != totals.dead_in_groups {
        findings.add(
            Rule::Unbalanced,
            format!("groups miscount the dead letters: {totals:?}"),
        );
    }
}
