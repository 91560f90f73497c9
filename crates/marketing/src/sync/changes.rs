//! What somebody changed at a platform, as sync found it.

use chrono::{DateTime, Utc};
use providers::platform::EntityType;
use queue::{Page, PageRequest};
use serde::{Deserialize, Serialize};

use super::{SyncError, SyncId, Syncs, stored_word};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        entity_changes::{self, ChangeRow},
        within_deadline,
    },
};

/// Begins the cursors of this list.
const LIST: &str = "change";

/// What of an entity is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedField {
    /// Its name.
    Name,
    /// Its state, in the vocabulary of all platforms.
    Status,
    /// What it belongs to.
    Parent,
    /// The campaign that it belongs to.
    Campaign,
    /// Its budget a day.
    DailyBudget,
    /// Its budget for its whole life.
    LifetimeBudget,
    /// Whether it is not found any more.
    Vanished,
}

impl ChangedField {
    /// The word that is shown and stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Status => "status",
            Self::Parent => "parent",
            Self::Campaign => "campaign",
            Self::DailyBudget => "daily_budget",
            Self::LifetimeBudget => "lifetime_budget",
            Self::Vanished => "vanished",
        }
    }
}

/// A change that somebody made at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityChange {
    /// Grows with every change.
    pub id: i64,
    /// Whose entity.
    pub account: AccountId,
    /// What the entity is.
    pub kind: EntityType,
    /// The platform's id of it.
    pub entity_id: String,
    /// What of it.
    pub field: ChangedField,
    /// What it was; `None`: nothing.
    pub before: Option<String>,
    /// What it is; `None`: nothing.
    pub after: Option<String>,
    /// When sync saw it.
    pub seen_at: DateTime<Utc>,
    /// Which sync.
    pub sync: SyncId,
}

impl Syncs {
    /// A page of what was changed of an account, the newest first.
    ///
    /// # Errors
    /// [`SyncError::Engine`] for a cursor of another list.
    pub async fn changes(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<EntityChange>, SyncError> {
        let before = page.number(LIST)?;
        let db = self.db();
        let changes = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows =
                entity_changes::list(session.connection(), account.0, before, page.rows()).await?;
            session.done();
            rows.into_iter().map(change).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(changes, page, LIST, |change: &EntityChange| {
            change.id.to_string()
        }))
    }
}

/// A change as others see it.
pub(super) fn change(row: ChangeRow) -> Result<EntityChange, sqlx::Error> {
    Ok(EntityChange {
        id: row.id,
        account: AccountId(row.account),
        kind: stored_word(&row.kind)?,
        entity_id: row.entity_id,
        field: stored_word(&row.field)?,
        before: row.before,
        after: row.after,
        seen_at: row.seen_at,
        sync: SyncId(row.sync),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_it_is_stored() {
        for field in [
            ChangedField::Name,
            ChangedField::Status,
            ChangedField::Parent,
            ChangedField::Campaign,
            ChangedField::DailyBudget,
            ChangedField::LifetimeBudget,
            ChangedField::Vanished,
        ] {
            let read = stored_word::<ChangedField>(field.as_str()).ok();

            assert_eq!(read, Some(field));
        }
    }
}
