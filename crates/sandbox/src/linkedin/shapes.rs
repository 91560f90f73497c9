//! Accounts and what they hold, as LinkedIn's JSON.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::urn;
use crate::world::{
    Account, AccountStatus, Currency, Effective, Entity, Kind, Objective, Status, World, decimal,
};

/// Who changes things.
const ACTOR: &str = "urn:li:person:fakePerson1";

pub(super) fn account(account: &Account) -> Value {
    json!({
        "id": number(&account.id),
        "name": account.name,
        "currency": account.currency.code(),
        "status": account_status(account.status),
        "type": "BUSINESS",
        "servingStatuses": match account.status {
            AccountStatus::Active => ["RUNNABLE"],
            AccountStatus::Disabled => ["RESTRICTED_HOLD"],
            AccountStatus::Closed => ["STOPPED"],
        },
        "reference": "urn:li:organization:1",
        "test": false,
        "changeAuditStamps": stamps(account.created_at, account.updated_at),
    })
}

pub(super) fn account_status(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active | AccountStatus::Disabled => "ACTIVE",
        AccountStatus::Closed => "CANCELED",
    }
}

/// A campaign group, a campaign or a creative.
pub(super) fn thing(world: &World, account: &Account, entity: &Entity) -> Value {
    match entity.key.kind {
        Kind::Campaign => group(world, account, entity),
        Kind::AdSet => campaign(world, account, entity),
        _ => creative(world, account, entity),
    }
}

/// The `status` of a group or a campaign, the `intendedStatus` of a creative.
pub(super) fn status(entity: &Entity) -> &'static str {
    match (entity.status, entity.effective) {
        (Status::Deleted, _) => "REMOVED",
        (Status::Archived, _) => "ARCHIVED",
        (Status::Paused, _) => "PAUSED",
        // A creative never ends by itself.
        (_, Effective::Ended) if entity.key.kind != Kind::Ad => "COMPLETED",
        _ => "ACTIVE",
    }
}

fn group(world: &World, account: &Account, entity: &Entity) -> Value {
    let mut group = json!({
        "id": number(&entity.id),
        "account": urn::of(world, account.key),
        "name": entity.name,
        "status": status(entity),
        "servingStatuses": serving(entity),
        "runSchedule": schedule(entity),
        "test": false,
        "changeAuditStamps": stamps(entity.created_at, entity.updated_at),
    });
    add_budget(&mut group, account.currency, entity);
    group
}

fn campaign(world: &World, account: &Account, entity: &Entity) -> Value {
    let dice = world.dice(entity.key, "linkedin");
    let unit_micros = account.currency.minor_micros() * dice.of(1).between(300, 1_500);
    let mut campaign = json!({
        "id": number(&entity.id),
        "account": urn::of(world, account.key),
        "campaignGroup": entity.key.parent().map(|group| urn::of(world, group)),
        "name": entity.name,
        "status": status(entity),
        "type": dice.of(2).pick(&["SPONSORED_UPDATES", "SPONSORED_UPDATES", "TEXT_AD", "SPONSORED_INMAILS"]),
        "costType": dice.of(3).pick(&["CPM", "CPC"]),
        "objectiveType": match entity.objective {
            Objective::Awareness => "BRAND_AWARENESS",
            Objective::Traffic => "WEBSITE_VISIT",
            Objective::Engagement => "ENGAGEMENT",
            Objective::Leads => "LEAD_GENERATION",
            Objective::Sales => "WEBSITE_CONVERSION",
        },
        "unitCost": amount(account.currency, unit_micros),
        "runSchedule": schedule(entity),
        "servingStatuses": serving(entity),
        "test": false,
        "changeAuditStamps": stamps(entity.created_at, entity.updated_at),
    });
    add_budget(&mut campaign, account.currency, entity);
    campaign
}

fn creative(world: &World, account: &Account, entity: &Entity) -> Value {
    let is_serving = entity.effective == Effective::Active;
    let mut creative = json!({
        "id": urn::of(world, entity.key),
        "account": urn::of(world, account.key),
        "campaign": entity.key.parent().map(|campaign| urn::of(world, campaign)),
        "name": entity.name,
        "intendedStatus": status(entity),
        "isServing": is_serving,
        "isTest": false,
        "review": { "status": match entity.status {
            Status::Disapproved => "REJECTED",
            Status::InReview => "PENDING",
            _ => "APPROVED",
        } },
        "content": { "reference": format!("urn:li:share:7{}", entity.id) },
        "createdAt": entity.created_at.timestamp_millis(),
        "createdBy": ACTOR,
        "lastModifiedAt": entity.updated_at.timestamp_millis(),
        "lastModifiedBy": ACTOR,
    });
    if !is_serving {
        creative["servingHoldReasons"] = json!([hold(entity)]);
    }
    creative
}

/// Why something does not run.
fn hold(entity: &Entity) -> &'static str {
    match entity.effective {
        Effective::Active => "RUNNABLE",
        Effective::Disapproved => "REJECTED",
        Effective::InReview => "UNDER_REVIEW",
        Effective::CampaignPaused => "CAMPAIGN_GROUP_STATUS_HOLD",
        Effective::AdSetPaused => "CAMPAIGN_STOPPED",
        Effective::Ended => "CAMPAIGN_GROUP_END_DATE_HOLD",
        Effective::WithIssues => "BILLING_HOLD",
        Effective::Paused | Effective::Archived | Effective::Deleted => "STOPPED",
    }
}

fn serving(entity: &Entity) -> [&'static str; 1] {
    [hold(entity)]
}

/// Times are milliseconds since 1970.
fn schedule(entity: &Entity) -> Value {
    let mut schedule = json!({ "start": entity.starts_at.timestamp_millis() });
    if let Some(end) = entity.ends_at {
        schedule["end"] = json!(end.timestamp_millis());
    }
    schedule
}

/// When something was made and changed, and by whom.
pub(super) fn stamps(created_at: DateTime<Utc>, updated_at: DateTime<Utc>) -> Value {
    let stamp = |at: DateTime<Utc>| json!({ "actor": ACTOR, "time": at.timestamp_millis() });
    json!({ "created": stamp(created_at), "lastModified": stamp(updated_at) })
}

fn add_budget(thing: &mut Value, currency: Currency, entity: &Entity) {
    if let Some(micros) = entity.daily_budget_micros {
        thing["dailyBudget"] = amount(currency, micros);
    }
    if let Some(micros) = entity.lifetime_budget_micros {
        thing["totalBudget"] = amount(currency, micros);
    }
}

/// Major units, as text.
fn amount(currency: Currency, micros: i64) -> Value {
    json!({
        "amount": decimal(micros, currency.decimals()),
        "currencyCode": currency.code(),
    })
}

/// Ids are numbers where they are no URNs.
pub(super) fn number(id: &str) -> Value {
    json!(id.parse::<i64>().unwrap_or_default())
}
