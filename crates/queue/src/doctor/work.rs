//! The work itself: jobs that nobody can take, leases that nobody renews, schedules that nobody looks at.

use super::{Finding, Limits, words::lasting};
use crate::{
    Queue,
    db::{DatabaseError, within},
    store::{
        doctor::fleet::{self, Late, Refused},
        stats::{self, Counted},
    },
};

/// The leader looks at every schedule once a minute, and a new leader is found within seconds.
pub(super) const SCHEDULE_SECONDS: f64 = 120.0;

pub(super) async fn look(queue: &Queue, limits: &Limits) -> Result<Vec<Finding>, DatabaseError> {
    let config = queue.config();
    let ttl_seconds = config.lease.ttl.as_secs_f64();
    // Nobody looks at these: their rows are from a pause, or from a release that had their kinds.
    let without_kind = config.schedules.iter();
    let without_kind: Vec<String> = without_kind
        .filter(|(_, schedule)| !queue.shared.has_kind(&schedule.kind))
        .map(|(name, _)| name.clone())
        .collect();
    let mut session = queue.database().request().await?;
    let read = within(async {
        let unclaimable = stats::unclaimable(session.conn(), ttl_seconds).await?;
        let stuck = fleet::stuck_leases(session.conn(), ttl_seconds).await?;
        let late =
            fleet::late_schedules(session.conn(), limits.schedule_seconds, &without_kind).await?;
        let refused = fleet::refused_ticks(session.conn()).await?;
        Ok((unclaimable, stuck, late, refused))
    })
    .await;
    let (unclaimable, stuck, late, refused) = session.end(read)?;
    let mut findings = super::or_ok(
        unclaimable.iter().map(unknown).collect(),
        "kinds",
        "every ready job has a worker that knows its kind",
    );
    findings.push(leases(stuck));
    let schedules = late
        .iter()
        .map(forgotten)
        .chain(refused.iter().map(without_job));
    findings.extend(super::or_ok(
        schedules.collect(),
        "schedules",
        "each is looked at, and none is refused its job",
    ));
    Ok(findings)
}

fn unknown(kind: &Counted) -> Finding {
    Finding::warning(
        "kinds",
        format!(
            "{} ready jobs of kind {} have no worker that knows it",
            kind.count, kind.word
        ),
        "they wait until one does",
        "start a `millpond serve --roles worker` of a release that has the kind, or declare its target in jobs.toml",
    )
}

fn leases(stuck: i64) -> Finding {
    if stuck == 0 {
        return Finding::ok("leases", "none has run out unnoticed");
    }
    Finding::error(
        "leases",
        format!("{stuck} jobs are under leases that ran out long ago"),
        "their workers died and nobody takes the jobs back",
        "start a process with the role scheduler or worker",
    )
}

fn forgotten(late: &Late) -> Finding {
    Finding::error(
        "schedules",
        format!(
            "nobody has looked at schedule {} for {}",
            late.schedule,
            lasting(late.seconds)
        ),
        "its ticks get no jobs until somebody does; what becomes of missed ones, its misfire says",
        "start a process with the role scheduler; if one runs, its log says what holds it up",
    )
}

fn without_job(refused: &Refused) -> Finding {
    let Refused { schedule, detail } = refused;
    Finding::warning(
        "schedules",
        format!(
            "the latest tick of schedule {schedule} was refused its job: {}",
            detail.as_deref().unwrap_or("nobody knows why")
        ),
        "what it is there for is not done",
        format!(
            "correct its section in jobs.toml, then run `millpond schedules trigger {schedule}`"
        ),
    )
}
