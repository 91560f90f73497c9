//! What a claim sees: how its queue stands, which jobs are next, and what their gates stand on. To explain is to see the
//! same and to change nothing.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    decide::Candidate,
    facts::Facts,
    note::Note,
    turns::{Place, by_turns, candidate, in_order, place},
    window::Window,
};
use crate::store::gates::{
    self,
    rows::{self, Group, Lines, Opened, ReadyRow},
};

/// Groups of parked jobs that one look takes in; `store` has the same number.
pub(super) const GROUPS: usize = 200;
/// Parked jobs that one look takes in, and those of one group.
const BEHIND: usize = 2_000;
const BEHIND_ONE: usize = 100;

/// Where to look, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) queue: &'a str,
    /// Jobs of other kinds are left to other workers.
    pub(crate) kinds: &'a [String],
    /// How many jobs are wanted.
    pub(crate) most: usize,
    /// How many jobs may be among the first that are not wanted.
    pub(crate) spare: usize,
    /// The group of parked jobs behind which to go on.
    pub(crate) behind: (&'a str, &'a str),
    /// Whether to wait for the turn of a claim: without it another one may change everything meanwhile.
    pub(crate) takes_turn: bool,
}

/// How a queue stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) is_paused: bool,
    /// Attempts that run, counted up to how many may, and how many may.
    pub(crate) places: Option<(usize, usize)>,
    pub(crate) window: Option<Window>,
    pub(crate) is_fair: bool,
    /// The line that had the last turn.
    pub(crate) fair_last: Option<String>,
    /// The first priority that any job has which nothing keeps.
    first_priority: Option<i16>,
    /// Whether there are jobs that a gate has kept.
    has_parked: bool,
    /// By the database's clock.
    pub(crate) now: DateTime<Utc>,
}

impl Standing {
    pub(crate) async fn read(
        conn: &mut PgConnection,
        queue: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        let row = gates::queue(conn, queue).await?;
        Ok(row.map(|row| {
            let count = |number: i32| u32::try_from(number).unwrap_or(0);
            let starts = row.rate_times.into_iter();
            let starts = starts.zip(row.rate_starts.into_iter().map(count));
            let rate = row.rate_count.map(count).zip(row.rate_per_seconds);
            let places = row.global_concurrency.map(|places| {
                let running = usize::try_from(row.running).unwrap_or(usize::MAX);
                (running, usize::try_from(places).unwrap_or(0))
            });
            Self {
                is_paused: row.is_paused,
                places,
                window: rate.map(|rate| Window::new(rate, starts, row.now)),
                is_fair: row.is_fair,
                fair_last: row.fair_last,
                first_priority: row.first_priority,
                has_parked: row.has_parked,
                now: row.now,
            }
        }))
    }

    /// How many attempts may start now.
    pub(crate) fn room(&self) -> usize {
        if self.is_paused {
            return 0;
        }
        let places = self
            .places
            .map(|(running, places)| places.saturating_sub(running));
        let rate = self
            .window
            .as_ref()
            .map(|window| usize::try_from(window.room()).unwrap_or(usize::MAX));
        [places, rate]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(usize::MAX)
    }
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Survey {
    /// `None`: no process ever told of such a queue, so nothing limits it.
    pub(crate) standing: Option<Standing>,
    /// How many of the candidates may start, at most.
    pub(crate) room: usize,
    /// In the order in which they are to start.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) facts: Facts,
    /// The last group of parked jobs that was seen; `None`: there is none behind it.
    pub(crate) seen_to: Option<Group>,
}

impl Survey {
    /// Looks at what is next in a queue.
    pub(crate) async fn make(conn: &mut PgConnection, look: Look<'_>) -> Result<Self, sqlx::Error> {
        let mut survey = Self::begin(&mut *conn, look).await?;
        if survey.room == 0 {
            return Ok(survey);
        }
        let (queue, kinds) = (look.queue, look.kinds);
        let seen = survey.room.saturating_add(look.spare);
        let standing = survey.standing.as_ref();
        let groups = if standing.is_none_or(|it| it.has_parked) {
            rows::groups(&mut *conn, queue, look.behind).await?
        } else {
            Vec::new()
        };
        let is_fair = standing.is_some_and(|it| it.is_fair);
        let fair_last = standing.and_then(|it| it.fair_last.clone());
        let first = standing.and_then(|it| it.first_priority);
        let (mut ready, end) = if is_fair {
            in_lines(&mut *conn, look, (first, fair_last.as_deref()), seen).await?
        } else {
            let first = rows::first(&mut *conn, queue, kinds, seen).await?;
            let last = first.rows.last().filter(|_| first.is_cut);
            let end = last.map(End::behind);
            (first.rows, end)
        };
        let last = groups.last().filter(|_| groups.len() >= GROUPS).cloned();
        let groups = noted(groups, kinds);
        survey
            .wait_for_strays(&mut *conn, look, &ready, &groups)
            .await?;
        let (opened, opened_to) = survey.open(&mut *conn, &groups, look.spare).await?;
        if !opened.gates.is_empty() {
            let behind = rows::behind(&mut *conn, queue, kinds, &opened).await?;
            let comes_before = |row: &ReadyRow| end.is_none_or(|end| end.has_before(row));
            ready.extend(behind.into_iter().filter(comes_before));
        }
        survey.seen_to = opened_to.or(last);
        let ordered = if is_fair {
            by_turns(ready, fair_last.as_deref())
        } else {
            in_order(ready)
        };
        survey.take(conn, ordered).await?;
        Ok(survey)
    }

    /// Looks at jobs of one kind and key that are to run in one call with another one.
    pub(crate) async fn of_mates(
        conn: &mut PgConnection,
        look: Look<'_>,
        (kind, key): (&str, &str),
    ) -> Result<Self, sqlx::Error> {
        let mut survey = Self::begin(&mut *conn, look).await?;
        if survey.room == 0 {
            return Ok(survey);
        }
        let most = i64::try_from(survey.room).unwrap_or(i64::MAX);
        let mates = rows::mates(&mut *conn, look.queue, (kind, key), most).await?;
        survey
            .wait_for_strays(&mut *conn, look, &mates, &[])
            .await?;
        survey.take(conn, mates).await?;
        Ok(survey)
    }

    async fn begin(conn: &mut PgConnection, look: Look<'_>) -> Result<Self, sqlx::Error> {
        if look.takes_turn {
            gates::take_turn(&mut *conn, look.queue).await?;
        }
        let facts = Facts::of_kinds(&mut *conn, look.kinds).await?;
        if look.takes_turn {
            let kinds = facts.keyed_kinds();
            let live_here = kinds.filter(|kind| facts.lives_in(kind, look.queue));
            wait_for(&mut *conn, live_here.collect()).await?;
        }
        let standing = Standing::read(conn, look.queue).await?;
        let room = standing.as_ref().map_or(usize::MAX, Standing::room);
        Ok(Self {
            standing,
            room: room.min(look.most),
            candidates: Vec::new(),
            facts,
            seen_to: None,
        })
    }

    /// Waits for the turns of the kinds whose keys have few places, where a job of one was seen that lives elsewhere. What
    /// was seen may be gone by then. Claims of two queues that have such jobs of each other's can meet in a circle: then
    /// one of them is tried again.
    async fn wait_for_strays(
        &self,
        conn: &mut PgConnection,
        look: Look<'_>,
        ready: &[ReadyRow],
        groups: &[(Group, Note)],
    ) -> Result<(), sqlx::Error> {
        if !look.takes_turn {
            return Ok(());
        }
        let is_seen = |kind: &&str| {
            let has_key = ready
                .iter()
                .any(|row| row.key.is_some() && row.kind == *kind);
            has_key || groups.iter().any(|(_, note)| may_be_of(note, kind))
        };
        let kinds = self.facts.keyed_kinds();
        let strays = kinds.filter(|kind| !self.facts.lives_in(kind, look.queue));
        wait_for(conn, strays.filter(is_seen).collect()).await
    }

    /// The groups whose gates let some of their jobs through, and the one behind which there was no time for more.
    async fn open<'g>(
        &mut self,
        conn: &mut PgConnection,
        groups: &'g [(Group, Note)],
        spare: usize,
    ) -> Result<(Opened<'g>, Option<Group>), sqlx::Error> {
        let notes = groups.iter().map(|(_, note)| note);
        self.facts.learn_of_notes(conn, notes).await?;
        let mut opened = Opened::default();
        let mut left = BEHIND;
        for (group, note) in groups {
            let most = self.room.min(BEHIND_ONE);
            let Some(passage) = self.facts.lets_through(note, most) else {
                continue;
            };
            let most = passage.most.saturating_add(spare);
            opened.gates.push(&group.gate);
            opened.what.push(&group.what);
            opened.most.push(i64::try_from(most).unwrap_or(i64::MAX));
            opened.last_priorities.push(passage.last_priority);
            left = left.saturating_sub(most);
            if left == 0 {
                return Ok((opened, Some(group.clone())));
            }
        }
        Ok((opened, None))
    }

    async fn take(
        &mut self,
        conn: &mut PgConnection,
        rows: Vec<ReadyRow>,
    ) -> Result<(), sqlx::Error> {
        self.candidates = rows.into_iter().map(candidate).collect();
        self.facts.learn_of_jobs(conn, &self.candidates).await
    }
}

async fn wait_for(conn: &mut PgConnection, kinds: Vec<&str>) -> Result<(), sqlx::Error> {
    if kinds.is_empty() {
        return Ok(());
    }
    gates::take_turns_of_kinds(conn, &kinds).await
}

/// Where a look ended that did not see all jobs: those behind it wait until what is before them was seen.
#[derive(Debug, Clone, Copy)]
enum End {
    Job(Place),
    Priority(i16),
}

impl End {
    fn behind(row: &ReadyRow) -> Self {
        Self::Job(place(row))
    }

    fn has_before(self, row: &ReadyRow) -> bool {
        match self {
            Self::Job(last) => place(row) <= last,
            Self::Priority(last) => row.priority <= last,
        }
    }
}

/// The first jobs of the lines of a fair queue, at the first priority, from one on, at which there are any that are wanted.
async fn in_lines(
    conn: &mut PgConnection,
    look: Look<'_>,
    (first, last): (Option<i16>, Option<&str>),
    most: usize,
) -> Result<(Vec<ReadyRow>, Option<End>), sqlx::Error> {
    // No tenant's name has a character so low in it: this is the name right behind the last one.
    let from = last.map(|last| format!("{last}\u{1}")).unwrap_or_default();
    let mut next = first;
    let mut found = Vec::new();
    while let Some(priority) = next {
        let lines = |most: usize| Lines {
            queue: look.queue,
            priority,
            from: &from,
            kinds: look.kinds,
            most: i64::try_from(most).unwrap_or(i64::MAX),
        };
        let here = rows::lines(&mut *conn, lines(most)).await?;
        let left = most.saturating_sub(here.len());
        found.extend(here);
        if left > 0 {
            found.extend(rows::unmarked(&mut *conn, lines(left)).await?);
        }
        if found.len() > look.spare {
            return Ok((found, Some(End::Priority(priority))));
        }
        next = rows::next_priority(&mut *conn, look.queue, priority).await?;
    }
    Ok((found, None))
}

/// Groups with what is noted on their jobs. Those of other kinds, and those that nobody here understands, are left alone.
fn noted(groups: Vec<Group>, kinds: &[String]) -> Vec<(Group, Note)> {
    let groups = groups.into_iter();
    let noted = groups.filter_map(|group| {
        let note = Note::read(&group.gate, &group.what)?;
        let is_ours = kinds.iter().any(|kind| may_be_of(&note, kind));
        is_ours.then_some((group, note))
    });
    noted.collect()
}

/// Whether jobs with this note may be of this kind.
fn may_be_of(note: &Note, kind: &str) -> bool {
    note.kind().is_none_or(|of| of == kind)
}
