//! What is told of a queue.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    COUNTED, Explanation, Gate, GateAnswer, View, answers::counted_with_verb, estimate::Pace,
};
use crate::store::gates::fleet::{self, WaitingRow};

/// What is told of a queue; `None` where no process ever told of it.
pub(super) async fn explain(
    conn: &mut PgConnection,
    mut view: View,
) -> Result<Option<Explanation>, sqlx::Error> {
    let Some(standing) = &view.survey.standing else {
        return Ok(None);
    };
    let (now, is_paused) = (standing.now, standing.is_paused);
    let waiting = fleet::waiting(&mut *conn, &view.queue, COUNTED).await?;
    let open = jobs(&waiting, None);
    let kept = waiting.iter().filter(|row| row.gate.is_some());
    let kept: i64 = kept.map(|row| row.jobs).sum();
    let first_kinds = fleet::first_kinds(&mut *conn, &view.queue).await?;
    let next_due = fleet::next_due(&mut *conn, &view.queue).await?;
    let mut gates = vec![
        view.queue_paused(),
        not_due(next_due, open + kept),
        view.queue_full(),
        view.queue_rate(),
    ];
    for gate in [Gate::KeyLimit, Gate::Budget, Gate::AccountHeld] {
        let found = jobs(&waiting, Some(gate));
        gates.push(view.noted(&mut *conn, gate, found).await?);
    }
    gates.extend([no_worker(&view, &first_kinds), backlog(&view, open)]);
    let usual_seconds = match first_kinds.as_slice() {
        [kind] => fleet::usual_seconds(conn, kind).await?,
        _ => None,
    };
    let pace = Pace {
        now,
        usual_seconds,
        lanes: view.lanes(),
        before: open + view.running,
        of_key: (0, 0),
    };
    let state = if is_paused { "paused" } else { "open" };
    Ok(Some(Explanation {
        state: state.to_owned(),
        runnable: !view.decision.start.is_empty(),
        expected_start: pace.start(&of_a_new_job(&gates)),
        gates,
        ahead: (open + kept).min(COUNTED),
    }))
}

fn jobs(waiting: &[WaitingRow], gate: Option<Gate>) -> i64 {
    let gate = gate.map(Gate::as_str);
    let of_gate = waiting.iter().filter(|row| row.gate.as_deref() == gate);
    of_gate.map(|row| row.jobs).sum()
}

/// Those of a queue's gates that keep a job without key, budget and account, which came now.
fn of_a_new_job(gates: &[GateAnswer]) -> Vec<GateAnswer> {
    let own = [
        Gate::NotDue,
        Gate::KeyLimit,
        Gate::Budget,
        Gate::AccountHeld,
    ];
    let others = gates.iter().filter(|gate| !own.contains(&gate.gate));
    others.cloned().collect()
}

fn not_due(next_due: Option<DateTime<Utc>>, ready: i64) -> GateAnswer {
    let Some(next_due) = next_due else {
        return GateAnswer::open(Gate::NotDue, "no job waits for its time");
    };
    let detail = "jobs wait for their time; the first of them is due then";
    GateAnswer {
        blocking: ready == 0,
        until: Some(next_due),
        ..GateAnswer::open(Gate::NotDue, detail)
    }
}

fn no_worker(view: &View, first_kinds: &[String]) -> GateAnswer {
    if view.workers == 0 {
        return GateAnswer::closed(Gate::NoWorker, "no live worker works on the queue");
    }
    let unknown = first_kinds.iter().filter(|kind| !view.kinds.contains(kind));
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if unknown.is_empty() {
        let detail = "every kind among the first 1,000 jobs is registered";
        return GateAnswer::open(Gate::NoWorker, detail);
    }
    let detail = format!(
        "no live worker of the queue has registered {}",
        unknown.join(", ")
    );
    GateAnswer::closed(Gate::NoWorker, detail)
}

fn backlog(view: &View, ready: i64) -> GateAnswer {
    let starts = view.decision.start.len();
    let next = match starts {
        0 => "a claim now starts nothing".to_owned(),
        starts => format!("the next claim starts {starts}"),
    };
    let detail = format!(
        "{} ready; {} of {} slots are in use; {next}",
        counted_with_verb(ready, ["is", "are"]),
        view.running,
        view.slots
    );
    if i64::try_from(starts).unwrap_or(i64::MAX) < ready {
        GateAnswer::closed(Gate::Backlog, detail)
    } else {
        GateAnswer::open(Gate::Backlog, detail)
    }
}
