//! The benchmark's figures, each with its limit, its goal, and whether the goal was reached.

use serde::Serialize;

use super::BenchSettings;

/// A figure of several rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Rounds {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Rounds {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let median = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
        Self {
            median,
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Goal {
    fn is_reached_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// As in the documentation: P1, P2…
    pub id: &'static str,
    /// What was measured.
    pub what: String,
    /// What a limit is made of; empty where the figure stands for itself.
    pub limit_is: &'static str,
    /// What the engine did.
    pub ours: Rounds,
    /// What the machine can do.
    pub limit: Option<Rounds>,
    /// The unit of both.
    pub unit: &'static str,
    /// Ours by the limit, round by round.
    pub ratio: Option<Rounds>,
    /// What is compared with the goal: the ratio's median where there is one, else ours.
    pub goal: Goal,
    /// Whether the goal was reached.
    pub reached: bool,
}

impl Figure {
    /// A figure beside its limit; both have a value for each round.
    pub(super) fn ratio(
        (id, what, limit_is): (&'static str, String, &'static str),
        ours: Vec<f64>,
        limit: Vec<f64>,
        goal: f64,
    ) -> Self {
        let ratio = Rounds::of(
            ours.iter()
                .zip(&limit)
                .map(|(ours, limit)| ours / limit)
                .collect(),
        );
        let goal = Goal::AtLeast(goal);
        let reached = goal.is_reached_by(ratio.median);
        let (ours, limit) = (Rounds::of(ours), Some(Rounds::of(limit)));
        Self {
            id,
            what,
            limit_is,
            ours,
            limit,
            unit: "/s",
            ratio: Some(ratio),
            goal,
            reached,
        }
    }

    /// A figure that stands for itself.
    pub(super) fn alone(
        id: &'static str,
        what: String,
        ours: Vec<f64>,
        unit: &'static str,
        goal: Goal,
    ) -> Self {
        let ours = Rounds::of(ours);
        let reached = goal.is_reached_by(ours.median);
        Self {
            id,
            what,
            limit_is: "",
            ours,
            limit: None,
            unit,
            ratio: None,
            goal,
            reached,
        }
    }
}

/// The benchmark's table.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version and settings of the server.
    pub server: String,
    /// Rounds of each figure.
    pub rounds: usize,
    /// Jobs of a fill and drain.
    pub jobs: usize,
    /// The table.
    pub figures: Vec<Figure>,
}

impl Report {
    pub(super) fn new(server: String, settings: &BenchSettings) -> Self {
        Self {
            server,
            rounds: settings.rounds,
            jobs: settings.jobs,
            figures: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }
}
