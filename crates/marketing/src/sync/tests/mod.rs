//! What sync stores, against a database of its own.

mod cache;
mod entities;
mod events;
mod freshness;
mod insights;
mod log;
mod looking;
mod retention;

use std::sync::Arc;

use chrono::NaiveDate;
use providers::platform::{
    Entity, EntityStatus, EntityType, Figures, Granularity, InsightRow, Level,
};
use queue::{Database, JobId, PageRequest, Queue, config::Config};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Days, InsightScope, Sync, SyncMode, SyncWhat, Syncs};
use crate::accounts::AccountId;

const FULL: SyncWhat = SyncWhat::Entities(SyncMode::Full);

/// An account and what is stored of it.
struct Scene {
    syncs: Syncs,
    account: AccountId,
    db: PgPool,
}

impl Scene {
    async fn new(db: &PgPool) -> anyhow::Result<Self> {
        let account = account(db, "acme", "101").await?;
        Ok(Self {
            syncs: syncs(db),
            account,
            db: db.clone(),
        })
    }

    /// The same with another account.
    fn of(&self, account: AccountId) -> Self {
        Self {
            syncs: self.syncs.clone(),
            account,
            db: self.db.clone(),
        }
    }

    /// A further attempt, of another process as far as anybody can tell.
    async fn begin(&self, what: &SyncWhat) -> anyhow::Result<Sync> {
        Ok(self.syncs.begin(self.account, what, JobId::new()).await?)
    }

    async fn count(&self, of: &str) -> anyhow::Result<i64> {
        let sql = format!("SELECT count(*) FROM marketing.{of}");
        Ok(sqlx::query_scalar(&sql).fetch_one(&self.db).await?)
    }

    async fn run(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(sql).execute(&self.db).await?;
        Ok(())
    }

    /// A column of all rows, as text.
    async fn texts(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        Ok(sqlx::query_scalar(sql).fetch_all(&self.db).await?)
    }
}

fn syncs(db: &PgPool) -> Syncs {
    let config = Arc::new(Config::builtin());
    let queue = Queue::new(Database::from_pool(db.clone()), config, []);
    Syncs::new(queue.expect("there are no schemas"))
}

/// An account in Berlin that counts in euros.
async fn account(db: &PgPool, tenant: &str, external_id: &str) -> anyhow::Result<AccountId> {
    let (connection, account) = (Uuid::now_v7(), Uuid::now_v7());
    let grant = "INSERT INTO marketing.connections (id, platform, tenant, access_token)
                 VALUES ($1, 'meta', $2, 'sealed')";
    sqlx::query(grant)
        .bind(connection)
        .bind(tenant)
        .execute(db)
        .await?;
    let reached = "INSERT INTO marketing.accounts
                          (id, connection, platform, tenant, external_id, kind, name, currency, time_zone)
                   VALUES ($1, $2, 'meta', $3, $4, 'ad_account', 'Account', 'EUR', 'Europe/Berlin')";
    sqlx::query(reached)
        .bind(account)
        .bind(connection)
        .bind(tenant)
        .bind(external_id)
        .execute(db)
        .await?;
    Ok(AccountId(account))
}

fn entity(kind: EntityType, id: &str, parent: Option<&str>) -> Entity {
    Entity {
        kind,
        id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        campaign_id: parent.map(str::to_owned),
        name: format!("Name of {id}"),
        status: EntityStatus::Active,
        platform_status: "ACTIVE".to_owned(),
        daily_budget: Some(Decimal::new(5000, 2)),
        lifetime_budget: None,
        created_at: None,
        updated_at: None,
        raw: json!({"id": id}),
    }
}

fn campaign(id: &str) -> Entity {
    entity(EntityType::Campaign, id, None)
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn days(from: &str, to: &str) -> Days {
    Days {
        from: day(from),
        to: day(to),
    }
}

fn scope(granularity: Granularity, days: Days) -> SyncWhat {
    SyncWhat::Insights(InsightScope {
        level: Level::Campaign,
        granularity,
        from: days.from,
        to: days.to,
        breakdowns: Vec::new(),
    })
}

fn figures(date: &str, entity_id: &str, clicks: i64) -> InsightRow {
    InsightRow {
        entity_id: entity_id.to_owned(),
        date: day(date),
        hour: None,
        breakdown: String::new(),
        currency: None,
        figures: Figures {
            impressions: clicks * 100,
            clicks,
            spend: Decimal::new(clicks * 125, 2),
            ..Figures::default()
        },
        reach: Some(clicks * 10),
    }
}

fn figures_of_hour(date: &str, hour: u8, entity_id: &str, clicks: i64) -> InsightRow {
    InsightRow {
        hour: Some(hour),
        ..figures(date, entity_id, clicks)
    }
}

/// Where a sync goes on, as a job may put it.
fn cursor(page: u32) -> Value {
    json!({"page": page})
}

fn first_page(limit: i64) -> PageRequest {
    PageRequest::new(Some(limit), None).expect("a sound limit")
}
