//! Ad accounts, what they hold, Pages and Instagram accounts: single things by id, and lists of
//! them by edge.

mod account;
mod ad;
mod ad_set;
mod asset;
mod campaign;
mod edit;
mod filter;
mod list;
mod page;

use serde_json::{Map, Value};

use super::{
    Context,
    access::{self, Caller},
    call::Call,
    error::GraphError,
    fields::Fields,
    usage::{Case, Meter},
};
use crate::world::{Entity, Key, Kind};

pub(super) use account::accounts;
pub(super) use edit::edit;
pub(super) use filter::Filter;
pub(super) use page::pages;

/// A thing as Graph shows it, with every member that can be asked for.
type Thing = Map<String, Value>;

/// `GET /{id}`.
///
/// # Errors
/// [`GraphError`] for what is not there, and for whoever may not see it.
pub(super) fn show(
    call: &Call,
    ctx: &Context<'_>,
    object: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let key = access::find(ctx, &call.method, object)?;
    let caller = access::check(call, ctx)?;
    admit(&caller, ctx, key)?;
    meter.count(ctx, counted(key), case(key.kind))?;
    if key.kind == Kind::Account {
        let fields = Fields::of(call, &["id", "account_id"])?;
        return fields.select("AdAccount", &account::thing(ctx, key));
    }
    let entity = ctx
        .shared
        .world
        .entity(key)
        .ok_or_else(|| GraphError::no_such_object(&call.method, object))?;
    let fields = Fields::of(call, &["id"])?;
    fields.select(node(key.kind), &thing(ctx, &caller, &entity))
}

/// `GET /{id}/{edge}`.
///
/// # Errors
/// [`GraphError`] for an edge that is not there, and for whoever may not see it.
pub(super) fn edge(
    call: &Call,
    ctx: &Context<'_>,
    (object, edge): (&str, &str),
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let root = access::find(ctx, &call.method, object)?;
    let kind = kind_of(root.kind, edge).ok_or_else(|| GraphError::unknown_path(edge))?;
    let caller = access::check(call, ctx)?;
    admit(&caller, ctx, root)?;
    if kind == Kind::LeadForm {
        caller.require(&["leads_retrieval", "pages_manage_ads"], ctx.now)?;
    }
    meter.count(ctx, counted(root), case(kind))?;
    list::of(call, ctx, &caller, (root, kind))
}

/// Lets a call pass whose token reaches the thing.
fn admit(caller: &Caller, ctx: &Context<'_>, key: Key) -> Result<(), GraphError> {
    match key.kind {
        Kind::Page | Kind::LeadForm | Kind::InstagramAccount => {
            let scopes = [
                "pages_show_list",
                "pages_read_engagement",
                "instagram_basic",
            ];
            caller.require(&scopes, ctx.now)
        }
        _ => caller.require_account(ctx, key),
    }
}

/// What a call is counted for: pages have allowances of their own, everything else its account's.
fn counted(key: Key) -> Key {
    match key.kind {
        Kind::Page | Kind::InstagramAccount => key,
        Kind::LeadForm => key.parent().unwrap_or(key),
        _ => key.its_account(),
    }
}

fn case(kind: Kind) -> Case {
    match kind {
        Kind::Page => Case::Pages,
        Kind::InstagramAccount => Case::Instagram,
        Kind::LeadForm => Case::LeadGen,
        _ => Case::AdsManagement,
    }
}

/// What the edge of a thing lists.
fn kind_of(root: Kind, edge: &str) -> Option<Kind> {
    let kind = match edge {
        "campaigns" => Kind::Campaign,
        "adsets" => Kind::AdSet,
        "ads" => Kind::Ad,
        "adcreatives" => Kind::Creative,
        "customaudiences" => Kind::Audience,
        "adspixels" => Kind::Pixel,
        "leadgen_forms" => Kind::LeadForm,
        _ => return None,
    };
    let fits = match root {
        Kind::Account => kind != Kind::LeadForm,
        Kind::Campaign => matches!(kind, Kind::AdSet | Kind::Ad),
        Kind::AdSet => matches!(kind, Kind::Ad | Kind::Creative),
        Kind::Ad => kind == Kind::Creative,
        Kind::Page => kind == Kind::LeadForm,
        _ => false,
    };
    fits.then_some(kind)
}

fn node(kind: Kind) -> &'static str {
    match kind {
        Kind::Account => "AdAccount",
        Kind::Campaign => "AdCampaignGroup",
        Kind::AdSet => "AdCampaign",
        Kind::Ad => "AdGroup",
        Kind::Creative => "AdCreative",
        Kind::Audience => "CustomAudience",
        Kind::LeadForm => "LeadGenData",
        Kind::Pixel => "AdsPixel",
        Kind::Page => "Page",
        Kind::InstagramAccount => "ShadowIGUser",
        Kind::FundingInstrument => "FundingSource",
    }
}

fn thing(ctx: &Context<'_>, caller: &Caller, entity: &Entity) -> Thing {
    match entity.key.kind {
        Kind::Campaign => campaign::thing(ctx, entity),
        Kind::AdSet => ad_set::thing(ctx, entity),
        Kind::Ad => ad::thing(ctx, entity),
        Kind::Creative => ad::creative(ctx, entity),
        Kind::Audience => asset::audience(ctx, entity),
        Kind::Pixel => asset::pixel(ctx, entity),
        Kind::LeadForm => asset::lead_form(ctx, entity),
        Kind::Page => page::thing(ctx, caller, entity),
        Kind::InstagramAccount => page::instagram(ctx, entity),
        Kind::Account | Kind::FundingInstrument => Thing::new(),
    }
}

/// The members of a JSON object.
fn members(object: Value) -> Thing {
    match object {
        Value::Object(members) => members,
        _ => Thing::new(),
    }
}
