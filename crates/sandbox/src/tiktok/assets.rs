//! What an advertiser holds beside campaigns: audiences, Instant Pages and pixels. Each list wants a permission of its own, and
//! none has what was deleted.

use serde_json::{Value, json};

use super::{Call, Context, access, entities, error::TikTokError, paging::Paging, quota};
use crate::world::{Entity, Kind, Status, World};

/// The numbers of the permissions.
const AUDIENCES: &str = "3";
const MEASUREMENT: &str = "5";
const LEADS: &str = "6";
/// Most entries of a page, and of one of pixels.
const MOST: u32 = 100;
const MOST_PIXELS: u32 = 20;

/// How a list is asked for and told.
struct List {
    permission: &'static str,
    most: u32,
    kind: Kind,
    /// Where in the answer it stands.
    name: &'static str,
    show: fn(&World, &Entity) -> Value,
}

/// `GET dmp/custom_audience/list/`.
///
/// # Errors
/// Those of [`access::advertiser`], 40001 without the permission, 40002 for wrong parameters.
pub(super) fn audiences(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let list = List {
        permission: AUDIENCES,
        most: MOST,
        kind: Kind::Audience,
        name: "list",
        show: audience,
    };
    list.answer(ctx, call)
}

/// `GET page/get/`. All pages there are collect leads.
///
/// # Errors
/// As [`audiences`].
pub(super) fn pages(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let kind = match call.params.text("business_type")? {
        None | Some("LEAD_GEN") => Kind::LeadForm,
        // Of pages of shops nobody here has any.
        Some("STORE_FRONT") => Kind::Page,
        Some(_) => {
            return Err(TikTokError::parameter(
                "business_type: Must be LEAD_GEN or STORE_FRONT.",
            ));
        }
    };
    let list = List {
        permission: LEADS,
        most: MOST,
        kind,
        name: "list",
        show: page,
    };
    list.answer(ctx, call)
}

/// `GET pixel/list/`.
///
/// # Errors
/// As [`audiences`].
pub(super) fn pixels(ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
    let list = List {
        permission: MEASUREMENT,
        most: MOST_PIXELS,
        kind: Kind::Pixel,
        name: "pixels",
        show: pixel,
    };
    list.answer(ctx, call)
}

impl List {
    fn answer(&self, ctx: &Context<'_>, call: &Call<'_>) -> Result<Value, TikTokError> {
        let holder = access::holder(ctx, call)?;
        access::check_permission(&holder, self.permission)?;
        let account = access::reached(ctx, &holder, call.params.required("advertiser_id")?)?;
        quota::count(ctx, call.name, Some(&account.id))?;
        let paging = Paging::up_to(self.most, &call.params)?;
        let world = &ctx.shared.world;
        let living: Vec<Entity> = world
            .list(account.key, self.kind)
            .filter(|entity| entity.status != Status::Deleted)
            .collect();
        let shown: Vec<Value> = living
            .iter()
            .skip(paging.passed())
            .take(paging.size)
            .map(|entity| (self.show)(world, entity))
            .collect();
        Ok(json!({ self.name: shown, "page_info": paging.info(living.len()) }))
    }
}

fn audience(world: &World, entity: &Entity) -> Value {
    json!({
        "audience_id": entity.id,
        "name": entity.name,
        "audience_type": "Customer File",
        "calculate_type": "EMAIL_SHA256",
        "cover_num": world.dice(entity.key, "cover").between(1_000, 500_000),
        "is_creator": true,
        "is_expiring": false,
        "is_valid": entity.status == Status::Active,
        "shared": false,
        "create_time": entities::time(entity.created_at),
    })
}

fn page(_world: &World, entity: &Entity) -> Value {
    json!({
        "page_id": entity.id,
        "title": entity.name,
        "business_type": "LEAD_GEN",
        "status": match entity.status {
            Status::Active => "PUBLISHED",
            _ => "EDITED",
        },
        "update_time": entities::time(entity.updated_at),
    })
}

fn pixel(_world: &World, entity: &Entity) -> Value {
    json!({
        "pixel_id": entity.id,
        "pixel_code": format!("CFAKE{}", entity.id),
        "pixel_name": entity.name,
        "pixel_category": "ONLINE_STORE",
        "pixel_setup_mode": "STANDARD",
        "activity_status": match entity.status {
            Status::Active => "ACTIVE",
            _ => "INACTIVE",
        },
        "create_time": entities::time(entity.created_at),
    })
}
