//! Batches of partial updates of campaign groups, campaigns and creatives. Each has a status of its own: 204 in `results`, or an
//! envelope in `errors`.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Context, access, call::check_version, error::ApiError, quota, restli::Node, urn};
use crate::{
    door::Incoming,
    oauth::Holder,
    world::{Account, Change, EditRefusal, Key, Kind, MICROS, Platform, Status},
};

/// What may change things.
const WRITE: [&str; 1] = ["rw_ads"];

/// Most entities of one batch; chosen.
const MOST: usize = 100;

/// Whether it is such a batch.
pub(super) fn is_batch(incoming: &Incoming) -> bool {
    incoming.header("x-restli-method") == Some("BATCH_PARTIAL_UPDATE")
}

/// # Errors
/// [`ApiError`] where the batch as a whole is wrong or may not be made.
pub(super) fn update(ctx: &Context<'_>, incoming: &Incoming) -> Result<Value, ApiError> {
    check_version(incoming, incoming.at)?;
    let holder = access::holder(ctx, incoming)?;
    access::require(&holder, &WRITE, "adAccounts")?;
    let path = incoming.path.strip_prefix("/rest/").unwrap_or_default();
    let segments: Vec<_> = path.split('/').collect();
    let (account, kind) = match segments.as_slice() {
        ["adAccounts", id, "adCampaignGroups"] => (*id, Kind::Campaign),
        ["adAccounts", id, "adCampaigns"] => (*id, Kind::AdSet),
        ["adAccounts", id, "creatives"] => (*id, Kind::Ad),
        _ => return Err(ApiError::not_found(&incoming.path)),
    };
    batch(ctx, incoming, &holder, (account, kind))
}

fn batch(
    ctx: &Context<'_>,
    incoming: &Incoming,
    holder: &Holder,
    (account, kind): (&str, Kind),
) -> Result<Value, ApiError> {
    let account = access::account(ctx, holder, account)?;
    quota::count_call(ctx, Some(&account.id), "update")?;
    let body: Value = serde_json::from_slice(&incoming.body)
        .map_err(|_| ApiError::illegal("The body of the request is not JSON"))?;
    let query = incoming.uri.query().unwrap_or_default();
    let ids = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("ids="))
        .and_then(Node::read);
    let ids = ids.as_ref().and_then(Node::texts);
    let ids = ids.ok_or_else(|| ApiError::bad_syntax("ids"))?;
    let named = body["entities"].as_object().map_or(0, Map::len);
    if ids.is_empty() || ids.len() > MOST || named != ids.len() {
        return Err(ApiError::illegal(
            "The ids of the query and the entities of the body have to be the same, at most 100",
        ));
    }
    let (mut results, mut errors) = (Map::new(), Map::new());
    for id in ids {
        let set = &body["entities"][id]["patch"]["$set"];
        match one(ctx, &account, (id, kind), set) {
            Ok(()) => results.insert(id.to_owned(), json!({ "status": 204 })),
            Err((status, message)) => errors.insert(
                id.to_owned(),
                json!({ "status": status.as_u16(), "message": message }),
            ),
        };
    }
    Ok(json!({ "results": results, "errors": errors }))
}

type Refusal = (StatusCode, String);

fn one(
    ctx: &Context<'_>,
    account: &Account,
    (id, kind): (&str, Kind),
    set: &Value,
) -> Result<(), Refusal> {
    let world = &ctx.shared.world;
    let key: Option<Key> = if kind == Kind::Ad {
        urn::read(world, id, kind)
    } else {
        let found = world.find(Platform::LinkedIn, id);
        found.filter(|key| key.kind == kind)
    };
    let members = set.as_object().filter(|set| !set.is_empty());
    let members = members.ok_or_else(|| bad("patch.$set is missing"))?;
    let changes = members
        .iter()
        .map(|(name, value)| change(account, kind, (name, value)))
        .collect::<Result<Vec<_>, _>>()?;
    world
        .edit(account.key, key, changes)
        .map_err(|refusal| match refusal {
            EditRefusal::Unknown => (
                StatusCode::NOT_FOUND,
                format!("Could not find entity: {id}"),
            ),
            other => bad(&other.to_string()),
        })
}

fn change(account: &Account, kind: Kind, (name, value): (&str, &Value)) -> Result<Change, Refusal> {
    let status = if kind == Kind::Ad {
        "intendedStatus"
    } else {
        "status"
    };
    match name {
        name if name == status => match value.as_str() {
            Some("ACTIVE") => Ok(Change::Status(Status::Active)),
            Some("PAUSED") => Ok(Change::Status(Status::Paused)),
            Some("ARCHIVED") => Ok(Change::Status(Status::Archived)),
            _ => Err(bad("the status is not one of ACTIVE, PAUSED and ARCHIVED")),
        },
        "dailyBudget" => amount(account, value).map(Change::DailyBudget),
        "totalBudget" => amount(account, value).map(Change::LifetimeBudget),
        "name" => Ok(Change::Name(value.as_str().unwrap_or_default().to_owned())),
        other => Err(bad(&format!("{other} cannot be changed"))),
    }
}

/// Major units, as text, in the account's currency.
fn amount(account: &Account, value: &Value) -> Result<i64, Refusal> {
    if value["currencyCode"].as_str() != Some(account.currency.code()) {
        return Err(bad("the currency is not the account's"));
    }
    let text = value["amount"].as_str().unwrap_or_default();
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    let cents: Option<i64> = (cents.len() <= 6 && cents.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| format!("{cents:0<6}").parse().ok())
        .flatten();
    let whole: Option<i64> = whole.parse().ok();
    whole
        .zip(cents)
        .and_then(|(whole, micros)| whole.checked_mul(MICROS)?.checked_add(micros))
        .filter(|micros| *micros > 0)
        .ok_or_else(|| bad("the amount is none"))
}

fn bad(message: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, message.to_owned())
}
