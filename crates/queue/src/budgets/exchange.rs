//! An exchange with the database: one transaction that holds the budget's row, gives back what was not used, tells what
//! the provider said, and leases anew. A process makes one at a time for each budget.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    PATIENCE,
    decision::{Call, Decision, Hindrance, decide},
    limits::Limits,
    stock::{Begun, Dry, Ended, Pause, Report},
    window::slot_of,
};
use crate::{
    db::{Database, DatabaseError, within},
    store::budgets::{self, BudgetKey, BudgetRow, Dryness, Holding, Kept, SlotUsage},
};

/// How long a process that waits for a place counts as waiting.
const WAITS: Duration = Duration::from_secs(2);
/// How long claims are held back after calls waited in vain: as a call gives up after far longer, those that wait
/// already keep the budget busy meanwhile.
const OVERDUE: Duration = Duration::from_secs(3);
/// How long the provider's word means something that names no time.
const TOLD: Duration = Duration::from_secs(5 * 60);
/// The wait where nothing says when calls are forgotten.
const UNKNOWN: Duration = Duration::from_secs(3_600);

/// What holds for an exchange.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    /// How long a place is held without being renewed.
    pub(super) ttl: Duration,
    pub(super) renew_every: Duration,
}

/// Who exchanges, and for which budget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Party<'a> {
    pub(super) key: BudgetKey<'a>,
    pub(super) holder: Uuid,
}

/// How a call fared in an exchange.
#[derive(Debug)]
pub(super) enum Answer {
    /// What it needs is here.
    Granted,
    /// All places are taken.
    NoPlace,
    /// It is worth waiting this long and asking again.
    Later(Duration),
    /// It is not.
    Dry(Dry),
}

/// Makes an exchange.
///
/// # Errors
/// When the database did not take part. What was given back may have been stored, or a lease that nobody will use.
pub(super) async fn exchange(
    db: &Database,
    party: Party<'_>,
    terms: &Terms,
    begun: &Begun,
) -> Result<(Ended, Answer), DatabaseError> {
    let asked_at = Instant::now();
    let mut session = db.engine().await?;
    let exchanged = within(async {
        let mut tx = session.conn().begin().await?;
        let exchanged = settle(&mut tx, party, terms, begun).await?;
        tx.commit().await?;
        Ok(exchanged)
    })
    .await;
    let settled = session.end(exchanged)?;

    let Settled {
        decision,
        slot,
        refusal,
    } = settled;
    let answer = match refusal {
        None => Answer::Granted,
        Some(Refusal::NoPlace) => Answer::NoPlace,
        Some(Refusal::Later(wait)) => Answer::Later(wait),
        Some(Refusal::Dry {
            until,
            detail,
            wait,
        }) => Answer::Dry(Dry {
            until,
            ends: Instant::now() + wait,
            detail,
        }),
    };
    let ended = Ended {
        asked_at,
        places: decision.places,
        holds_until: asked_at + terms.ttl,
        fair_share: decision.fair_share,
        counts: decision.counts,
        lease: decision.lease,
        slot: terms.limits.day.map(|_| slot),
        stays: begun.stays,
    };
    Ok((ended, answer))
}

/// What was stored.
struct Settled {
    decision: Decision,
    slot: DateTime<Utc>,
    refusal: Option<Refusal>,
}

/// How long a call is refused.
enum Refusal {
    NoPlace,
    Later(Duration),
    Dry {
        until: DateTime<Utc>,
        detail: String,
        wait: Duration,
    },
}

async fn settle(
    tx: &mut PgConnection,
    party: Party<'_>,
    terms: &Terms,
    begun: &Begun,
) -> Result<Settled, sqlx::Error> {
    let (key, limits) = (party.key, &terms.limits);
    // First of all: the statements after this one see what was stored by those who held the row before.
    let mut row = budgets::lock(&mut *tx, key).await?;
    give_back(&mut *tx, key, begun).await?;
    heed(&mut row, begun, limits.stop_at);
    let now = row.now;
    let since = limits.day.map_or(now, |limit| limit.day.since(now));
    let draws = budgets::draws(&mut *tx, key, party.holder, since).await?;
    let decision = decide(limits, row, &draws, &begun.ask);

    let dryness = dryness(&decision, limits, begun);
    let slot = slot_of(now);
    let units = decision.lease.map_or(0, |lease| lease.units);
    let units = i64::try_from(units).unwrap_or(i64::MAX);
    let told = dryness.as_ref().map(|(hindrance, _)| hindrance);
    let mut usage = Vec::new();
    if [told, decision.hindrance.as_ref()]
        .iter()
        .flatten()
        .any(|h| matches!(h, Hindrance::Day(_)))
    {
        usage = budgets::usage(&mut *tx, key, since).await?;
        usage.push(SlotUsage { slot, used: units });
    }
    let outlook = Outlook {
        limits,
        now,
        used: decision.used,
        usage: &usage,
    };
    let dryness = dryness.map(|(hindrance, for_urgent)| Dryness {
        until: outlook.until(&hindrance),
        detail: outlook.detail(&hindrance),
        for_urgent,
    });
    let refusal = decision.hindrance.as_ref().map(|h| outlook.refusal(h));

    let kept = Kept {
        key,
        row: &decision.row,
        dry: dryness.as_ref(),
        limits: &limits.text,
        units: limits.day.map_or(0, |_| units),
        slot,
        holding: holding(party.holder, &decision, terms, begun.stays),
    };
    budgets::keep(&mut *tx, &kept).await?;
    Ok(Settled {
        decision,
        slot,
        refusal,
    })
}

async fn give_back(
    tx: &mut PgConnection,
    key: BudgetKey<'_>,
    begun: &Begun,
) -> Result<(), sqlx::Error> {
    if begun.given_back.is_empty() {
        return Ok(());
    }
    let by_slot = begun.given_back.iter();
    let (slots, units): (Vec<_>, Vec<_>) = by_slot.map(|(slot, units)| (*slot, *units)).unzip();
    budgets::give_back(tx, key, &slots, &units).await
}

/// Why claims are to be held back from now on, and whether those of urgent jobs are too.
fn dryness(decision: &Decision, limits: &Limits, begun: &Begun) -> Option<(Hindrance, bool)> {
    let overdue = begun.is_overdue.then_some((Hindrance::Places, false));
    decision.dryness(limits, PATIENCE).or(overdue)
}

fn holding(holder: Uuid, decision: &Decision, terms: &Terms, stays: bool) -> Holding {
    let now = decision.row.now;
    let waits = matches!(decision.hindrance, Some(Hindrance::Places));
    Holding {
        holder,
        places: i32::try_from(decision.places).unwrap_or(i32::MAX),
        waits_until: waits.then(|| now + WAITS),
        // Renewed this often it lasts no less long than the lease of an attempt that makes the calls.
        expires_at: stays.then(|| now + terms.ttl + terms.renew_every),
    }
}

/// Adds to a row what the provider said, and what this process says. That all calls are to stop holds to its end: what is said
/// meanwhile are answers to calls that were under way, maybe of another of the provider's allowances.
fn heed(row: &mut BudgetRow, begun: &Begun, stop_at: f64) {
    let asked = Instant::now();
    let stops = |share: Option<f64>| share.is_some_and(|share| share >= stop_at);
    let is_stopped = stops(row.used_share) && row.told_until.is_some_and(|until| until > row.now);
    if let Some(Report {
        used_share,
        remaining,
        ends,
    }) = &begun.report
        && (stops(*used_share) || !is_stopped)
    {
        let lasts = ends.saturating_duration_since(asked);
        row.used_share = *used_share;
        row.remaining = remaining.map(|calls| i64::try_from(calls).unwrap_or(i64::MAX));
        row.told_until = (used_share.is_some() || remaining.is_some()).then(|| row.now + lasts);
    }
    if let Some(Pause { ends, reason, .. }) = &begun.pause {
        let until = row.now + ends.saturating_duration_since(asked);
        if row.paused_until.is_none_or(|known| known < until) {
            row.paused_until = Some(until);
            row.pause_reason = Some(reason.clone());
        }
    }
    // What is over says nothing any more.
    if row.paused_until.is_some_and(|until| until <= row.now) {
        (row.paused_until, row.pause_reason) = (None, None);
    }
    if row.told_until.is_some_and(|until| until <= row.now) {
        (row.used_share, row.remaining, row.told_until) = (None, None, None);
    }
}

/// When a provider's word ends that came now.
pub(super) fn lasts(resets_in: Option<Duration>) -> Duration {
    resets_in.unwrap_or(TOLD)
}

/// What is known of when things get better.
struct Outlook<'a> {
    limits: &'a Limits,
    now: DateTime<Utc>,
    used: u64,
    /// Where it matters: what counts against the day, the oldest first.
    usage: &'a [SlotUsage],
}

impl Outlook<'_> {
    fn until(&self, hindrance: &Hindrance) -> DateTime<Utc> {
        match hindrance {
            Hindrance::Paused(until, _) | Hindrance::Told(until) => *until,
            Hindrance::Day(calls) => self
                .limits
                .day
                .and_then(|limit| limit.day.frees(self.usage, *calls))
                .unwrap_or(self.now + UNKNOWN),
            Hindrance::Rate(wait) => self.now + *wait,
            Hindrance::Places => self.now + OVERDUE,
        }
    }

    fn detail(&self, hindrance: &Hindrance) -> String {
        match hindrance {
            Hindrance::Paused(_, reason) => reason.clone(),
            Hindrance::Told(_) => "the provider says that no calls are left".to_owned(),
            Hindrance::Day(_) => {
                let most = self.limits.day.map_or(0, |limit| limit.most);
                let reserved = if self.used < most {
                    ", and the rest is kept for urgent jobs"
                } else {
                    ""
                };
                format!("{} of {most} calls a day are used{reserved}", self.used)
            }
            Hindrance::Rate(_) => "the rate has been used up".to_owned(),
            Hindrance::Places => match self.limits.places {
                Some(limit) => format!("{limit} calls at a time are under way, and others wait"),
                None => "calls wait for too long".to_owned(),
            },
        }
    }

    fn refusal(&self, hindrance: &Hindrance) -> Refusal {
        match hindrance {
            Hindrance::Places => Refusal::NoPlace,
            Hindrance::Rate(wait) if *wait <= PATIENCE => Refusal::Later(*wait),
            _ => {
                let until = self.until(hindrance);
                Refusal::Dry {
                    until,
                    detail: self.detail(hindrance),
                    wait: (until - self.now).to_std().unwrap_or_default(),
                }
            }
        }
    }
}

/// That a call weighs more than can ever be given; the most that can.
pub(super) fn too_heavy(limits: &Limits, call: Call) -> Option<u64> {
    limits
        .heaviest(call.urgent)
        .filter(|most| call.weight > *most)
}
