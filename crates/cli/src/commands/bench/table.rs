//! The benchmark's table as people read it.

use queue::bench::{Figure, Goal, Report, Rounds};

use crate::output::Table;

/// Figures of the documentation's table that this release does not measure, with the reason.
const NOT_MEASURED: &str = "not measured: P4, P5 (HTTP), P10 (memory), P13 (claims beside millions of rows), P15 (several processes), \
P18, P19 (start, size): part B; P14, P16, P17 need limits, sync and metrics, which come with parts C to E";

pub(super) fn of(report: &Report) -> String {
    let head = [
        "id",
        "what",
        "ours",
        "limit",
        "ratio (least – most)",
        "goal",
        "reached",
    ];
    let mut table = Table::new(head, "nothing was measured");
    for figure in &report.figures {
        table.row([
            figure.id.to_owned(),
            figure.what.clone(),
            value(&figure.ours, figure.unit),
            figure
                .limit
                .as_ref()
                .map_or_else(|| "–".to_owned(), |limit| value(limit, figure.unit)),
            spread(figure),
            goal(figure.goal),
            if figure.reached { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let about = format!(
        "{}; {} rounds, {} jobs a drain; medians",
        report.server, report.rounds, report.jobs
    );
    format!("{table}\n{about}\n{NOT_MEASURED}")
}

fn value(rounds: &Rounds, unit: &str) -> String {
    if rounds.median >= 100.0 {
        format!("{:.0} {unit}", rounds.median)
    } else {
        format!("{:.2} {unit}", rounds.median)
    }
}

fn spread(figure: &Figure) -> String {
    let rounds = figure.ratio.as_ref().unwrap_or(&figure.ours);
    format!(
        "{:.2} ({:.2} – {:.2})",
        rounds.median, rounds.min, rounds.max
    )
}

fn goal(goal: Goal) -> String {
    match goal {
        Goal::AtLeast(least) => format!("≥ {least}"),
        Goal::AtMost(most) => format!("≤ {most}"),
    }
}
