//! States of many campaigns, ad groups or ads, and budgets. A call with an id that is not the advertiser's is refused whole.

use serde_json::{Map, Value, json};

use super::{Call, Context, access, error::TikTokError};
use crate::world::{Account, Change, EditRefusal, Key, Kind, MICROS, Platform, Status};

/// Most ids of one call.
const MOST: usize = 20;

/// `campaign/status/update/` and its kin; `ids` is the member that names the things.
///
/// # Errors
/// [`TikTokError`]; nothing is changed then.
pub(super) fn status(
    ctx: &Context<'_>,
    call: &Call<'_>,
    (kind, ids): (Kind, &str),
) -> Result<Value, TikTokError> {
    let account = access::advertiser(ctx, call)?;
    let named = call.params.words(ids)?;
    let named = named.ok_or_else(|| TikTokError::missing(ids))?;
    if named.len() > MOST {
        return Err(TikTokError::too_many(ids, MOST));
    }
    let status = match call.params.required("operation_status")? {
        "ENABLE" => Status::Active,
        "DISABLE" => Status::Paused,
        "DELETE" => Status::Deleted,
        _ => {
            return Err(TikTokError::parameter(
                "operation_status: Must be one of ENABLE, DISABLE, DELETE.",
            ));
        }
    };
    let keys = named
        .iter()
        .map(|id| found(ctx, &account, (kind, id)))
        .collect::<Result<Vec<_>, _>>()?;
    for key in keys {
        edit(ctx, &account, key, Change::Status(status))?;
    }
    let word = call.params.required("operation_status")?;
    Ok(json!({ ids: named, "status": word }))
}

/// `campaign/update/`.
///
/// # Errors
/// [`TikTokError`].
pub(super) fn campaign(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let account = access::advertiser(ctx, call)?;
    let id = call.params.required("campaign_id")?;
    let key = found(ctx, &account, (Kind::Campaign, id))?;
    set_budget(ctx, &account, key, call.params.members())?;
    Ok(json!({ "campaign_id": id }))
}

/// `adgroup/budget/update/`.
///
/// # Errors
/// [`TikTokError`].
pub(super) fn ad_groups(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let account = access::advertiser(ctx, call)?;
    let budgets = call.params.objects("budget")?;
    if budgets.is_empty() {
        return Err(TikTokError::missing("budget"));
    }
    if budgets.len() > MOST {
        return Err(TikTokError::too_many("budget", MOST));
    }
    let mut ids = Vec::new();
    for budget in &budgets {
        let id = budget.get("adgroup_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| TikTokError::missing("adgroup_id"))?;
        let key = found(ctx, &account, (Kind::AdSet, id))?;
        set_budget(ctx, &account, key, budget)?;
        ids.push(id);
    }
    Ok(json!({ "adgroup_ids": ids }))
}

fn found(
    ctx: &Context<'_>,
    account: &Account,
    (kind, id): (Kind, &str),
) -> Result<Key, TikTokError> {
    let key = ctx.shared.world.find(Platform::TikTok, id);
    let key = key.filter(|key| key.kind == kind && key.its_account() == account.key);
    key.ok_or_else(|| TikTokError::parameter(format!("The object {id} does not exist.")))
}

/// A number in major units; which sort of budget it is the thing itself says.
fn set_budget(
    ctx: &Context<'_>,
    account: &Account,
    key: Key,
    members: &Map<String, Value>,
) -> Result<(), TikTokError> {
    let number = members.get("budget").and_then(Value::as_f64);
    let number = number.filter(|number| (0.01..1e9).contains(number));
    let number = number.ok_or_else(|| TikTokError::parameter("budget: Not a valid number."))?;
    let micros = (number * MICROS as f64).round() as i64;
    let entity = ctx.shared.world.entity(key);
    let is_daily = entity.is_some_and(|entity| entity.daily_budget_micros.is_some());
    let change = if is_daily {
        Change::DailyBudget(micros)
    } else {
        Change::LifetimeBudget(micros)
    };
    edit(ctx, account, key, change)
}

fn edit(ctx: &Context<'_>, account: &Account, key: Key, change: Change) -> Result<(), TikTokError> {
    let edited = ctx.shared.world.edit(account.key, Some(key), vec![change]);
    edited.map_err(|refusal: EditRefusal| TikTokError::parameter(refusal.to_string()))
}
