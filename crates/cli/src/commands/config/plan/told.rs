//! A plan as people read it: first what loses or kills work, then what is worth knowing, then all that changes.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use queue::{
    ConfigPlan,
    config::Origin,
    plan::{
        AttemptsPlan, Change, Counted, Deletion, Drain, Kept, Limit, Outlook, OverLimit, QueuePlan,
        SchedulePlan, Setting, TimeoutPlan, Unclaimed, Unlimited, WhyUnclaimed,
    },
};

use crate::output::{LONGEST_TEXT, Table, one_line, words::or_dash};

/// Seconds from which on a span is told in days.
const LEAST_IN_DAYS: u64 = 2 * 86_400;

pub(super) fn told(plan: &ConfigPlan) -> String {
    let with = match plan.revision {
        Some(revision) => format!("revision {revision}"),
        None => "the built-in defaults".to_owned(),
    };
    if plan.is_empty() {
        return format!("nothing changes against {with}\n");
    }
    let changes = plan.changes.len();
    let mut page = Page::default();
    page.line(&format!(
        "compared with {with}: {} with other values",
        many(changes, "key")
    ));
    page.section("loses or kills work", harms(plan));
    page.section("worth knowing", remarks(plan));
    page.section("changes", lines_of(changed(plan), changes));
    page.section("new sections", plan.added_sections.clone());
    page.section("sections that are gone", plan.removed_sections.clone());
    page.section("queues", lines_of(queues(plan), plan.queues.len()));
    let schedules = lines_of(schedules(plan), plan.schedules.len());
    page.section("schedules, in the next 24 hours", schedules);
    page.section("assumed", plan.notes.clone());
    page.0
}

/// Text that grows by lines.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(&one_line(text, LONGEST_TEXT));
        self.0.push('\n');
    }

    /// Lines under a title; nothing where there are none.
    fn section(&mut self, title: &str, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        self.0.push('\n');
        self.line(title);
        for line in lines {
            self.line(&format!("  {line}"));
        }
    }
}

/// A table's lines, where it has rows.
fn lines_of(table: impl fmt::Display, rows: usize) -> Vec<String> {
    if rows == 0 {
        return Vec::new();
    }
    table.to_string().lines().map(str::to_owned).collect()
}

fn harms(plan: &ConfigPlan) -> Vec<String> {
    let attempts = plan.attempts.iter().flat_map(fewer_attempts);
    let deletions = plan.deletions.iter().map(deletion);
    let unclaimed = plan.unclaimed.iter().filter(|jobs| jobs.is_new);
    let stopping = plan.schedules.iter().filter(|schedule| schedule.stops);
    attempts
        .chain(deletions)
        .chain(unclaimed.map(no_worker))
        .chain(stopping.map(stopped))
        .collect()
}

fn remarks(plan: &ConfigPlan) -> Vec<String> {
    let left = plan.unclaimed.iter().filter(|jobs| !jobs.is_new);
    let restart = plan.changes.iter().filter(|change| change.restart);
    let hidden = plan.changes.iter().filter_map(hidden);
    let lost = plan.lost_overrides.iter().map(|lost| {
        let (key, problem) = (&lost.setting.key, &lost.problem);
        format!("the override of {key} loses its effect: {problem}")
    });
    let warnings = plan.warnings.iter();
    let uncounted = (plan.jobs_counted != Counted::Exact).then(|| {
        "a million jobs were counted, and there are more: numbers of jobs are at least so many"
            .to_owned()
    });
    plan.queues
        .iter()
        .filter_map(swamped)
        .chain(plan.queues.iter().filter_map(held))
        .chain(plan.over_limits.iter().map(over_limit))
        .chain(plan.unlimited.iter().map(unlimited))
        .chain(plan.timeouts.iter().map(timeout))
        .chain(left.map(no_worker))
        .chain(
            restart.map(|change| format!("{} takes effect when processes start anew", change.key)),
        )
        .chain(hidden)
        .chain(lost)
        .chain(warnings.map(|problem| format!("{problem} (warning)")))
        .chain(uncounted)
        .collect()
}

fn fewer_attempts(plan: &AttemptsPlan) -> Vec<String> {
    let AttemptsPlan {
        kind,
        before,
        after,
        last_chance,
        used_up,
        running,
    } = plan;
    let mut lines = Vec::new();
    if *last_chance > 0 {
        let all_the_same = match used_up {
            0 => String::new(),
            used_up => format!("; {used_up} have used {after} or more and still get it"),
        };
        let jobs = many(last_chance, "waiting job");
        lines.push(format!(
            "{jobs} of {kind}: dead letters if the next attempt fails (max_attempts {before} → {after}{all_the_same})"
        ));
    }
    if *running > 0 {
        let jobs = many(running, "running job");
        lines.push(format!(
            "{jobs} of {kind}: dead letters at once if the worker is lost (max_attempts {before} → {after})"
        ));
    }
    lines
}

fn deletion(plan: &Deletion) -> String {
    let about = match plan.counted {
        Counted::Exact => "",
        Counted::AtLeast => "at least ",
        Counted::Estimate => "about ",
    };
    let times = moved(lasting(plan.before_seconds), lasting(plan.after_seconds));
    let what = match (plan.of, &plan.kind) {
        (Kept::FinishedJobs, Some(kind)) => format!(
            "{} of {kind} (retain_succeeded {times})",
            many(plan.rows, "finished job")
        ),
        (Kept::FinishedJobs, None) => format!(
            "{} of kinds that no configuration has (longest retain_succeeded {times})",
            many(plan.rows, "finished job")
        ),
        (Kept::DeadLetters, _) => format!(
            "{}, {} of them open (retain in [dead_letters] {times})",
            many(plan.rows, "dead letter"),
            plan.open.unwrap_or_default()
        ),
    };
    format!("deleted within minutes: {about}{what}")
}

fn no_worker(plan: &Unclaimed) -> String {
    let Unclaimed {
        queue, kind, jobs, ..
    } = plan;
    let kind = kind.as_deref().unwrap_or("any kind");
    let jobs = many(jobs, "waiting job");
    match plan.why {
        WhyUnclaimed::QueueGone => {
            format!("{jobs} in {queue}, a queue that is gone: no worker takes them")
        }
        WhyUnclaimed::KindGone => format!(
            "{jobs} of {kind} in {queue}, a kind that is gone: processes that start anew take none of them"
        ),
        WhyUnclaimed::NoWorker => {
            format!("new jobs of {kind} wait in {queue}, where no process works")
        }
    }
}

fn stopped(plan: &SchedulePlan) -> String {
    let name = &plan.schedule;
    let first = plan.lost.first().copied().or(plan.next_before);
    let first = or_dash(first.map(moment));
    match plan.ticks_before {
        0 => format!("schedule {name} stops: its next tick would have been {first}"),
        ticks => format!(
            "schedule {name} stops: it would have had {} in the next 24 hours, the first at {first}",
            many(ticks, "tick")
        ),
    }
}

/// A queue that gets more than it can do, and did not before.
fn swamped(plan: &QueuePlan) -> Option<String> {
    let has = |outlook: &Option<Outlook>| {
        let drain = outlook.as_ref().map(|outlook| outlook.drain);
        drain == Some(Drain::Never)
    };
    let after = plan.after.as_ref()?;
    let capacity = after.capacity_per_second?;
    (has(&plan.after) && !has(&plan.before)).then(|| {
        format!(
            "{} grows: {} jobs arrive in a second and {capacity} can be done",
            plan.queue, after.arrivals_per_second
        )
    })
}

fn held(plan: &QueuePlan) -> Option<String> {
    let held = many(plan.held, "ready job");
    (plan.held > 0).then(|| {
        format!(
            "{held} of {} wait for a held account or a dry budget, and are not reckoned with",
            plan.queue
        )
    })
}

fn unlimited(plan: &Unlimited) -> String {
    format!(
        "{} of {} have no key, so the limit per key does not hold for them: a key is found when a job is enqueued",
        many(plan.jobs, "waiting job"),
        plan.kind
    )
}

fn over_limit(plan: &OverLimit) -> String {
    let OverLimit { of, most, now, .. } = plan;
    let limit = plan.limit.as_str();
    match plan.limit {
        Limit::MaxReady => format!(
            "{of} has {} of {limit} = {most}: enqueues are refused until there are fewer",
            many(now, "ready job")
        ),
        Limit::Concurrency => format!(
            "{of} runs {}, more than the {most} that {limit} allows to its processes: none is stopped, their number falls as \
             they end",
            many(now, "job")
        ),
        Limit::GlobalConcurrency => format!(
            "{of} runs {}, more than {limit} = {most}: none is stopped, their number falls as they end",
            many(now, "job")
        ),
        Limit::Rate => format!(
            "{of} has started {} within the span of its new {limit}, which allows {most}: none begins until enough of them \
             are a span ago",
            many(now, "attempt")
        ),
        Limit::Daily => {
            let whose = match plan.keys {
                Some(accounts) => format!(" (the most of {})", many(accounts, "account")),
                None => String::new(),
            };
            format!(
                "{} count against {of}{whose}, and its new {limit} gives {most} to jobs of ordinary priority: they wait until \
                 enough count no more",
                many(now, "call")
            )
        }
        Limit::PerKeyConcurrency => format!(
            "{of} has {} with more than {limit} = {most} running, together {}: none is stopped, their number falls as they \
             end",
            many(plan.keys.unwrap_or_default(), "key"),
            many(now, "job")
        ),
    }
}

fn timeout(plan: &TimeoutPlan) -> String {
    format!(
        "{:.0} % of the attempts of {} took longer than its new timeout ({}; of 100 that succeeded 95 took at most {}): {} \
         still to be done",
        plan.share_over * 100.0,
        plan.kind,
        moved(lasting(plan.before_seconds), lasting(plan.after_seconds)),
        lasting(plan.p95_run_seconds),
        many(plan.jobs, "job"),
    )
}

fn hidden(change: &Change) -> Option<String> {
    let hidden = change.hidden_by.as_ref()?;
    Some(format!(
        "{} is overridden by {} until {}: the change takes effect then",
        change.key,
        hidden.author,
        moment(hidden.until)
    ))
}

fn changed(plan: &ConfigPlan) -> Table<4> {
    let mut table = Table::new(["key", "before", "after", "from"], "");
    let value = |setting: &Option<Setting>| or_dash(setting.as_ref().map(|setting| &setting.value));
    for change in &plan.changes {
        let from = match change.after.as_ref().map(|setting| &setting.origin) {
            Some(Origin::File { line, column }) => format!("{line}:{column}"),
            Some(Origin::BuiltIn) => "built in".to_owned(),
            Some(Origin::Override { author, .. }) => format!("override by {author}"),
            None => "-".to_owned(),
        };
        let also = match change.inherited_by.len() {
            0 => String::new(),
            keys => format!(", and {} that inherit it", many(keys, "key")),
        };
        table.row([
            change.key.clone(),
            value(&change.before),
            value(&change.after),
            format!("{from}{also}"),
        ]);
    }
    table
}

fn queues(plan: &ConfigPlan) -> Table<8> {
    let mut table = Table::new(
        [
            "queue",
            "ready",
            "running",
            "scheduled",
            "retrying",
            "slots",
            "arrive/s",
            "done in",
        ],
        "",
    );
    for queue in &plan.queues {
        let both = |of: fn(&Outlook) -> String| {
            let of = |outlook: &Option<Outlook>| or_dash(outlook.as_ref().map(of));
            moved(of(&queue.before), of(&queue.after))
        };
        table.row([
            queue.queue.clone(),
            queue.ready.to_string(),
            queue.running.to_string(),
            queue.scheduled.to_string(),
            queue.retrying.to_string(),
            both(|outlook| outlook.slots.to_string()),
            both(|outlook| format!("{:.1}", outlook.arrivals_per_second)),
            both(drain),
        ]);
    }
    table
}

fn drain(outlook: &Outlook) -> String {
    match outlook.drain {
        Drain::Empty => "no work".to_owned(),
        Drain::Drains => lasting(outlook.drain_seconds.unwrap_or_default()),
        Drain::Never => "never".to_owned(),
        Drain::Paused => "paused".to_owned(),
        Drain::NoWorker => "no worker".to_owned(),
        Drain::Held => "held".to_owned(),
        Drain::NotMeasured => "not measured".to_owned(),
    }
}

fn schedules(plan: &ConfigPlan) -> Table<5> {
    let mut table = Table::new(["schedule", "", "ticks", "next", "no more at"], "");
    for schedule in &plan.schedules {
        let cut = if schedule.is_cut { "+" } else { "" };
        let count = |ticks: usize| format!("{ticks}{cut}");
        let change = schedule.change.as_str();
        let lost: Vec<String> = schedule.lost.iter().copied().map(moment).collect();
        table.row([
            schedule.schedule.clone(),
            if schedule.is_paused {
                format!("{change}, paused")
            } else {
                change.to_owned()
            },
            moved(count(schedule.ticks_before), count(schedule.ticks_after)),
            moved(
                or_dash(schedule.next_before.map(moment)),
                or_dash(schedule.next_after.map(moment)),
            ),
            or_dash((!lost.is_empty()).then(|| lost.join(", "))),
        ]);
    }
    table
}

/// From the one to the other, or the one where nothing changes.
fn moved(before: String, after: String) -> String {
    if before == after {
        before
    } else {
        format!("{before} → {after}")
    }
}

/// So many of them, in words.
fn many(count: impl fmt::Display, what: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A span of seconds in the two largest units that it fills: before and after are often close to each other.
pub(super) fn lasting(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 1.0 {
        return "under 1s".to_owned();
    }
    let whole = seconds.round().max(0.0) as u64;
    let ((large, size), (small, part)) = match whole {
        ..60 => return format!("{whole}s"),
        60..3_600 => (("m", 60), ("s", 1)),
        3_600..LEAST_IN_DAYS => (("h", 3_600), ("m", 60)),
        _ => (("d", 86_400), ("h", 3_600)),
    };
    let largest = format!("{}{large}", whole / size);
    match whole % size / part {
        0 => largest,
        rest => format!("{largest} {rest}{small}"),
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
