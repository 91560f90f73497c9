//! A claim where limits are to be kept: one transaction that waits for its turn, sees what is next, starts what nothing
//! keeps, and notes on the rest what keeps it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{
    decide::{Candidate, Decision, decide},
    survey::{Look, Standing, Survey},
};
use crate::store::{
    claim::{Claim, ClaimedRow, these},
    gates::{self, Notes, rows::Group},
};

/// When to look again after others were at the same jobs: they may be for long.
const CROWDED: Duration = Duration::from_millis(50);
/// Most jobs that claims go around because somebody else has them locked, and for how long before they try again.
const MOST_LOCKED: usize = 1_000;
const LONGEST_AROUND: Duration = Duration::from_millis(250);

/// What claims of a queue have seen since its feeder woke.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// How far the parked jobs have been seen: a claim sees to a bounded number of them.
    parked: Option<Group>,
    /// Jobs that were to start and that somebody else has locked, such as whoever enqueues behind one of them and has not
    /// committed: others have their turn meanwhile.
    locked: HashSet<Uuid>,
    /// When the first of them was met.
    locked_since: Option<Instant>,
}

impl Sweep {
    fn behind(&self) -> (&str, &str) {
        self.parked
            .as_ref()
            .map_or(("", ""), |group| (group.gate.as_str(), group.what.as_str()))
    }

    /// What was locked some time ago may be free, also where the feeder has not slept since.
    fn try_locked_again(&mut self) {
        let since = self.locked_since;
        if since.is_some_and(|since| since.elapsed() >= LONGEST_AROUND) {
            self.locked.clear();
            self.locked_since = None;
        }
    }

    /// Has the next claims go around the jobs that were to start and did not. Tells whether there are any, so that
    /// another claim may give others.
    fn go_around(&mut self, survey: &Survey, decision: &Decision, rows: &[ClaimedRow]) -> bool {
        if rows.len() >= decision.start.len() || self.locked.len() >= MOST_LOCKED {
            return false;
        }
        self.locked_since.get_or_insert_with(Instant::now);
        let started: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let chosen = decision.start.iter();
        let chosen = chosen.filter_map(|place| Some(survey.candidates.get(*place)?.id));
        self.locked
            .extend(chosen.filter(|id| !started.contains(id)));
        true
    }
}

/// What a claim is for.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) claim: &'a Claim<'a>,
    /// How many jobs are wanted.
    pub(crate) most: usize,
}

impl Ask<'_> {
    fn look<'l>(&'l self, sweep: &'l Sweep) -> Look<'l> {
        Look {
            queue: self.claim.queue,
            kinds: self.claim.kinds,
            most: self.most,
            spare: sweep.locked.len(),
            behind: sweep.behind(),
            takes_turn: true,
        }
    }
}

/// What a claim gave.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    pub(crate) rows: Vec<ClaimedRow>,
    /// The next claim may give more.
    pub(crate) goes_on: bool,
    /// When the next one may, where nothing but time is in the way.
    pub(crate) wait: Option<Duration>,
}

/// Claims what may start of a queue.
pub(crate) async fn claim(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    sweep: &mut Sweep,
) -> Result<Claimed, sqlx::Error> {
    sweep.try_locked_again();
    let mut tx = conn.begin_with(gates::BEGIN).await?;
    let mut survey = Survey::make(&mut tx, ask.look(sweep)).await?;
    let candidates = &mut survey.candidates;
    candidates.retain(|job| !sweep.locked.contains(&job.id));
    let decision = decide(&survey.candidates, &survey.facts, survey.room);
    let noted = park(&mut tx, ask.claim.queue, &survey.candidates, &decision).await?;
    let Some(rows) = start(&mut tx, ask.claim, &survey, &decision).await? else {
        tx.rollback().await?;
        return Ok(Claimed {
            goes_on: true,
            ..Claimed::default()
        });
    };
    let has_more_parked = survey.seen_to.is_some();
    sweep.parked = survey.seen_to.take();
    let last = decision.start.last();
    let line = last.and_then(|place| survey.candidates.get(*place)?.line.clone());
    remember(
        &mut tx,
        ask.claim.queue,
        survey.standing.as_mut(),
        &rows,
        line,
    )
    .await?;
    tx.commit().await?;
    let has_others = sweep.go_around(&survey, &decision, &rows);
    let is_crowded = !sweep.locked.is_empty() || noted < decision.park.len();
    Ok(Claimed {
        goes_on: !rows.is_empty() || noted > 0 || has_more_parked || has_others,
        wait: if is_crowded {
            Some(CROWDED)
        } else {
            survey.standing.as_ref().and_then(until_room)
        },
        rows,
    })
}

/// Claims jobs of a kind and key that may start with another one of theirs.
pub(crate) async fn mates(
    conn: &mut PgConnection,
    ask: &Ask<'_>,
    kind_and_key: (&str, &str),
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    let mut tx = conn.begin_with(gates::BEGIN).await?;
    let mut survey = Survey::of_mates(&mut tx, ask.look(&Sweep::default()), kind_and_key).await?;
    let decision = decide(&survey.candidates, &survey.facts, survey.room);
    let Some(rows) = start(&mut tx, ask.claim, &survey, &decision).await? else {
        tx.rollback().await?;
        return Ok(Vec::new());
    };
    let standing = survey.standing.as_mut();
    // They come along with another one's turn.
    let line = standing.as_ref().and_then(|it| it.fair_last.clone());
    remember(&mut tx, ask.claim.queue, standing, &rows, line).await?;
    tx.commit().await?;
    Ok(rows)
}

/// Tells on how many jobs something was noted.
async fn park(
    tx: &mut Transaction<'_, Postgres>,
    queue: &str,
    candidates: &[Candidate],
    decision: &Decision,
) -> Result<usize, sqlx::Error> {
    let mut notes = Notes::default();
    for (place, note) in &decision.park {
        let Some(candidate) = candidates.get(*place) else {
            continue;
        };
        notes.ids.push(candidate.id);
        notes.gates.push(note.gate().as_str());
        notes.what.push(note.what());
    }
    if notes.ids.is_empty() {
        return Ok(0);
    }
    let noted = gates::park(&mut **tx, queue, &notes).await?;
    Ok(usize::try_from(noted).unwrap_or(usize::MAX))
}

/// Starts what was decided; `None` where somebody replaced a job after it was seen, so that it has another key: nothing of
/// the claim may be kept then.
async fn start(
    tx: &mut Transaction<'_, Postgres>,
    ask: &Claim<'_>,
    survey: &Survey,
    decision: &Decision,
) -> Result<Option<Vec<ClaimedRow>>, sqlx::Error> {
    let starting: Vec<&Candidate> = decision
        .start
        .iter()
        .filter_map(|place| survey.candidates.get(*place))
        .collect();
    if starting.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let ids: Vec<_> = starting.iter().map(|job| job.id).collect();
    let placed: Vec<String> = survey.facts.keyed_kinds().map(str::to_owned).collect();
    let rows = these(&mut **tx, ask, &ids, &placed).await?;
    let keys: HashMap<_, _> = starting.iter().map(|job| (job.id, &job.key)).collect();
    let is_as_seen = |row: &ClaimedRow| keys.get(&row.id).is_some_and(|key| **key == row.key);
    Ok(rows.iter().all(is_as_seen).then_some(rows))
}

/// Keeps what was used of the limits of the queue.
async fn remember(
    tx: &mut Transaction<'_, Postgres>,
    queue: &str,
    standing: Option<&mut Standing>,
    rows: &[ClaimedRow],
    line: Option<String>,
) -> Result<(), sqlx::Error> {
    let (Some(standing), Some(first)) = (standing, rows.first()) else {
        return Ok(());
    };
    if standing.window.is_none() && !standing.is_fair {
        return Ok(());
    }
    let mut kept = (Vec::new(), Vec::new());
    if let Some(window) = &mut standing.window {
        let starts = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        window.started(starts, first.claimed_at);
        kept = window.to_keep();
    }
    if standing.is_fair {
        standing.fair_last = line;
    }
    let (times, starts) = &kept;
    let last = standing.fair_last.as_deref();
    gates::remember_turn(&mut **tx, queue, (times, starts), last).await
}

/// How long until the rate lets another attempt start, where it does not now.
fn until_room(standing: &Standing) -> Option<Duration> {
    let opens_at = standing.window.as_ref()?.opens_at()?;
    Some((opens_at - standing.now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fails when a feeder that never sleeps goes around a job for ever.
    #[test]
    fn a_job_that_was_locked_is_tried_again() {
        let mut sweep = Sweep {
            locked: HashSet::from([Uuid::nil()]),
            locked_since: Some(Instant::now()),
            ..Sweep::default()
        };

        sweep.try_locked_again();
        let early = sweep.locked.len();
        sweep.locked_since = Instant::now().checked_sub(LONGEST_AROUND);
        sweep.try_locked_again();

        assert_eq!((early, sweep.locked.len()), (1, 0));
    }
}
