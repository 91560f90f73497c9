//! Replays: dead letters run again as new jobs, as one durable run that can be interrupted anywhere. Later a canary
//! runs first and waves follow at a set rate; `status` has their words already. `run.rs` carries runs out.

mod run;

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Actor, AdminError, Page, PageRequest, Selection, audit};
use crate::{
    Queue,
    db::within,
    metrics,
    store::{
        self, dead,
        replays::{self, NewReplay, Replay, ReplayItem},
    },
};
pub(crate) use run::advance;
use run::{asked_by, prepare};

/// Dead letters tried out, or enqueued in one transaction.
const PORTION: i64 = 100;
/// Portions that a request advances its run by before it answers; the leader does the rest.
const AT_ONCE: usize = 5;
/// Most dead letters of one run.
const MOST: usize = 1_000_000;
/// Ids read from the database at once.
const READ: i64 = 10_000;
/// Begins the cursors of this list.
const LIST: &str = "replay";

/// Which dead letters to run again, and how.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// Which.
    pub selection: Selection,
    /// Only tell what would be done.
    pub dry_run: bool,
    /// A JSON merge patch for each payload.
    pub patch: Option<Value>,
    /// Why; kept with the run and the audit.
    pub reason: Option<String>,
}

/// Dead letters for which nothing will be enqueued.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    /// Why.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// What a replay does, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayAnswer {
    /// The run; `None` on a dry run.
    pub replay_id: Option<Uuid>,
    /// Dead letters that were meant.
    pub matched: u64,
    /// Those of them that are run again.
    pub will_enqueue: u64,
    /// Those that are not.
    pub skipped: Vec<Skipped>,
}

/// A run with its items.
#[derive(Debug, Clone, Serialize)]
pub struct ReplayDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub replay: Replay,
    /// The first 500 dead letters, with what became of each.
    pub items: Vec<ReplayItem>,
}

impl Queue {
    /// Runs dead letters again, each as a new job that names it. Tries every one out first, so that the answer tells
    /// which will be skipped, and answers once the run is stored; a small one has then been enqueued, a large one goes
    /// on by itself.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for an empty selection, a filter with a resolution, or a patch that is no object.
    pub async fn replay(
        &self,
        request: ReplayRequest,
        actor: &Actor,
    ) -> Result<ReplayAnswer, AdminError> {
        check(&request)?;
        let (chosen, matched, mut skipped) = self.choose(&request.selection, actor).await?;
        let refused = self.try_out(&chosen, request.patch.as_ref()).await?;
        let will_enqueue = chosen.len() as u64 - refused.values().sum::<u64>();
        for (reason, count) in refused {
            *skipped.entry(reason).or_default() += count;
        }
        if request.dry_run {
            return Ok(answer(None, matched, will_enqueue, skipped));
        }
        let id = self.begin_run(&chosen, &request, actor).await?;
        for _ in 0..AT_ONCE {
            // The run is stored: what fails here is done by the leader.
            match advance(&self.shared, Some(id)).await {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        Ok(answer(Some(id), matched, will_enqueue, skipped))
    }

    /// Stores a run with the letters that were chosen for it.
    async fn begin_run(
        &self,
        chosen: &[Uuid],
        request: &ReplayRequest,
        actor: &Actor,
    ) -> Result<Uuid, AdminError> {
        let id = Uuid::now_v7();
        let target = id.to_string();
        let sealer = self.shared.sealer();
        let patch = request.patch.as_ref().map(|patch| match sealer {
            Some(sealer) => Cow::Owned(sealer.seal_patch(id, patch)),
            None => Cow::Borrowed(patch),
        });
        let mut session = self.shared.db.request().await?;
        let stored = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let total = i64::try_from(chosen.len()).unwrap_or(i64::MAX);
            let replay = NewReplay {
                id,
                by: &actor.name,
                tenant: actor.tenant.as_deref(),
                reason: request.reason.as_deref(),
                patch: patch.as_deref(),
                total,
            };
            replays::create(&mut *tx, &replay).await?;
            replays::add_items(&mut *tx, id, chosen).await?;
            let mut row = audit(actor, "dead_letter.replay", Some(&target));
            (row.reason, row.count) = (request.reason.as_deref(), total);
            row.detail = json!({"patched": request.patch.is_some()});
            store::audit::note(&mut *tx, &row).await?;
            tx.commit().await
        })
        .await;
        session.end(stored)?;
        metrics::admin_action("dead_letter.replay");
        Ok(id)
    }

    /// The open dead letters that are meant, how many were meant in all, and why the others are left out.
    async fn choose(
        &self,
        selection: &Selection,
        actor: &Actor,
    ) -> Result<(Vec<Uuid>, u64, BTreeMap<String, u64>), AdminError> {
        let mut skipped = BTreeMap::new();
        let mut chosen = Vec::new();
        match selection {
            Selection::Filter(filter) => {
                let query = filter.within_tenant(actor).query();
                let mut after = None;
                loop {
                    let ids = self.matching(&query, after, READ).await?;
                    let Some(last) = ids.last().copied() else {
                        break;
                    };
                    after = Some(last);
                    chosen.extend(ids);
                    if chosen.len() > MOST {
                        return Err(AdminError::invalid(
                            "/filter",
                            "means more than 1,000,000 dead letters",
                        ));
                    }
                }
                Ok((chosen.clone(), chosen.len() as u64, skipped))
            }
            Selection::Ids(ids) => {
                let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
                ids.sort_unstable();
                ids.dedup();
                let mut session = self.shared.db.request().await?;
                let standings = within(dead::standings(
                    session.conn(),
                    &ids,
                    actor.tenant.as_deref(),
                ))
                .await;
                let standings = session.end(standings)?;
                let missing = ids.len() - standings.len();
                if missing > 0 {
                    skipped.insert("not_found".to_owned(), missing as u64);
                }
                let matched = standings.len() as u64;
                for standing in standings {
                    match standing.resolution {
                        None => chosen.push(standing.id),
                        Some(resolution) => {
                            *skipped.entry(format!("already_{resolution}")).or_default() += 1
                        }
                    }
                }
                Ok((chosen, matched, skipped))
            }
        }
    }

    /// Prepares every letter as the run would, and tells what would be refused.
    async fn try_out(
        &self,
        chosen: &[Uuid],
        patch: Option<&Value>,
    ) -> Result<BTreeMap<String, u64>, AdminError> {
        let mut refused = BTreeMap::new();
        for ids in chosen.chunks(usize::try_from(PORTION).unwrap_or(1)) {
            let mut session = self.shared.db.request().await?;
            let read = within(async {
                let letters = replays::candidates(session.conn(), ids).await?;
                let seen = self
                    .shared
                    .seen(session.conn(), &asked_by(&letters))
                    .await?;
                Ok((letters, seen))
            })
            .await;
            let (letters, seen) = session.end(read)?;
            let gone = ids.len() - letters.len();
            if gone > 0 {
                *refused.entry("not_found".to_owned()).or_default() += gone as u64;
            }
            for letter in letters {
                if let Err(reason) = prepare(&self.shared, letter, patch, &seen) {
                    *refused.entry(reason).or_default() += 1;
                }
            }
        }
        Ok(refused)
    }

    /// A page of runs, the newest first.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] for a cursor of another list.
    pub async fn replays(
        &self,
        page: &PageRequest,
        tenant: Option<&str>,
    ) -> Result<Page<Replay>, AdminError> {
        let before = page.id(LIST)?;
        let mut session = self.shared.db.request().await?;
        let runs = within(replays::list(session.conn(), tenant, before, page.rows())).await;
        Ok(Page::cut(session.end(runs)?, page, LIST, |run: &Replay| {
            run.id.to_string()
        }))
    }

    /// A run with its items.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's run.
    pub async fn replay_run(
        &self,
        id: Uuid,
        tenant: Option<&str>,
    ) -> Result<ReplayDetail, AdminError> {
        let mut session = self.shared.db.request().await?;
        let read = within(async {
            let Some(replay) = replays::get(session.conn(), id, tenant).await? else {
                return Ok(None);
            };
            let items = replays::items(session.conn(), id).await?;
            Ok(Some(ReplayDetail { replay, items }))
        })
        .await;
        session.end(read)?.ok_or(AdminError::NotFound)
    }

    /// Whether a run has ended and none of its jobs is still to be done.
    ///
    /// # Errors
    /// [`AdminError::NotFound`], also for another tenant's run.
    pub async fn is_replay_settled(
        &self,
        id: Uuid,
        tenant: Option<&str>,
    ) -> Result<bool, AdminError> {
        let mut session = self.shared.db.request().await?;
        let settled = within(replays::is_settled(session.conn(), id, tenant)).await;
        session.end(settled)?.ok_or(AdminError::NotFound)
    }

    /// Pauses a run: nothing more of it is enqueued until it is resumed.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that does not run.
    pub async fn pause_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(
            id,
            actor,
            ("replay.pause", &["running", "canary"], "paused"),
        )
        .await
    }

    /// Resumes a paused run.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that is not paused.
    pub async fn resume_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(id, actor, ("replay.resume", &["paused"], "running"))
            .await
    }

    /// Ends a run: what it has enqueued stays, nothing more follows.
    ///
    /// # Errors
    /// [`AdminError::Status`] for a run that has ended.
    pub async fn abort_replay(&self, id: Uuid, actor: &Actor) -> Result<Replay, AdminError> {
        self.change(
            id,
            actor,
            ("replay.abort", &["running", "canary", "paused"], "aborted"),
        )
        .await
    }

    async fn change(
        &self,
        id: Uuid,
        actor: &Actor,
        (action, from, to): (&'static str, &[&str], &str),
    ) -> Result<Replay, AdminError> {
        let target = id.to_string();
        let from: Vec<String> = from.iter().map(|&word| word.to_owned()).collect();
        let tenant = actor.tenant.as_deref();
        let mut session = self.shared.db.request().await?;
        let changed = within(async {
            let mut tx = sqlx::Connection::begin(session.conn()).await?;
            let changed = replays::set_status(&mut *tx, id, tenant, &from, to).await?;
            if changed {
                store::audit::note(&mut *tx, &audit(actor, action, Some(&target))).await?;
            }
            let replay = replays::get(&mut *tx, id, tenant).await?;
            tx.commit().await?;
            Ok((changed, replay))
        })
        .await;
        let (changed, replay) = session.end(changed)?;
        let replay = replay.ok_or(AdminError::NotFound)?;
        if !changed {
            let message = "its status does not allow that";
            return Err(AdminError::Status {
                status: replay.status,
                message,
            });
        }
        metrics::admin_action(action);
        Ok(replay)
    }
}

fn check(request: &ReplayRequest) -> Result<(), AdminError> {
    request.selection.check()?;
    if request
        .patch
        .as_ref()
        .is_some_and(|patch| !patch.is_object())
    {
        return Err(AdminError::invalid(
            "/patch",
            "must be an object: a JSON merge patch for the payload",
        ));
    }
    if request
        .reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > 500 || reason.contains('\0'))
    {
        return Err(AdminError::invalid(
            "/reason",
            "must have at most 500 characters",
        ));
    }
    Ok(())
}

fn answer(
    replay_id: Option<Uuid>,
    matched: u64,
    will_enqueue: u64,
    skipped: BTreeMap<String, u64>,
) -> ReplayAnswer {
    let skipped = skipped
        .into_iter()
        .map(|(reason, count)| Skipped { reason, count })
        .collect();
    ReplayAnswer {
        replay_id,
        matched,
        will_enqueue,
        skipped,
    }
}
