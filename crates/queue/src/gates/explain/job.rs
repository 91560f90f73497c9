//! What is told of a job.

use chrono::DateTime;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    COUNTED, Explanation, Gate, GateAnswer, View, answers::counted, estimate::Pace, holders::Places,
};
use crate::{
    gates::{
        decide::{Candidate, Starting},
        note::Note,
    },
    job::JobState,
    store::gates::fleet::{self, LiveRow, PlaceRow},
};

/// What is told of a job that does not wait any more.
pub(super) fn ended(state: String) -> Explanation {
    Explanation {
        state,
        runnable: false,
        gates: Vec::new(),
        ahead: 0,
        expected_start: None,
    }
}

/// What is told of a job that has not ended.
pub(super) async fn explain(
    conn: &mut PgConnection,
    mut view: View,
    (id, job): (Uuid, LiveRow),
    tenant: Option<&str>,
) -> Result<Explanation, sqlx::Error> {
    if job.state == JobState::Running.as_str() {
        return Ok(ended(job.state));
    }
    let is_ready = job.state == JobState::Ready.as_str();
    let subject = Subject::of(id, &job, tenant);
    // Where no live worker knows the kind its limits are told all the same.
    let facts = &mut view.survey.facts;
    facts
        .learn_rules(&mut *conn, std::slice::from_ref(&job.kind))
        .await?;
    facts
        .learn_of_jobs(&mut *conn, std::slice::from_ref(&subject.candidate))
        .await?;
    let ahead = if is_ready {
        subject.ahead(&mut *conn, &view).await?
    } else {
        0
    };
    let before = Before::of(&view, id);
    let (key_limit, of_key) = subject
        .key_limit(&mut *conn, &view, &before.starting)
        .await?;
    let mut gates = vec![
        view.queue_paused(),
        not_due(&job, is_ready),
        view.queue_full(),
        view.queue_rate(),
        key_limit,
        subject.budget(&view),
        subject.account_held(&view),
        no_worker(&view, &job.kind),
    ];
    let is_kept = gates.iter().any(|gate| gate.blocking);
    let runnable = is_ready && before.starts_it;
    gates.push(backlog(&view, is_ready && !is_kept && !runnable, ahead));
    let pace = Pace {
        now: job.now,
        usual_seconds: fleet::usual_seconds(conn, &job.kind).await?,
        lanes: view.lanes(),
        before: ahead + view.running,
        of_key,
    };
    let is_told = tenant.is_none() || !depends_on_others(&gates);
    Ok(Explanation {
        state: job.state,
        runnable,
        expected_start: pace.start(&gates).filter(|_| is_told),
        gates,
        ahead,
    })
}

/// Whether it is the jobs of others, which a tenant is not told of, that make this one wait.
fn depends_on_others(gates: &[GateAnswer]) -> bool {
    gates.iter().any(|gate| {
        let is_shared = matches!(gate.gate, Gate::QueueFull | Gate::KeyLimit | Gate::Backlog);
        gate.blocking && is_shared
    })
}

/// What the next claim does before it comes to a job.
struct Before<'v> {
    starting: Starting<'v>,
    /// Whether it starts the job then.
    starts_it: bool,
}

impl<'v> Before<'v> {
    fn of(view: &'v View, id: Uuid) -> Self {
        let mut starting = Starting::default();
        for candidate in view.starts() {
            if candidate.id == id {
                return Self {
                    starting,
                    starts_it: true,
                };
            }
            starting.add(candidate);
        }
        Self {
            starting,
            starts_it: false,
        }
    }
}

/// The job that is explained, and to whom.
struct Subject<'a> {
    candidate: Candidate,
    place: PlaceRow,
    tenant: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn of(id: Uuid, job: &LiveRow, tenant: Option<&'a str>) -> Self {
        let candidate = Candidate {
            id,
            kind: job.kind.clone(),
            key: job.key.clone(),
            account: job.account.clone(),
            priority: job.priority,
            line: job.fair.clone(),
            parked: None,
        };
        let place = PlaceRow {
            priority: job.priority,
            run_at: job.run_at,
            id,
        };
        Self {
            candidate,
            place,
            tenant,
        }
    }

    /// How many jobs go first.
    async fn ahead(&self, conn: &mut PgConnection, view: &View) -> Result<i64, sqlx::Error> {
        let whose = (view.kinds.as_slice(), self.tenant);
        let queue = &view.queue;
        let is_fair = view.survey.standing.as_ref().is_some_and(|it| it.is_fair);
        let Some(line) = self.candidate.line.as_deref().filter(|_| is_fair) else {
            return fleet::before(conn, queue, &self.place, whose, COUNTED).await;
        };
        let own = fleet::line(&mut *conn, queue, &self.place, line, COUNTED).await?;
        let beginning = PlaceRow {
            priority: self.place.priority,
            run_at: DateTime::UNIX_EPOCH,
            id: Uuid::nil(),
        };
        let urgent = fleet::before(conn, queue, &beginning, whose, COUNTED).await?;
        let lines = if self.tenant.is_some() { 1 } else { own.lines };
        Ok((urgent + own.before * lines).min(COUNTED))
    }

    /// What is told of its key, and how many jobs of the key go first and run at a time.
    async fn key_limit(
        &self,
        conn: &mut PgConnection,
        view: &View,
        starting: &Starting<'_>,
    ) -> Result<(GateAnswer, (i64, i64)), sqlx::Error> {
        let facts = &view.survey.facts;
        let kind = &self.candidate.kind;
        let open = |detail: &str| (GateAnswer::open(Gate::KeyLimit, detail), (0, 0));
        let Some(most) = facts.rule_of(kind).and_then(|rule| rule.places) else {
            return Ok(open("the kind has no per_key_concurrency"));
        };
        let Some(key) = &self.candidate.key else {
            return Ok(open("the job has no key"));
        };
        let note = Note::KeyLimit {
            kind: kind.clone(),
            key: key.clone(),
        };
        let what = note.what();
        let of_key = (kind.as_str(), key.as_str(), what.as_str());
        let before =
            fleet::before_of_key(&mut *conn, &view.queue, &self.place, of_key, COUNTED).await?;
        let places = Places::of(view, (kind.as_str(), key.as_str()), most, starting);
        let holder = places.holder(conn, view, self.tenant).await?;
        let answer = if places.are_taken() {
            holder.closes(Gate::KeyLimit)
        } else {
            GateAnswer::open(Gate::KeyLimit, holder.detail)
        };
        let before = before + i64::from(facts.taken(kind, key));
        Ok((answer, (before, most.into())))
    }

    fn budget(&self, view: &View) -> GateAnswer {
        let facts = &view.survey.facts;
        let account = self.candidate.account.as_deref();
        let Some(budget) = facts.budget_of(&self.candidate.kind, account) else {
            return GateAnswer::open(Gate::Budget, "the job draws on no budget");
        };
        match view.dry(budget, account, self.candidate.priority) {
            None => GateAnswer::open(Gate::Budget, format!("the budget {budget} is not used up")),
            Some(holder) => holder.closes(Gate::Budget),
        }
    }

    fn account_held(&self, view: &View) -> GateAnswer {
        let Some(account) = self.candidate.account.as_deref() else {
            return GateAnswer::open(Gate::AccountHeld, "the job names no account");
        };
        match view.held(account) {
            None => GateAnswer::open(Gate::AccountHeld, "nobody holds the account"),
            Some(holder) => holder.closes(Gate::AccountHeld),
        }
    }
}

fn not_due(job: &LiveRow, is_ready: bool) -> GateAnswer {
    if is_ready {
        return GateAnswer::open(Gate::NotDue, "the job is due");
    }
    GateAnswer {
        until: Some(job.run_at),
        ..GateAnswer::closed(Gate::NotDue, "the job waits for its time")
    }
}

fn no_worker(view: &View, kind: &str) -> GateAnswer {
    if view.workers == 0 {
        return GateAnswer::closed(Gate::NoWorker, "no live worker works on the queue");
    }
    if !view.kinds.iter().any(|known| known == kind) {
        let detail = format!("no live worker of the queue has registered {kind}");
        return GateAnswer::closed(Gate::NoWorker, detail);
    }
    let detail = match view.workers {
        1 => "1 worker works on the queue".to_owned(),
        workers => format!("{workers} workers work on the queue"),
    };
    GateAnswer::open(Gate::NoWorker, detail)
}

fn backlog(view: &View, waits_for_others: bool, ahead: i64) -> GateAnswer {
    let slots = format!("{} of {} slots are in use", view.running, view.slots);
    let detail = match (ahead, view.tells_of_all) {
        (0, true) => format!("no other job goes first; {slots}"),
        (ahead, true) => format!("{} may go first; {slots}", counted(ahead)),
        (ahead, false) => format!("{} of the tenant may go first", counted(ahead)),
    };
    if waits_for_others {
        GateAnswer::closed(Gate::Backlog, detail)
    } else {
        GateAnswer::open(Gate::Backlog, detail)
    }
}
