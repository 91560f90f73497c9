//! Lists of what accounts hold.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use providers::platform::{EntityStatus, EntityType, Platform};
use queue::{AdminError, Page, PageRequest};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{SyncError, Syncs, stored_word};
use crate::{
    accounts::AccountId,
    store::{
        Session,
        entities::{self, EntityPlace, EntityQuery, EntityRow},
        within_deadline,
    },
};

/// Begins the cursors of this list.
const LIST: &str = "entity";
/// Stands between the parts of a place; none but the last has it.
const JOINT: char = '/';

/// Which entities to list; `None` is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityFilter {
    /// Only this tenant's.
    pub tenant: Option<String>,
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Only of this sort.
    pub kind: Option<EntityType>,
    /// Only what belongs to this one directly, by the platform's id.
    pub parent: Option<String>,
    /// Only in this state; what has vanished is deleted.
    pub status: Option<EntityStatus>,
    /// Only what has this in its name, in whatever letters, or is its id.
    pub search: Option<String>,
}

/// What an account holds, as it was seen last.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntity {
    /// Whose it is.
    pub account: AccountId,
    /// Of which platform.
    pub platform: Platform,
    /// What it is.
    pub kind: EntityType,
    /// The platform's id.
    pub id: String,
    /// What it belongs to.
    pub parent_id: Option<String>,
    /// The campaign that it belongs to in the end.
    pub campaign_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its state.
    pub status: EntityStatus,
    /// The platform's word for it.
    pub platform_status: String,
    /// Budget a day, in major units of the currency.
    pub daily_budget: Option<Decimal>,
    /// Budget for its whole life, in major units of the currency.
    pub lifetime_budget: Option<Decimal>,
    /// The account's, ISO 4217.
    pub currency: Option<String>,
    /// When it was made at the platform.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was last changed at the platform.
    pub updated_at: Option<DateTime<Utc>>,
    /// When sync found it first.
    pub first_seen: DateTime<Utc>,
    /// When sync found it last.
    pub last_seen: DateTime<Utc>,
    /// Since when a full sync does not find it any more; `None`: it does.
    pub vanished_at: Option<DateTime<Utc>>,
}

impl Syncs {
    /// A page of what accounts hold, by account, sort and id.
    ///
    /// # Errors
    /// [`SyncError::Engine`] for a cursor of another list.
    pub async fn entities(
        &self,
        filter: &EntityFilter,
        page: &PageRequest,
    ) -> Result<Page<StoredEntity>, SyncError> {
        let query = EntityQuery {
            account: filter.account.map(|account| account.0),
            kind: filter.kind.map(EntityType::as_str),
            parent: filter.parent.as_deref(),
            status: filter.status.map(EntityStatus::as_str),
            tenant: filter.tenant.as_deref(),
            search: filter.search.as_deref().filter(|text| !text.is_empty()),
            after: after(page)?,
            limit: page.rows(),
        };
        let db = self.db();
        let listed = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let rows = entities::list(session.connection(), &query).await?;
            session.done();
            rows.into_iter().map(entity).collect::<Result<Vec<_>, _>>()
        })
        .await?;
        Ok(Page::cut(listed, page, LIST, |entity: &StoredEntity| {
            let account = entity.account.0;
            let kind = entity.kind.as_str();
            let place = format!("{account}{JOINT}{kind}{JOINT}{}", entity.id);
            URL_SAFE_NO_PAD.encode(place)
        }))
    }
}

/// Where a page begins.
fn after(page: &PageRequest) -> Result<EntityPlace, SyncError> {
    let Some(place) = page.text(LIST)? else {
        return Ok(EntityPlace::default());
    };
    place_of(&place).ok_or_else(|| {
        SyncError::Engine(AdminError::Invalid {
            pointer: "cursor".to_owned(),
            message: "is not one of this list".to_owned(),
        })
    })
}

fn place_of(place: &str) -> Option<EntityPlace> {
    let place = String::from_utf8(URL_SAFE_NO_PAD.decode(place).ok()?).ok()?;
    let (account, rest) = place.split_once(JOINT)?;
    let (kind, id) = rest.split_once(JOINT)?;
    let is_storable = !rest.contains('\0');
    is_storable.then_some(EntityPlace {
        account: Uuid::try_parse(account).ok()?,
        kind: kind.to_owned(),
        id: id.to_owned(),
    })
}

fn entity(row: EntityRow) -> Result<StoredEntity, sqlx::Error> {
    Ok(StoredEntity {
        account: AccountId(row.account),
        platform: stored_word(&row.platform)?,
        kind: stored_word(&row.kind)?,
        id: row.id,
        parent_id: row.parent,
        campaign_id: row.campaign,
        name: row.name,
        status: stored_word(&row.status)?,
        platform_status: row.platform_status,
        daily_budget: row.daily_budget,
        lifetime_budget: row.lifetime_budget,
        currency: row.currency,
        created_at: row.created_at,
        updated_at: row.updated_at,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        vanished_at: row.vanished_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_leads_back_to_itself_whatever_stands_in_an_id() {
        let account = Uuid::from_u128(7);
        let text = format!("{account}/ad/7/a b,ü");

        let place = place_of(&URL_SAFE_NO_PAD.encode(text));

        let expected = EntityPlace {
            account,
            kind: "ad".to_owned(),
            id: "7/a b,ü".to_owned(),
        };
        assert_eq!(place, Some(expected));
        for wrong in ["", "%%%", "YQ", &URL_SAFE_NO_PAD.encode("x/ad/7")] {
            assert_eq!(place_of(wrong), None, "{wrong}");
        }
        let unstorable = URL_SAFE_NO_PAD.encode(format!("{account}/ad/\0"));
        assert_eq!(place_of(&unstorable), None);
    }
}
