//! Who may begin a change: one job at a time for an entity, decided while its row is locked.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use providers::platform::{Edit, EntityStatus, EntityType};
use queue::JobId;
use sqlx::Connection as _;
use uuid::Uuid;

use super::{
    Campaigns, CampaignsError, MadeChange,
    decide::{Decision, Plan, Sight, Standing, Wanted, plan},
    view::{made, state_of},
};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        campaign_changes::{self, ChangeRow, EditableRow, NewChange},
        within_deadline,
    },
};

/// For how long an attempt may be at a change before it is taken for dead: longer than any call, and than a lease.
const LONGEST_RUN: Duration = Duration::from_secs(10 * 60);

/// A change that must not be made, or that its platform refuses.
const REFUSED: &str = "refused";

/// A change that this attempt is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSend {
    /// Its place in the job's payload.
    pub place: usize,
    /// What the platform is told.
    pub edit: Edit,
    /// What it says of the entity right before; `None`: it was not asked, or does not show it.
    pub sight: Option<Sight>,
}

/// What an attempt has to do.
#[derive(Debug)]
pub struct Claimed {
    /// Names the attempt when it tells how its changes ended.
    pub run: Uuid,
    /// What is to be sent; nobody else is at these entities.
    pub to_send: Vec<ToSend>,
    /// Until when another job is at an entity of this one.
    pub busy_until: Option<DateTime<Utc>>,
}

/// For whom changes are made.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The job, or the one that it replays.
    pub job: JobId,
    /// Whether it replays one: what was refused is tried once more then.
    pub is_replay: bool,
    /// Whose entities.
    pub account: AccountId,
    /// Which rule asks for it.
    pub strategy: Option<Uuid>,
}

impl Campaigns {
    /// What the changes would come to now. Nothing is stored.
    ///
    /// # Errors
    /// [`CampaignsError::Store`].
    pub async fn preview(
        &self,
        order: Order,
        wanted: &[Wanted],
    ) -> Result<Vec<MadeChange>, CampaignsError> {
        let db = self.db();
        let changes = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let known = lock(&mut tx, order.account, wanted).await?;
            tx.rollback().await?;
            session.done();
            let now = Utc::now();
            let changes = wanted.iter().enumerate().map(|(place, wanted)| {
                let plan = plan(wanted, known.get(&key(wanted)));
                MadeChange::planned(order, (place, wanted), plan, now)
            });
            Ok(changes.collect())
        });
        Ok(changes.await?)
    }

    /// Begins those changes of a job that are not over and nobody else is at; what needs no call or must not be made ends at
    /// once.
    ///
    /// # Errors
    /// [`CampaignsError::Store`].
    pub async fn claim(&self, order: Order, wanted: &[Wanted]) -> Result<Claimed, CampaignsError> {
        let db = self.db();
        let claimed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let known = lock(&mut tx, order.account, wanted).await?;
            let begun = campaign_changes::of_job(&mut *tx, order.job.0).await?;
            let begun: HashMap<i32, ChangeRow> =
                begun.into_iter().map(|row| (row.place, row)).collect();
            let mut claimed = Claimed {
                run: Uuid::new_v4(),
                to_send: Vec::new(),
                busy_until: None,
            };
            for (place, wanted) in wanted.iter().enumerate() {
                let stored = i32::try_from(place).unwrap_or(i32::MAX);
                let begun = begun.get(&stored);
                let is_tried_anew =
                    order.is_replay && begun.is_some_and(|row| row.state == REFUSED);
                if !is_tried_anew && begun.is_some_and(|row| row.ended_at.is_some()) {
                    continue;
                }
                let whose = (order.account.0, wanted.kind.as_str(), wanted.id.as_str());
                let busy = campaign_changes::busy_until(&mut *tx, order.job.0, whose).await?;
                if let Some(until) = busy {
                    claimed.busy_until = claimed.busy_until.max(Some(until));
                    continue;
                }
                let standing = known.get(&key(wanted));
                let mut plan = plan(wanted, standing);
                if let Some(row) = begun.filter(|row| !is_tried_anew && is_of(row, wanted)) {
                    plan = plan.again(row.before.as_deref());
                }
                let new = new_change(order, (stored, wanted), &plan, claimed.run);
                campaign_changes::begin(&mut *tx, &new).await?;
                if plan.decision == Decision::Send {
                    claimed.to_send.push(ToSend {
                        place,
                        edit: edit(wanted, standing),
                        sight: None,
                    });
                }
            }
            tx.commit().await?;
            session.done();
            Ok(claimed)
        });
        Ok(claimed.await?)
    }

    /// How the changes of a job stand, in the order of its payload.
    ///
    /// # Errors
    /// [`CampaignsError::Store`].
    pub async fn of_job(&self, job: JobId) -> Result<Vec<MadeChange>, CampaignsError> {
        let db = self.db();
        let changes = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = campaign_changes::of_job(session.connection(), job.0).await?;
            session.done();
            rows.into_iter().map(made).collect::<Result<Vec<_>, _>>()
        });
        Ok(changes.await?)
    }
}

/// Whether a change that was begun is of what is wanted now: a replay may want something else in its place.
fn is_of(row: &ChangeRow, wanted: &Wanted) -> bool {
    row.kind == wanted.kind.as_str() && row.entity_id == wanted.id
}

type Key = (EntityType, String);

fn key(wanted: &Wanted) -> Key {
    (wanted.kind, wanted.id.clone())
}

async fn lock(
    tx: &mut sqlx::PgConnection,
    account: AccountId,
    wanted: &[Wanted],
) -> Result<HashMap<Key, Standing>, sqlx::Error> {
    let kinds: Vec<&str> = wanted.iter().map(|wanted| wanted.kind.as_str()).collect();
    let ids: Vec<&str> = wanted.iter().map(|wanted| wanted.id.as_str()).collect();
    let rows = campaign_changes::lock_entities(tx, account.0, (&kinds, &ids)).await?;
    rows.into_iter().map(standing).collect()
}

fn standing(row: EditableRow) -> Result<(Key, Standing), sqlx::Error> {
    let kind: EntityType = state_of(&row.kind)?;
    let status: EntityStatus = state_of(&row.status)?;
    let standing = Standing {
        parent: row.parent,
        status,
        daily_budget: row.daily_budget,
        lifetime_budget: row.lifetime_budget,
    };
    Ok(((kind, row.id), standing))
}

fn edit(wanted: &Wanted, standing: Option<&Standing>) -> Edit {
    Edit {
        kind: wanted.kind,
        id: wanted.id.clone(),
        parent_id: standing.and_then(|standing| standing.parent.clone()),
        set_to: wanted.action.set_to(),
    }
}

fn new_change<'a>(
    order: Order,
    (place, wanted): (i32, &'a Wanted),
    plan: &'a Plan,
    run: Uuid,
) -> NewChange<'a> {
    let (state, error) = match plan.decision {
        Decision::Send => ("sending", None),
        Decision::Unchanged => ("unchanged", None),
        Decision::Refused(why) => (REFUSED, Some(why)),
    };
    NewChange {
        job: order.job.0,
        place,
        account: order.account.0,
        kind: wanted.kind.as_str(),
        entity_id: &wanted.id,
        field: plan.field,
        before: plan.before.as_deref(),
        after: &plan.after,
        state,
        reason: wanted.reason.as_deref(),
        requested_by: wanted.requested_by.as_deref(),
        strategy: order.strategy,
        run,
        run_s: LONGEST_RUN.as_secs_f64(),
        error_class: error.map(|_| "invalid"),
        error,
    }
}
