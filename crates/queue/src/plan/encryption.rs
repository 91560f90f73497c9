//! What switching the encryption of payloads on or off does to the jobs that are there: nothing by itself, which is what
//! people have to know.

use super::{Facts, Sides, kinds_of};

pub(super) fn notes(sides: &Sides, facts: &Facts) -> Vec<String> {
    let (before, after) = (&sides.before.holds, &sides.after.holds);
    let mut notes = Vec::new();
    for kind in kinds_of(before, after) {
        let (was, is) = (before.policy(kind), after.policy(kind));
        let jobs = facts.jobs.iter().filter(|row| row.kind == kind);
        let jobs: i64 = jobs.map(|row| row.jobs).sum();
        if is.needs_keys && !was.needs_keys {
            notes.push(format!(
                "{kind} is to be encrypted: a process without MILLPOND_ENCRYPTION_KEYS does not take this configuration, and \
                 millpond.enqueue refuses the kind from then on"
            ));
        }
        if is.encrypt && !was.encrypt {
            notes.push(format!(
                "the payloads of {jobs} jobs of {kind} stay in the clear until they are done, and those of its dead letters: \
                 `millpond secrets rotate` seals them; what the history holds stays until retention deletes it"
            ));
        }
        if was.encrypt && !is.encrypt {
            notes.push(format!(
                "the payloads of {jobs} jobs of {kind} stay encrypted until they are done: their keys are needed that long"
            ));
        }
    }
    notes
}
