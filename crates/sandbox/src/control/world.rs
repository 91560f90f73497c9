//! The world as it truly is, for tests to compare with, its clock, and what somebody changes in it
//! beside the platforms.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::task;

use super::{ControlError, Local, read};
use crate::{
    shared::Shared,
    world::{
        Account, AccountStatus, Change, Entity, Figures, Grain, Key, Kind, Platform, Position,
        RowQuery, Status, World, parse_day,
    },
};

/// Most rows of one export.
pub(super) const MOST_ROWS: usize = 200_000;

#[derive(Serialize)]
pub(super) struct ClockAnswer {
    now: DateTime<Utc>,
    stopped: bool,
}

pub(super) async fn clock(State(shared): State<Arc<Shared>>, _: Local) -> Json<ClockAnswer> {
    let clock = shared.world.clock();
    Json(ClockAnswer {
        now: clock.now(),
        stopped: clock.is_stopped(),
    })
}

/// What becomes of the clock, in this order.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockRequest {
    stopped: Option<bool>,
    set: Option<DateTime<Utc>>,
    #[serde(default)]
    advance_s: i32,
}

pub(super) async fn set_clock(
    State(shared): State<Arc<Shared>>,
    local: Local,
    body: Bytes,
) -> Result<Json<ClockAnswer>, ControlError> {
    let request: ClockRequest = read(&body)?;
    let held = shared.world.clock();
    match request.stopped {
        Some(true) => held.stop(),
        Some(false) => held.run(),
        None => {}
    }
    if let Some(now) = request.set {
        held.set(now)?;
    }
    held.advance(TimeDelta::seconds(i64::from(request.advance_s)))?;
    Ok(clock(State(Arc::clone(&shared)), local).await)
}

/// What somebody does to a thing; what is missing stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeRequest {
    platform: Platform,
    /// The platform's id of it.
    id: String,
    name: Option<String>,
    status: Option<Status>,
    account_status: Option<AccountStatus>,
    daily_budget_micros: Option<i64>,
    lifetime_budget_micros: Option<i64>,
}

pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    _: Local,
    body: Bytes,
) -> Result<StatusCode, ControlError> {
    let request: ChangeRequest = read(&body)?;
    let key = shared
        .world
        .find(request.platform, &request.id)
        .ok_or(ControlError::Unknown)?;
    let changes = [
        request.name.map(Change::Name),
        request.status.map(Change::Status),
        request.account_status.map(Change::AccountStatus),
        request.daily_budget_micros.map(Change::DailyBudget),
        request.lifetime_budget_micros.map(Change::LifetimeBudget),
    ];
    shared
        .world
        .change(key, changes.into_iter().flatten().collect())?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn accounts(State(shared): State<Arc<Shared>>, _: Local) -> Json<Value> {
    let platforms: Map<String, Value> = Platform::ALL
        .into_iter()
        .map(|platform| {
            let accounts = shared.world.accounts(platform);
            let shown = accounts.iter().map(account_json).collect();
            (platform.as_str().to_owned(), Value::Array(shown))
        })
        .collect();
    Json(json!({ "now": shared.world.now(), "accounts": platforms }))
}

fn account_json(account: &Account) -> Value {
    json!({
        "id": account.id,
        "name": account.name,
        "status": account.status.as_str(),
        "currency": account.currency.code(),
        "time_zone": account.zone.name(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntitiesQuery {
    platform: Platform,
    account: String,
    kind: String,
}

pub(super) async fn entities(
    State(shared): State<Arc<Shared>>,
    _: Local,
    Query(query): Query<EntitiesQuery>,
) -> Result<Response, ControlError> {
    let account = account_key(&shared.world, query.platform, &query.account)?;
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == query.kind && *kind != Kind::Account)
        .ok_or(ControlError::Word(
            "kind",
            "campaign, ad_set, ad, creative, audience, lead_form, pixel, page, instagram_account \
             and funding_instrument",
        ))?;
    computed(move || {
        let world = &shared.world;
        let shown: Vec<_> = world
            .list(account, kind)
            .map(|entity| entity_json(world, &entity))
            .collect();
        Ok(json!({ "count": shown.len(), "entities": shown }))
    })
    .await
}

fn entity_json(world: &World, entity: &Entity) -> Value {
    json!({
        "id": entity.id,
        "parent_id": entity.key.parent().map(|parent| world.id(parent)),
        "campaign_id": entity.key.campaign().map(|campaign| world.id(campaign)),
        "name": entity.name,
        "status": entity.status.as_str(),
        "effective": entity.effective.as_str(),
        "daily_budget_micros": entity.daily_budget_micros,
        "lifetime_budget_micros": entity.lifetime_budget_micros,
        "created_at": entity.created_at,
        "updated_at": entity.updated_at,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    platform: Platform,
    account: String,
    level: String,
    granularity: String,
    from: String,
    to: String,
    /// As it is seen at this moment; now without it.
    seen: Option<DateTime<Utc>>,
}

/// Figures as they are.
#[derive(Serialize)]
struct Export {
    count: usize,
    totals: Figures,
    rows: Vec<ExportRow>,
}

/// The figures of something in some time.
#[derive(Serialize)]
struct ExportRow {
    entity_id: String,
    date: NaiveDate,
    hour: Option<u8>,
    #[serde(flatten)]
    figures: Figures,
}

pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    _: Local,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ControlError> {
    let level = Kind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == query.level && kind.has_figures())
        .ok_or(ControlError::Word(
            "level",
            "account, campaign, ad_set and ad",
        ))?;
    let grain = match query.granularity.as_str() {
        "hour" => Grain::Hour,
        "day" => Grain::Day,
        _ => return Err(ControlError::Word("granularity", "hour and day")),
    };
    let query = RowQuery {
        account: account_key(&shared.world, query.platform, &query.account)?,
        level,
        only: None,
        grain,
        from: parse_day(&query.from).ok_or(ControlError::Day("from"))?,
        to: parse_day(&query.to).ok_or(ControlError::Day("to"))?,
        seen: query.seen.unwrap_or_else(|| shared.world.now()),
    };
    computed(move || exported(&shared.world, &query)).await
}

fn exported(world: &World, query: &RowQuery) -> Result<Export, ControlError> {
    let mut totals = Figures::default();
    let mut rows = Vec::new();
    for row in world.rows(query, Position::default()) {
        if rows.len() >= MOST_ROWS {
            return Err(ControlError::TooManyRows);
        }
        totals += row.figures;
        rows.push(ExportRow {
            entity_id: world.id(row.key),
            date: row.bucket.from,
            hour: row.bucket.hour,
            figures: row.figures,
        });
    }
    Ok(Export {
        count: rows.len(),
        totals,
        rows,
    })
}

fn account_key(world: &World, platform: Platform, id: &str) -> Result<Key, ControlError> {
    let account = world.account(platform, id).ok_or(ControlError::Unknown)?;
    Ok(account.key)
}

/// What takes a while to compute and to write down, where it keeps nobody waiting.
async fn computed<T: Serialize>(
    work: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<Response, ControlError> {
    let text = move || serde_json::to_vec(&work()?).map_err(|_| ControlError::Broken);
    let made = task::spawn_blocking(text).await;
    let json = made.map_err(|_| ControlError::Broken)??;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}
