//! What happens when: rounds of one fault or of two at once, planned from the seed alone.

use std::time::Duration;

use super::{
    dice::Dice,
    faults::{CATALOGUE, Entry},
};

/// Processes that a fault may choose from.
const PROCESSES: usize = 5;
/// Most times that the long form stretches a fault.
const LONGEST_STRETCH: u64 = 3;

/// A fault that will be injected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) entry: &'static Entry,
    /// Which process, for those that take one.
    pub(super) target: usize,
    pub(super) lasts: Duration,
    /// Chance of its own.
    pub(super) seed: u64,
}

/// Faults injected together.
pub(super) type Round = Vec<Step>;

/// Plans rounds for as long as it is asked.
pub(super) struct Planner {
    dice: Dice,
    chosen: Vec<&'static Entry>,
}

impl Planner {
    /// Plans with the faults of these ids; with all where none are named.
    pub(super) fn new(seed: u64, ids: &[String]) -> anyhow::Result<Self> {
        for id in ids {
            anyhow::ensure!(
                CATALOGUE.iter().any(|entry| entry.id == id),
                "there is no fault {id} here: {}",
                known()
            );
        }
        let is_chosen = |entry: &&Entry| ids.is_empty() || ids.iter().any(|id| id == entry.id);
        Ok(Self {
            dice: Dice::new(seed),
            chosen: CATALOGUE.iter().filter(is_chosen).collect(),
        })
    }

    /// Every fault once, as it is, two at a time where they do not hold the same thing.
    pub(super) fn each_once(&mut self) -> Vec<Round> {
        let mut left = self.chosen.clone();
        self.dice.shuffle(&mut left);
        let mut rounds = Vec::new();
        while let Some(first) = left.pop() {
            let mut round = vec![self.step(first, 1)];
            let mate = left.iter().rposition(|other| go_together(first, other));
            if let Some(mate) = mate {
                round.push(self.step(left.remove(mate), 1));
            }
            rounds.push(round);
        }
        rounds
    }

    /// Another round: one fault, or as often two.
    pub(super) fn another(&mut self) -> Round {
        let first = self.chosen[self.dice.place(self.chosen.len())];
        let stretch = 1 + self.dice.below(LONGEST_STRETCH);
        let mut round = vec![self.step(first, stretch)];
        let mates: Vec<&'static Entry> = self
            .chosen
            .iter()
            .copied()
            .filter(|other| go_together(first, other))
            .collect();
        if !mates.is_empty() && self.dice.below(2) == 0 {
            let mate = mates[self.dice.place(mates.len())];
            let stretch = 1 + self.dice.below(LONGEST_STRETCH);
            round.push(self.step(mate, stretch));
        }
        round
    }

    fn step(&mut self, entry: &'static Entry, stretch: u64) -> Step {
        let stretch = u32::try_from(stretch).unwrap_or(1);
        Step {
            entry,
            target: self.dice.place(PROCESSES),
            lasts: entry.lasts() * stretch,
            seed: self.dice.roll(),
        }
    }
}

fn go_together(one: &Entry, other: &Entry) -> bool {
    one.holds.iter().all(|part| !other.holds.contains(part))
}

fn known() -> String {
    let mut ids: Vec<&str> = CATALOGUE.iter().map(|entry| entry.id).collect();
    ids.dedup();
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(round: &[Step]) -> Vec<(&'static str, usize, Duration, u64)> {
        round
            .iter()
            .map(|step| (step.entry.what, step.target, step.lasts, step.seed))
            .collect()
    }

    #[test]
    fn a_seed_plans_the_same_again() -> anyhow::Result<()> {
        let plan = |seed| -> anyhow::Result<Vec<_>> {
            let mut planner = Planner::new(seed, &[])?;
            let mut rounds = planner.each_once();
            rounds.extend((0..20).map(|_| planner.another()));
            Ok(rounds.iter().map(|round| told(round)).collect())
        };

        assert_eq!(plan(5)?, plan(5)?);
        assert_ne!(plan(5)?, plan(6)?);
        Ok(())
    }

    #[test]
    fn each_fault_comes_once_and_never_beside_one_that_holds_the_same() -> anyhow::Result<()> {
        for seed in 0..50 {
            let rounds = Planner::new(seed, &[])?.each_once();

            let steps: usize = rounds.iter().map(Vec::len).sum();
            let are_apart = |round: &Round| match round.as_slice() {
                [one, other] => go_together(one.entry, other.entry),
                round => round.len() == 1,
            };
            assert_eq!(steps, CATALOGUE.len());
            assert!(rounds.iter().all(are_apart), "seed {seed}");
        }
        Ok(())
    }

    #[test]
    fn only_the_faults_that_were_named_are_planned() -> anyhow::Result<()> {
        let mut planner = Planner::new(1, &["F05".to_owned(), "F20".to_owned()])?;

        let rounds: Vec<Round> = (0..50).map(|_| planner.another()).collect();

        let mut steps = rounds.iter().flatten();
        assert!(steps.all(|step| ["F05", "F20"].contains(&step.entry.id)));
        assert!(Planner::new(1, &["F99".to_owned()]).is_err());
        Ok(())
    }
}
