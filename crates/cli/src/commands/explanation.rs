//! What keeps a job or a queue, for people.

use chrono::{DateTime, SecondsFormat, Utc};
use queue::Explanation;

use crate::output::{
    Details, Table,
    words::{age, age_or_dash},
};

/// The answer in a few lines, then each gate that keeps something, then those that do not.
pub(super) fn shown(told: &Explanation) -> String {
    let now = Utc::now();
    let mut head = Details::default();
    head.add("state", &told.state);
    head.add("runnable", if told.runnable { "yes" } else { "no" });
    head.add("ahead", told.ahead);
    head.add_some("expected", told.expected_start.map(|at| expected(at, now)));
    if told.gates.is_empty() {
        return head.to_string();
    }
    let mut table = Table::new(["gate", "keeps it", "until", "detail"], "no gates");
    let (closed, open): (Vec<_>, Vec<_>) = told.gates.iter().partition(|gate| gate.blocking);
    for gate in closed.into_iter().chain(open) {
        table.row_to_the_end([
            gate.gate.to_string(),
            if gate.blocking { "yes" } else { "no" }.to_owned(),
            age_or_dash(gate.until, now),
            gate.detail.clone(),
        ]);
    }
    format!("{head}\n{table}")
}

fn expected(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at <= now {
        return "now".to_owned();
    }
    let moment = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{moment} ({})", age(at, now))
}

#[cfg(test)]
mod tests {
    use queue::{Gate, GateAnswer};

    use super::*;

    fn gate(gate: Gate, blocking: bool) -> GateAnswer {
        GateAnswer {
            gate,
            blocking,
            detail: format!("about {gate}"),
            until: None,
        }
    }

    #[test]
    fn what_keeps_a_job_is_told_to_the_end() {
        let detail = "a very long story of who holds it ".repeat(10);
        let told = Explanation {
            state: "ready".to_owned(),
            runnable: false,
            gates: vec![GateAnswer {
                detail: detail.clone(),
                ..gate(Gate::KeyLimit, true)
            }],
            ahead: 0,
            expected_start: None,
        };

        let text = shown(&told);

        assert!(text.contains(detail.trim_end()), "{text}");
    }

    #[test]
    fn what_keeps_a_job_stands_before_what_does_not() {
        let told = Explanation {
            state: "ready".to_owned(),
            runnable: false,
            gates: vec![gate(Gate::QueuePaused, false), gate(Gate::KeyLimit, true)],
            ahead: 7,
            expected_start: None,
        };

        let text = shown(&told);

        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["state     ready", "runnable  no", "ahead     7"]
        );
        assert!(
            lines[5].starts_with("key_limit") && lines[5].contains("yes"),
            "{text}"
        );
        assert!(lines[6].starts_with("queue_paused"), "{text}");
    }
}
