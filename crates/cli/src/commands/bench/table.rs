//! The benchmark's table as people read it.

use queue::bench::{Figure, Goal, Rounds};

use super::document::Document;
use crate::output::Table;

/// Figures that are not measured here.
const ELSEWHERE: &str = "P17 (GET /v1/metrics) is measured by scripts/metrics --rows 10000000, P16 (storing insights) not yet";
/// What stands where there is nothing to say.
const NOTHING: &str = "-";

pub(super) fn of(document: &Document) -> String {
    let head = [
        "id",
        "what",
        "ours",
        "limit",
        "ratio (least – most)",
        "goal",
        "verdict",
    ];
    let mut table = Table::new(head, "nothing was measured");
    for figure in &document.report.figures {
        table.row([
            figure.id.to_owned(),
            figure.what.clone(),
            ours(figure),
            shown(figure.limit.as_ref(), figure.unit),
            spread(figure),
            figure.goal.map_or_else(|| NOTHING.to_owned(), goal),
            figure.verdict.as_str().to_owned(),
        ]);
    }
    format!("{table}\n{}\n{ELSEWHERE}\n", about(document))
}

fn about(document: &Document) -> String {
    let (program, report) = (&document.program, &document.report);
    let cores = document
        .machine
        .cores
        .map_or_else(|| NOTHING.to_owned(), |cores| cores.to_string());
    format!(
        "millpond {} ({}, {} build); {}; {cores} cores; {} rounds, {} jobs a drain; medians",
        program.version, program.commit, program.build, report.server, report.rounds, report.jobs
    )
}

fn ours(figure: &Figure) -> String {
    let told = shown(figure.ours.as_ref(), figure.unit);
    match (figure.ours.is_some(), figure.note.as_str()) {
        (_, "") => told,
        (true, note) => format!("{told} ({note})"),
        (false, note) => note.to_owned(),
    }
}

fn shown(rounds: Option<&Rounds>, unit: &str) -> String {
    let Some(rounds) = rounds else {
        return NOTHING.to_owned();
    };
    let value = if rounds.median >= 100.0 {
        format!("{:.0} {unit}", rounds.median)
    } else {
        format!("{:.2} {unit}", rounds.median)
    };
    value.trim_end().to_owned()
}

fn spread(figure: &Figure) -> String {
    let Some(rounds) = figure.ratio.as_ref().or(figure.ours.as_ref()) else {
        return NOTHING.to_owned();
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_says_why() {
        let figure = Figure::not_measured("P13", "claim", "not measured: pass --large");

        assert_eq!(ours(&figure), "not measured: pass --large");
        assert_eq!(spread(&figure), "-");
    }

    #[test]
    fn a_note_stands_beside_its_figure() {
        let figure = Figure::new("P19", "size", "MB", vec![150.4]).noted("a debug build");

        assert_eq!(ours(&figure), "150 MB (a debug build)");
    }
}
