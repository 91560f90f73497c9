//! Storing figures of pages and of Instagram accounts. Their platform leaves out days without any and forgets old ones, so
//! that what is stored stays until another value of the same days comes.

use std::collections::BTreeMap;

use providers::meta::SocialValue;
use serde_json::Value;
use sqlx::Connection as _;

use super::{Sync, SyncCounts, SyncError, Syncs, document, entities::number, storable};
use crate::store::{
    LONG_DEADLINE, Session,
    social_insights::{self, SocialRows},
    syncs, within,
};

impl Syncs {
    /// Stores values of a page or an Instagram account, by its id at the platform, and moves the sync on to `cursor`.
    ///
    /// # Errors
    /// [`SyncError::Superseded`].
    pub async fn store_social(
        &self,
        sync: &mut Sync,
        entity_id: &str,
        values: &[SocialValue],
        cursor: &Value,
    ) -> Result<(), SyncError> {
        let (account, fence, before) = (sync.account.0, sync.fence(), sync.counts);
        let entity_id: &str = &storable::text(entity_id);
        let rows = rows(values);
        let db = self.db();
        let stored = within(LONG_DEADLINE, async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let written = social_insights::store(&mut *tx, (account, entity_id), &rows).await?;
            let counts = SyncCounts {
                pages: before.pages + 1,
                rows: before.rows + number(values.len()),
                written: before.written.saturating_add_unsigned(written),
                ..before
            };
            let moved = syncs::advance(&mut *tx, fence, Some(cursor), &document(&counts)).await?;
            if moved {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            session.done();
            Ok(moved.then_some(counts))
        })
        .await?;
        let counts = SyncError::unless_superseded(stored)?;
        sync.moved(counts, cursor);
        Ok(())
    }
}

/// One that is told twice counts as it was told last.
fn rows(values: &[SocialValue]) -> SocialRows {
    let mut by_key = BTreeMap::new();
    for value in values {
        let (metric, part) = (storable::text(&value.metric), storable::text(&value.part));
        by_key.insert((metric, part, value.from, value.to), value.value);
    }
    let mut rows = SocialRows::default();
    for ((metric, part, from, to), value) in by_key {
        rows.metrics.push(metric.into_owned());
        rows.parts.push(part.into_owned());
        rows.first_days.push(from);
        rows.last_days.push(to);
        rows.values.push(value);
    }
    rows
}
