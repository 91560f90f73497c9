//! Storing what accounts hold: a page and the place of the next one in one transaction, with what was changed since the
//! last time.

use std::collections::{BTreeMap, BTreeSet};

use providers::platform::{Entity, EntityType};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    EntityChange, Sync, SyncCounts, SyncError, SyncMode, SyncWhat, Syncs, changes::change,
    differences::differences, document, storable,
};
use crate::{
    accounts::AccountId,
    store::{
        LONG_DEADLINE, Session,
        entities::{self, EntityRows},
        entity_changes::{self, NewChanges},
        syncs, within, within_deadline,
    },
};

/// Most entities in one statement.
const BATCH: usize = 1_000;

/// What became of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// How many entities were not known before.
    pub created: u64,
    /// What somebody had changed of the others.
    pub changes: Vec<EntityChange>,
}

impl Syncs {
    /// Stores a page of what an account holds, notes what was changed, and moves the sync on to `cursor`: all of it or
    /// nothing. Whether it was done is unknown after an error: begin the sync again, which goes on where it then stands.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn store_entities(
        &self,
        sync: &mut Sync,
        page: &[Entity],
        cursor: &Value,
    ) -> Result<Stored, SyncError> {
        let (account, fence, before) = (sync.account.0, sync.fence(), sync.counts);
        let sorted = sorted(page);
        let db = self.db();
        let stored = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let mut stored = Stored::default();
            for batch in sorted.chunks(BATCH) {
                store_batch(&mut tx, (account, fence.sync), batch, &mut stored).await?;
            }
            let counts = counted(before, page.len(), &stored);
            let moved = syncs::advance(&mut *tx, fence, Some(cursor), &document(&counts)).await?;
            if moved {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(moved.then_some((stored, counts)))
        })
        .await?;
        let (stored, counts) = SyncError::unless_superseded(stored)?;
        sync.moved(counts, cursor);
        Ok(stored)
    }

    /// Ends a kind, after its last page, and moves the sync on to `cursor`. A full sync marks what it did not find: that
    /// counts as deleted, and stays. Not to be called where a page could not be read.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn finish_entities(
        &self,
        sync: &mut Sync,
        kind: EntityType,
        cursor: &Value,
    ) -> Result<Vec<EntityChange>, SyncError> {
        let (account, fence, before) = (sync.account.0, sync.fence(), sync.counts);
        let is_full = sync.what == SyncWhat::Entities(SyncMode::Full);
        let started_at = sync.started_at;
        let db = self.db();
        let finished = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let mut changes = Vec::new();
            if is_full {
                let gone = entities::vanish(&mut *tx, account, kind.as_str(), started_at).await?;
                let of = (account, fence.sync);
                changes = note(&mut tx, of, &vanished(kind, gone)).await?;
            }
            let counts = SyncCounts {
                vanished: before.vanished + number(changes.len()),
                ..before
            };
            let moved = syncs::advance(&mut *tx, fence, Some(cursor), &document(&counts)).await?;
            if moved {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(moved.then_some((changes, counts)))
        })
        .await?;
        let (changes, counts) = SyncError::unless_superseded(finished)?;
        sync.moved(counts, cursor);
        Ok(changes)
    }

    /// Ids of what an account holds of a kind and that has not vanished, at most `most` behind `after`, in their order.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn entity_ids(
        &self,
        account: AccountId,
        kind: EntityType,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<String>, SyncError> {
        let of = (account.0, kind.as_str());
        let after = after.unwrap_or_default();
        let db = self.db();
        let ids = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let ids = entities::ids(session.connection(), of, after, i64::from(most)).await?;
            session.done();
            Ok(ids)
        })
        .await?;
        Ok(ids)
    }
}

/// The entities of a page by kind and id. One that is told twice counts as it was told last.
fn sorted(page: &[Entity]) -> Vec<(String, &Entity)> {
    let mut by_key = BTreeMap::new();
    for entity in page {
        let id = storable::owned(&entity.id);
        by_key.insert((entity.kind.as_str(), id), entity);
    }
    let sorted = by_key.into_iter();
    sorted.map(|((_, id), entity)| (id, entity)).collect()
}

async fn store_batch(
    conn: &mut PgConnection,
    (account, sync): (Uuid, Uuid),
    batch: &[(String, &Entity)],
    stored: &mut Stored,
) -> Result<(), sqlx::Error> {
    let rows = rows(batch);
    let known = entities::lock(&mut *conn, account, &rows).await?;
    stored.created += batch.len().saturating_sub(known.len()) as u64;

    let mut new = NewChanges::default();
    let told: BTreeMap<(&str, &str), &Entity> = batch
        .iter()
        .map(|(id, entity)| ((entity.kind.as_str(), id.as_str()), *entity))
        .collect();
    for known in &known {
        let Some(entity) = told.get(&(known.kind.as_str(), known.id.as_str())) else {
            continue;
        };
        for difference in differences(known, entity) {
            new.kinds.push(entity.kind.as_str());
            new.ids.push(known.id.clone());
            new.fields.push(difference.field.as_str());
            new.befores.push(difference.before);
            new.afters.push(difference.after);
        }
    }

    entities::store(&mut *conn, account, &rows).await?;
    let changes = note(conn, (account, sync), &new).await?;
    stored.changes.extend(changes);
    Ok(())
}

async fn note(
    conn: &mut PgConnection,
    of: (Uuid, Uuid),
    new: &NewChanges,
) -> Result<Vec<EntityChange>, sqlx::Error> {
    if new.ids.is_empty() {
        return Ok(Vec::new());
    }
    let noted = entity_changes::note(conn, of, new).await?;
    noted.into_iter().map(change).collect()
}

fn rows(batch: &[(String, &Entity)]) -> EntityRows {
    let text = |value: &Option<String>| value.as_deref().map(storable::owned);
    let mut rows = EntityRows::default();
    for (id, entity) in batch {
        rows.kinds.push(entity.kind.as_str());
        rows.ids.push(id.clone());
        rows.parents.push(text(&entity.parent_id));
        rows.campaigns.push(text(&entity.campaign_id));
        rows.names.push(storable::owned(&entity.name));
        rows.statuses.push(entity.status.as_str());
        rows.platform_statuses
            .push(storable::owned(&entity.platform_status));
        rows.daily_budgets.push(entity.daily_budget);
        rows.lifetime_budgets.push(entity.lifetime_budget);
        rows.created.push(entity.created_at);
        rows.updated.push(entity.updated_at);
        rows.raws.push(storable::document(&entity.raw));
    }
    rows
}

fn vanished(kind: EntityType, mut gone: Vec<String>) -> NewChanges {
    gone.sort_unstable();
    let count = gone.len();
    NewChanges {
        kinds: vec![kind.as_str(); count],
        ids: gone,
        fields: vec![super::ChangedField::Vanished.as_str(); count],
        befores: vec![Some("false".to_owned()); count],
        afters: vec![Some("true".to_owned()); count],
    }
}

fn counted(before: SyncCounts, page: usize, stored: &Stored) -> SyncCounts {
    let changes = stored.changes.iter();
    let changed: BTreeSet<(&str, &str)> = changes
        .map(|change| (change.kind.as_str(), change.entity_id.as_str()))
        .collect();
    SyncCounts {
        pages: before.pages + 1,
        entities: before.entities + number(page),
        created: before.created + i64::try_from(stored.created).unwrap_or(i64::MAX),
        changed: before.changed + number(changed.len()),
        ..before
    }
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
