//! What an account holds beside its campaigns: ad segments and rules that count conversions.

use serde_json::{Value, json};

use super::{
    Context, access, call::Call, error::ApiError, lists, numbered::Numbered, quota, shapes, urn,
};
use crate::{
    oauth::Holder,
    world::{Entity, Kind, Status},
};

/// `GET /adSegments?q=accounts`, of one account.
///
/// # Errors
/// [`ApiError`].
pub(super) fn segments(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
) -> Result<Value, ApiError> {
    call.allow(&["q", "accounts", "start", "count"])?;
    lists::finder(call, "accounts")?;
    let node = call.node("accounts")?;
    let node = node.ok_or_else(|| ApiError::missing_param("accounts"))?;
    let urns = node.texts();
    let Some([urn]) = urns.as_deref() else {
        return Err(ApiError::bad_syntax("accounts"));
    };
    let list = List {
        endpoint: "adSegments",
        kind: Kind::Audience,
    };
    list.find(ctx, holder, call, ("accounts", *urn))
}

/// `GET /conversions?q=account`.
///
/// # Errors
/// [`ApiError`].
pub(super) fn conversions(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
) -> Result<Value, ApiError> {
    call.allow(&["q", "account", "start", "count"])?;
    lists::finder(call, "account")?;
    let urn = call.text("account")?;
    let urn = urn.ok_or_else(|| ApiError::missing_param("account"))?;
    let list = List {
        endpoint: "conversions",
        kind: Kind::Pixel,
    };
    list.find(ctx, holder, call, ("account", urn.as_str()))
}

struct List {
    endpoint: &'static str,
    kind: Kind,
}

impl List {
    fn find(
        &self,
        ctx: &Context<'_>,
        holder: &Holder,
        call: &Call<'_>,
        (param, urn): (&str, &str),
    ) -> Result<Value, ApiError> {
        access::require(holder, &access::READ, self.endpoint)?;
        let id = urn.strip_prefix(urn::prefix(Kind::Account));
        let id = id.ok_or_else(|| ApiError::bad_syntax(param))?;
        let account = access::account(ctx, holder, id)?;
        quota::count_call(ctx, Some(&account.id), self.endpoint)?;
        let page = Numbered::of(call)?;
        let world = &ctx.shared.world;
        let entities: Vec<Entity> = world.list(account.key, self.kind).collect();
        let owner = urn::of(world, account.key);
        Ok(page.cut(call, &entities, |entity| match self.kind {
            Kind::Audience => {
                let dice = world.dice(entity.key, "members");
                segment(entity, &owner, dice.between(300, 500_000))
            }
            _ => conversion(entity, &owner),
        }))
    }
}

fn segment(entity: &Entity, owner: &str, members: i64) -> Value {
    let stamps = shapes::stamps(entity.created_at, entity.updated_at);
    json!({
        "id": shapes::number(&entity.id),
        "account": owner,
        "name": entity.name,
        "type": "BULK",
        "status": match entity.status {
            Status::Archived | Status::Deleted => "ARCHIVED",
            _ => "READY",
        },
        "approximateMemberCount": members,
        "created": stamps["created"],
        "lastModified": stamps["lastModified"],
    })
}

fn conversion(entity: &Entity, owner: &str) -> Value {
    json!({
        "id": shapes::number(&entity.id),
        "account": owner,
        "name": entity.name,
        "type": "PURCHASE",
        "conversionMethod": "INSIGHT_TAG_URL_MATCH_RULES",
        "enabled": entity.status == Status::Active,
        "attributionType": "LAST_TOUCH_BY_CAMPAIGN",
        "postClickAttributionWindowSize": 30,
        "viewThroughAttributionWindowSize": 7,
        "created": entity.created_at.timestamp_millis(),
        "lastModified": entity.updated_at.timestamp_millis(),
    })
}
