//! `POST /{id}`: campaigns, ad sets and ads are given a state, a budget or a name.

use serde_json::{Value, json};

use crate::{
    meta::{
        Context, access,
        call::Call,
        error::GraphError,
        usage::{Case, Meter},
    },
    world::{Change, Currency, EditRefusal, Kind, Status},
};

/// What a thing can be set to.
const STATUSES: [(&str, Status); 4] = [
    ("ACTIVE", Status::Active),
    ("PAUSED", Status::Paused),
    ("ARCHIVED", Status::Archived),
    ("DELETED", Status::Deleted),
];

/// # Errors
/// [`GraphError`] for what is not there or cannot be changed so, and for whoever may not.
pub(in crate::meta) fn edit(
    call: &Call,
    ctx: &Context<'_>,
    object: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let key = access::find(ctx, &call.method, object)?;
    if !matches!(key.kind, Kind::Campaign | Kind::AdSet | Kind::Ad) {
        return Err(GraphError::no_such_object(&call.method, object));
    }
    let caller = access::check(call, ctx)?;
    caller.require_account(ctx, key)?;
    caller.require(&["ads_management"], ctx.now)?;
    meter.count(ctx, key.its_account(), Case::AdsManagement)?;
    let world = &ctx.shared.world;
    let changes = changes(call, world.account_of(key).currency)?;
    if changes.is_empty() {
        return Err(GraphError::bad_param("status", "or a budget is required"));
    }
    world
        .edit(key, Some(key), changes)
        .map_err(|refusal| match refusal {
            EditRefusal::Unknown => GraphError::no_such_object(&call.method, object),
            EditRefusal::Gone => GraphError::bad_param("status", "is of an object that is gone"),
            EditRefusal::NoSuchBudget | EditRefusal::DoesNotFit => {
                GraphError::bad_param("budget", "does not fit the object's budget type")
            }
        })?;
    Ok(json!({ "success": true }))
}

fn changes(call: &Call, currency: Currency) -> Result<Vec<Change>, GraphError> {
    let mut changes = Vec::new();
    if let Some(name) = call.text("name") {
        changes.push(Change::Name(name.to_owned()));
    }
    if let Some(word) = call.text("status") {
        let known = STATUSES.iter().find(|(known, _)| *known == word);
        let (_, status) = known.ok_or_else(|| {
            GraphError::bad_param(
                "status",
                "must be one of {ACTIVE, PAUSED, DELETED, ARCHIVED}",
            )
        })?;
        changes.push(Change::Status(*status));
    }
    for (name, change) in [
        ("daily_budget", Change::DailyBudget as fn(i64) -> Change),
        (
            "lifetime_budget",
            Change::LifetimeBudget as fn(i64) -> Change,
        ),
    ] {
        if !call.has(name) {
            continue;
        }
        let micros = call
            .number(name)
            .and_then(|units| units.checked_mul(currency.minor_micros()))
            .filter(|micros| *micros > 0)
            .ok_or_else(|| GraphError::bad_param(name, "must be a whole number above 0"))?;
        changes.push(change(micros));
    }
    Ok(changes)
}
