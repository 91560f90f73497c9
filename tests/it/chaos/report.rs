//! What is printed: what was done, when and to whom, what was found, and what was not tried.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{Duration, Instant},
};

use super::{
    conservation::Evidence,
    faults::{CATALOGUE, NOT_TRIED},
    fleet::Fleet,
    ledger::Ledger,
    nemesis,
    plan::Step,
};

/// Most findings that are printed of a round.
const MOST_TOLD: usize = 30;

/// The report, printed as it grows.
pub(super) struct Report {
    begun: Instant,
    rounds: usize,
    /// How often each fault was tried, by its place in the catalogue.
    tried: BTreeMap<&'static str, usize>,
    findings: Vec<String>,
}

impl Report {
    pub(super) fn begin(seed: u64, how_long: &str) -> anyhow::Result<Self> {
        let report = Self {
            begun: Instant::now(),
            rounds: 0,
            tried: BTreeMap::new(),
            findings: Vec::new(),
        };
        report.say(&format!("chaos with seed {seed}, {how_long}"))?;
        Ok(report)
    }

    /// Prints a line with the time since the beginning.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        let at = self.begun.elapsed().as_secs_f64();
        Ok(writeln!(io::stdout(), "[{at:7.1} s] {text}")?)
    }

    /// A round begins; gives its number.
    pub(super) fn round(&mut self, steps: &[Step]) -> anyhow::Result<usize> {
        self.rounds += 1;
        for step in steps {
            *self.tried.entry(step.entry.what).or_default() += 1;
            let whom = nemesis::target(step)
                .map_or_else(String::new, |target| format!(", {}", Fleet::name(target)));
            self.say(&format!(
                "round {}: {} {}{whom}, for {:.1} s",
                self.rounds,
                step.entry.id,
                step.entry.what,
                step.lasts.as_secs_f64()
            ))?;
        }
        Ok(self.rounds)
    }

    /// A round has ended: with these answers, and so long after it was healed.
    pub(super) fn ended(
        &mut self,
        ledger: &Ledger,
        evidence: &Evidence,
        settled: Duration,
        findings: Vec<String>,
    ) -> anyhow::Result<()> {
        let attempts = evidence.rows.iter().flat_map(|row| &row.attempts);
        let lost = attempts.filter(|attempt| attempt.outcome == "lost").count();
        let totals = evidence.totals;
        self.say(&format!(
            "round {}: {} acknowledged, answers {:?}, quiet {:.1} s after healing; \
             so far {} succeeded, {} dead, {lost} attempts lost",
            self.rounds,
            ledger.acknowledged(),
            ledger.statuses,
            settled.as_secs_f64(),
            totals.succeeded,
            totals.dead,
        ))?;
        self.found(findings)
    }

    /// What was found in the round under way.
    pub(super) fn found(&mut self, findings: Vec<String>) -> anyhow::Result<()> {
        for finding in findings.iter().take(MOST_TOLD) {
            self.say(&format!("FOUND in round {}: {finding}", self.rounds))?;
        }
        if findings.len() > MOST_TOLD {
            self.say(&format!("and {} more", findings.len() - MOST_TOLD))?;
        }
        self.findings.extend(findings);
        Ok(())
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    /// The table at the end; gives how many findings there were.
    pub(super) fn end(&self, seed: u64) -> anyhow::Result<usize> {
        let mut table = String::from("fault  times  what\n");
        for entry in &CATALOGUE {
            let times = match self.tried.get(entry.what) {
                Some(times) => times.to_string(),
                None => "-".to_owned(),
            };
            table.push_str(&format!("{:<5}  {times:>5}  {}\n", entry.id, entry.what));
        }
        for (ids, why) in NOT_TRIED {
            table.push_str(&format!("{ids:<5}  not tried: {why}\n"));
        }
        let found = self.findings.len();
        let rounds = self.rounds;
        self.say(&format!(
            "{rounds} rounds, seed {seed}, {found} findings\n{table}"
        ))?;
        Ok(found)
    }
}
