//! `PUT accounts/{id}/campaigns/{id}` and of line items: a state, a budget or a name.

use serde_json::{Value, json};

use super::{Resource, shape};
use crate::{
    world::{Change, EditRefusal, Kind, Platform, Status},
    x::{access, ads::Ask, error::XError, quota::Family},
};

/// # Errors
/// ACCOUNT_NOT_FOUND, NOT_FOUND, INVALID_PARAMETER, TOO_MANY_REQUESTS.
pub(in crate::x) fn edit(
    ask: &mut Ask<'_>,
    account: &str,
    list: &str,
    thing: &str,
) -> Result<Value, XError> {
    let resource = Resource::find(list)?;
    if !matches!(resource.kind, Kind::Campaign | Kind::AdSet) {
        return Err(XError::no_route());
    }
    let account = access::account(ask.ctx, &ask.caller, account)?;
    ask.meter
        .count(ask.ctx, Family::Core, &ask.caller, Some(&account))?;
    let world = &ask.ctx.shared.world;
    let key = world
        .find(Platform::X, thing)
        .filter(|key| key.kind == resource.kind);
    let changes = changes(ask)?;
    world
        .edit(account.key, key, changes)
        .map_err(|refusal| match refusal {
            EditRefusal::Unknown | EditRefusal::Gone => XError::not_found(resource.thing, thing),
            EditRefusal::NoSuchBudget | EditRefusal::DoesNotFit => {
                XError::invalid(resource.thing, thing, refusal.to_string())
            }
        })?;
    let entity = key.and_then(|key| world.entity(key));
    let entity = entity.ok_or_else(|| XError::not_found(resource.thing, thing))?;
    Ok(json!({
        "request": { "params": ask.params.echo(Some(&account.id)) },
        "data": shape::of(world, &account, &entity),
    }))
}

fn changes(ask: &Ask<'_>) -> Result<Vec<Change>, XError> {
    let mut changes = Vec::new();
    if let Some(name) = ask.params.get("name") {
        changes.push(Change::Name(name.to_owned()));
    }
    match ask.params.get("entity_status") {
        None => {}
        Some("ACTIVE") => changes.push(Change::Status(Status::Active)),
        Some("PAUSED") => changes.push(Change::Status(Status::Paused)),
        Some(other) => {
            let message = format!("Expected one of ACTIVE, PAUSED, got \"{other}\"");
            return Err(XError::invalid("entity_status", other, message));
        }
    }
    for (name, change) in [
        (
            "daily_budget_amount_local_micro",
            Change::DailyBudget as fn(i64) -> Change,
        ),
        (
            "total_budget_amount_local_micro",
            Change::LifetimeBudget as fn(i64) -> Change,
        ),
    ] {
        let Some(text) = ask.params.get(name) else {
            continue;
        };
        let micros = text.parse::<i64>().ok().filter(|micros| *micros > 0);
        let refused = || XError::invalid(name, text, format!("Expected Long, got \"{text}\""));
        changes.push(change(micros.ok_or_else(refused)?));
    }
    Ok(changes)
}
