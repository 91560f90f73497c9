//! The benchmark's figures, each with its limit, its goal, and whether the goal was reached.

use std::time::Duration;

use serde::Serialize;

use super::{BenchSettings, PAYLOAD, ROUND};

/// A figure of several rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Rounds {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// All of them, in the order they were measured.
    pub values: Vec<f64>,
}

impl Rounds {
    fn of(values: Vec<f64>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |place: Option<&f64>| place.copied().unwrap_or(f64::NAN);
        Self {
            median: at(sorted.get(sorted.len() / 2)),
            min: at(sorted.first()),
            max: at(sorted.last()),
            values,
        }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Goal {
    fn verdict_on(self, value: f64) -> Verdict {
        let is_reached = match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        };
        if is_reached {
            Verdict::Reached
        } else {
            Verdict::Missed
        }
    }
}

/// Whether a goal was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It was.
    #[serde(rename = "reached")]
    Reached,
    /// It was not.
    #[serde(rename = "missed")]
    Missed,
    /// There is no goal, or nothing was measured.
    #[serde(rename = "-")]
    NotJudged,
    /// Measuring it failed.
    #[serde(rename = "failed")]
    Failed,
}

impl Verdict {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::NotJudged => "-",
            Self::Failed => "failed",
        }
    }
}

/// A figure's place in a plot of throughput against callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Series {
    /// What is called.
    pub name: &'static str,
    /// How many call at once.
    pub callers: usize,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// As in the documentation: P1, P2…
    pub id: &'static str,
    /// What was measured.
    pub what: String,
    /// What the limit is made of; empty where there is none.
    pub limit_is: &'static str,
    /// The unit of ours and of the limit.
    pub unit: &'static str,
    /// What Millpond did; `None` where it was not measured.
    pub ours: Option<Rounds>,
    /// What the machine can do.
    pub limit: Option<Rounds>,
    /// Ours by the limit, round by round, where that is what counts.
    pub ratio: Option<Rounds>,
    /// What is compared with the goal: the ratio's median where there is one, else ours.
    pub goal: Option<Goal>,
    /// Whether the goal was reached.
    pub verdict: Verdict,
    /// Where it stands in the plot of throughput against callers.
    pub series: Option<Series>,
    /// Why nothing was measured, or what to know when reading it; may be empty.
    pub note: String,
}

impl Figure {
    /// A figure that stands for itself, a value for each round.
    #[must_use]
    pub fn new(
        id: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        ours: Vec<f64>,
    ) -> Self {
        Self {
            id,
            what: what.into(),
            limit_is: "",
            unit,
            ours: Some(Rounds::of(ours)),
            limit: None,
            ratio: None,
            goal: None,
            verdict: Verdict::NotJudged,
            series: None,
            note: String::new(),
        }
    }

    /// A line that says why there is no figure.
    #[must_use]
    pub fn not_measured(id: &'static str, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            ours: None,
            note: why.into(),
            ..Self::new(id, what, "", Vec::new())
        }
    }

    /// A line that says why there should be a figure and is none.
    #[must_use]
    pub fn failed(id: &'static str, what: impl Into<String>, why: &str) -> Self {
        Self {
            verdict: Verdict::Failed,
            ..Self::not_measured(id, what, format!("failed: {why}"))
        }
    }

    /// Shows what the machine can do, a value for each round, without comparing.
    #[must_use]
    pub fn with_limit(mut self, limit_is: &'static str, limit: Vec<f64>) -> Self {
        self.limit_is = limit_is;
        self.limit = Some(Rounds::of(limit));
        self
    }

    /// Compares with what the machine can do, round by round.
    #[must_use]
    pub fn beside(self, limit_is: &'static str, limit: Vec<f64>) -> Self {
        let ours = self.ours.iter().flat_map(|ours| &ours.values);
        let ratio = ours.zip(&limit).map(|(ours, limit)| ours / limit).collect();
        Self {
            ratio: Some(Rounds::of(ratio)),
            ..self.with_limit(limit_is, limit)
        }
    }

    /// Judges the ratio's median where there is one, else the median of ours: call it last.
    #[must_use]
    pub fn judged_by(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self.verdict = match self.ratio.as_ref().or(self.ours.as_ref()) {
            Some(rounds) => goal.verdict_on(rounds.median),
            None => Verdict::NotJudged,
        };
        self
    }

    /// Gives it a place in the plot of throughput against callers.
    #[must_use]
    pub fn in_series(mut self, name: &'static str, callers: usize) -> Self {
        self.series = Some(Series { name, callers });
        self
    }

    /// Says what to know when reading it.
    #[must_use]
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

/// The benchmark's table.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version and settings of the server.
    pub server: String,
    /// Rounds of each figure.
    pub rounds: usize,
    /// Length of a round of figures that repeat for a time, in seconds.
    pub round_seconds: f64,
    /// Jobs of a fill and drain.
    pub jobs: usize,
    /// Fills and drains between the two looks at the hot table's size.
    pub fills: usize,
    /// Size of a job's payload, in bytes.
    pub payload_bytes: usize,
    /// The table.
    pub figures: Vec<Figure>,
}

impl Report {
    pub(super) fn new(server: String, settings: &BenchSettings) -> Self {
        Self {
            server,
            rounds: settings.rounds,
            round_seconds: ROUND.as_secs_f64(),
            jobs: settings.jobs,
            fills: settings.fills,
            payload_bytes: PAYLOAD.len(),
            figures: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Whether measuring any figure failed.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        let mut verdicts = self.figures.iter().map(|figure| figure.verdict);
        verdicts.any(|verdict| verdict == Verdict::Failed)
    }

    /// Puts the lines in the order of the documentation; those of one id keep theirs.
    pub(super) fn sort(&mut self) {
        let number = |id: &str| id.trim_start_matches('P').parse::<u32>();
        self.figures
            .sort_by_key(|figure| number(figure.id).unwrap_or(u32::MAX));
    }
}

/// The value that this many of a hundred do not exceed: 50 is the median. Sorts them; NaN when there are none.
#[must_use]
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// A count by the time it took.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "jobs of a round are few")]
pub fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_taken_round_by_round_and_judged_by_its_median() {
        let figure = Figure::new("P1", "enqueue", "/s", vec![90.0, 10.0, 40.0])
            .beside("an insert", vec![100.0, 10.0, 50.0])
            .judged_by(Goal::AtLeast(0.9));

        let ratio = figure.ratio.expect("compared");
        assert_eq!(ratio.values, [0.9, 1.0, 0.8]);
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.9, 0.8, 1.0));
        assert_eq!(figure.verdict, Verdict::Reached);
    }

    #[test]
    fn a_limit_that_is_only_shown_leaves_the_goal_to_ours() {
        let figure = Figure::new("P4", "p99", "ms", vec![5.0])
            .with_limit("bare", vec![4.0])
            .judged_by(Goal::AtMost(4.5));

        assert_eq!(figure.verdict, Verdict::Missed);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let figure = Figure::not_measured("P13", "history", "pass --large");

        assert_eq!(figure.judged_by(Goal::AtMost(2.0)).verdict.as_str(), "-");
    }

    fn report() -> Report {
        let settings = BenchSettings {
            rounds: 1,
            jobs: 1,
            fills: 1,
            only: Vec::new(),
            large: false,
        };
        Report::new(String::new(), &settings)
    }

    #[test]
    fn a_report_knows_what_failed() {
        let mut report = report();
        report.add(Figure::not_measured("P13", "history", "pass --large"));
        assert!(!report.has_failures());

        report.add(Figure::failed("P4", "enqueue", "no port is free"));

        assert!(report.has_failures());
        assert_eq!(report.figures[1].note, "failed: no port is free");
    }

    #[test]
    fn lines_stand_in_the_order_of_their_numbers() {
        let mut report = report();
        for (id, what) in [("P11", "a"), ("P2", "b"), ("P11", "c")] {
            report.add(Figure::new(id, what, "", vec![1.0]));
        }

        report.sort();

        let order: Vec<&str> = report.figures.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(order, ["b", "a", "c"]);
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();

        assert!((percentile(&mut values, 50) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&mut values, 99) - 99.0).abs() < f64::EPSILON);
        assert!(percentile(&mut [], 99).is_nan());
    }
}
