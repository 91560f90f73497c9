//! What sync stored of accounts, and how it went. Money is told as decimal text, so that nothing of it is lost on the way.

use chrono::{DateTime, NaiveDate, Utc};
use marketing::sync;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What an account holds: a campaign, an ad set, an ad, or one of the rest.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entity {
    /// The platform's id; unique by account and type.
    #[schema(example = "120210000000001")]
    id: String,
    /// `campaign`, `ad_set`, `ad`, `creative`, `audience`, `lead_form`, `pixel`, `page` or `instagram_account`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "campaign")]
    kind: &'static str,
    /// The account that holds it.
    account_id: Uuid,
    /// `meta`, `google_ads`, `linkedin`, `tiktok` or `x`.
    #[schema(value_type = String, example = "meta")]
    platform: &'static str,
    /// What it belongs to directly: an ad set's campaign, an ad's ad set.
    parent_id: Option<String>,
    /// The campaign that it belongs to in the end.
    campaign_id: Option<String>,
    name: String,
    /// `active`, `paused`, `pending`, `rejected`, `ended`, `archived`, `deleted` or `unknown`; of all platforms alike.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// The platform's word for its state.
    #[schema(example = "ACTIVE")]
    platform_status: String,
    /// In major units of the currency.
    #[schema(example = "50.00")]
    daily_budget: Option<String>,
    /// In major units of the currency.
    lifetime_budget: Option<String>,
    /// The account's, ISO 4217.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// When it was made at the platform.
    created_at: Option<DateTime<Utc>>,
    /// When it was last changed at the platform.
    updated_at: Option<DateTime<Utc>>,
    /// When sync found it first.
    first_seen: DateTime<Utc>,
    /// When sync found it last.
    last_seen: DateTime<Utc>,
    /// Since when a full sync does not find it any more; null: it does.
    vanished_at: Option<DateTime<Utc>>,
}

impl From<sync::StoredEntity> for Entity {
    fn from(entity: sync::StoredEntity) -> Self {
        Self {
            id: entity.id,
            kind: entity.kind.as_str(),
            account_id: entity.account.0,
            platform: entity.platform.as_str(),
            parent_id: entity.parent_id,
            campaign_id: entity.campaign_id,
            name: entity.name,
            status: entity.status.as_str(),
            platform_status: entity.platform_status,
            daily_budget: entity.daily_budget.map(|budget| budget.to_string()),
            lifetime_budget: entity.lifetime_budget.map(|budget| budget.to_string()),
            currency: entity.currency,
            created_at: entity.created_at,
            updated_at: entity.updated_at,
            first_seen: entity.first_seen,
            last_seen: entity.last_seen,
            vanished_at: entity.vanished_at,
        }
    }
}

/// What somebody changed at a platform beside us, as sync found it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntityChange {
    /// Grows with every change.
    id: i64,
    account_id: Uuid,
    /// What was changed: `campaign`, `ad_set`, `ad` or one of the rest.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "campaign")]
    kind: &'static str,
    /// The platform's id of it.
    #[schema(example = "120210000000001")]
    entity_id: String,
    /// `name`, `status`, `parent`, `campaign`, `daily_budget`, `lifetime_budget`, or `vanished`: whether it is not found any
    /// more.
    #[schema(value_type = String, example = "daily_budget")]
    field: &'static str,
    /// What it was; null: nothing.
    #[schema(example = "50")]
    before: Option<String>,
    /// What it is; null: nothing.
    #[schema(example = "80.5")]
    after: Option<String>,
    /// When sync saw it.
    seen_at: DateTime<Utc>,
    /// Which sync saw it.
    sync_id: Uuid,
}

impl From<sync::EntityChange> for EntityChange {
    fn from(change: sync::EntityChange) -> Self {
        Self {
            id: change.id,
            account_id: change.account.0,
            kind: change.kind.as_str(),
            entity_id: change.entity_id,
            field: change.field.as_str(),
            before: change.before,
            after: change.after,
            seen_at: change.seen_at,
            sync_id: change.sync.0,
        }
    }
}

/// A sync, finished or under way.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncEntry {
    id: Uuid,
    account_id: Uuid,
    /// `entities`: of what the account holds; `insights`: of figures.
    #[schema(value_type = String, example = "entities")]
    of: &'static str,
    /// Of entities: `full` or `incremental`.
    #[schema(value_type = Option<String>, example = "full")]
    mode: Option<&'static str>,
    /// Of figures: `account`, `campaign`, `ad_set` or `ad`.
    #[schema(value_type = Option<String>)]
    level: Option<&'static str>,
    /// Of figures: `hour` or `day`.
    #[schema(value_type = Option<String>)]
    granularity: Option<&'static str>,
    /// Of figures: the first day, by the account's clock.
    from: Option<NaiveDate>,
    /// Of figures: the last day.
    to: Option<NaiveDate>,
    /// Of figures: breakdowns in the platform's own words.
    breakdowns: Vec<String>,
    /// `running`, `succeeded`, `partial` (something could not be read) or `failed`.
    #[schema(value_type = String, example = "succeeded")]
    state: &'static str,
    /// The job that went on with it last.
    job_id: Uuid,
    /// How many attempts it has had; each goes on behind the last page that was stored.
    attempts: i32,
    counts: SyncCounts,
    started_at: DateTime<Utc>,
    /// When it stored its last page.
    progressed_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// The class of the last failure.
    error_class: Option<String>,
    /// The last failure.
    error: Option<String>,
}

/// What a sync has done.
#[derive(Serialize, ToSchema)]
struct SyncCounts {
    /// Pages that were stored.
    pages: i64,
    /// Entities that were read.
    entities: i64,
    /// Those of them that were new.
    created: i64,
    /// Those of them that somebody had changed at the platform.
    changed: i64,
    /// Entities that were not found any more.
    vanished: i64,
    /// Figures that were read.
    rows: i64,
    /// Figures that were new or differed from what was stored.
    written: i64,
    /// Stored figures that the platform did not tell again.
    removed: i64,
    /// Figures that were told unasked and left out.
    ignored: i64,
}

impl From<sync::SyncCounts> for SyncCounts {
    fn from(counts: sync::SyncCounts) -> Self {
        Self {
            pages: counts.pages,
            entities: counts.entities,
            created: counts.created,
            changed: counts.changed,
            vanished: counts.vanished,
            rows: counts.rows,
            written: counts.written,
            removed: counts.removed,
            ignored: counts.ignored,
        }
    }
}

impl From<sync::SyncRecord> for SyncEntry {
    fn from(record: sync::SyncRecord) -> Self {
        let (mode, scope) = match record.what {
            sync::SyncWhat::Entities(mode) => (Some(mode.as_str()), None),
            sync::SyncWhat::Insights(scope) => (None, Some(scope)),
        };
        let figures = scope.as_ref();
        Self {
            id: record.id.0,
            account_id: record.account.0,
            of: figures.map_or("entities", |_| "insights"),
            mode,
            level: figures.map(|scope| scope.level.as_str()),
            granularity: figures.map(|scope| scope.granularity.as_str()),
            from: figures.map(|scope| scope.from),
            to: figures.map(|scope| scope.to),
            breakdowns: scope.map(|scope| scope.breakdowns).unwrap_or_default(),
            state: record.state.as_str(),
            job_id: record.job.0,
            attempts: record.runs,
            counts: record.counts.into(),
            started_at: record.started_at,
            progressed_at: record.progressed_at,
            finished_at: record.finished_at,
            error_class: record.error_class,
            error: record.error,
        }
    }
}

/// An account that is watched.
#[derive(Serialize, ToSchema)]
pub(crate) struct Watched {
    account_id: Uuid,
    /// When the watch ends by itself.
    until: DateTime<Utc>,
}

impl From<sync::Watched> for Watched {
    fn from(watched: sync::Watched) -> Self {
        Self {
            account_id: watched.account.0,
            until: watched.until,
        }
    }
}

/// How fresh what is stored of an account is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Freshness {
    account_id: Uuid,
    /// When this was looked at.
    now: DateTime<Utc>,
    /// The clock of the account's days and hours; UTC where its platform names none.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// When the newest sync of what it holds began that read everything, but for what its grant has no right to.
    entities_synced_at: Option<DateTime<Utc>>,
    /// Its figures, from the account down; what was never read is left out.
    figures: Vec<FreshnessOf>,
}

/// How fresh figures of one level are.
#[derive(Serialize, ToSchema)]
struct FreshnessOf {
    /// `account`, `campaign`, `ad_set` or `ad`.
    #[schema(value_type = String, example = "campaign")]
    level: &'static str,
    /// `hour` or `day`.
    #[schema(value_type = String, example = "hour")]
    granularity: &'static str,
    /// When any were read last.
    read_at: DateTime<Utc>,
    /// Up to when they are whole.
    complete_until: Option<DateTime<Utc>>,
    /// The newest day that is whole or has a whole hour, by the account's clock.
    newest_day: Option<NaiveDate>,
    /// The newest whole hour of that day, 0 to 23.
    newest_hour: Option<u8>,
    /// How many seconds ago the time ended until which they are whole.
    age_s: Option<u64>,
}

impl From<sync::FreshnessOf> for FreshnessOf {
    fn from(of: sync::FreshnessOf) -> Self {
        Self {
            level: of.level.as_str(),
            granularity: of.granularity.as_str(),
            read_at: of.read_at,
            complete_until: of.complete_until,
            newest_day: of.newest_day,
            newest_hour: of.newest_hour,
            age_s: of.age_s,
        }
    }
}

impl From<sync::Freshness> for Freshness {
    fn from(freshness: sync::Freshness) -> Self {
        Self {
            account_id: freshness.account.0,
            now: freshness.now,
            time_zone: freshness.time_zone,
            entities_synced_at: freshness.entities_synced_at,
            figures: super::all(freshness.figures),
        }
    }
}
