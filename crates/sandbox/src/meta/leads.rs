//! Leads by their ids and by their forms. One may not be readable for the first minutes, and none is
//! after 90 days.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    Context, access,
    call::Call,
    error::GraphError,
    fields::Fields,
    paging::{self, PageRequest},
    usage::{Case, Meter},
    words,
};
use crate::{
    leads::Lead,
    world::{Key, Kind},
};

/// For how long a lead is shown.
const KEPT: TimeDelta = TimeDelta::days(90);
/// Most leads of a page.
const MOST: usize = 500;
const NODE: &str = "UserLeadGenInfo";
const USUAL: [&str; 3] = ["id", "created_time", "field_data"];
const RIGHTS: [&str; 1] = ["leads_retrieval"];

/// A lead of this id.
pub(super) fn find(ctx: &Context<'_>, id: &str) -> Option<Lead> {
    ctx.shared.leads.get(id)
}

/// `GET /{lead}`.
///
/// # Errors
/// 100/33 for one that is not readable yet, or not any more.
pub(super) fn show(
    call: &Call,
    ctx: &Context<'_>,
    lead: &Lead,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require(&RIGHTS, ctx.now)?;
    meter.count(ctx, page_of(lead.form), Case::LeadGen)?;
    if !is_readable(ctx, lead) {
        return Err(GraphError::no_such_object(&call.method, &lead.id()));
    }
    Fields::of(call, &USUAL)?.select(NODE, &members(ctx, lead))
}

/// `GET /{form}/leads`.
///
/// # Errors
/// [`GraphError`] for what is no form, and for whoever may not see its leads.
pub(super) fn list(
    call: &Call,
    ctx: &Context<'_>,
    form: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let form = access::find(ctx, &call.method, form)?;
    if form.kind != Kind::LeadForm {
        return Err(GraphError::unknown_path("leads"));
    }
    let caller = access::check(call, ctx)?;
    caller.require(&RIGHTS, ctx.now)?;
    meter.count(ctx, page_of(form), Case::LeadGen)?;
    let since = since(call)?;
    let fields = Fields::of(call, &USUAL)?;
    let page = PageRequest::of(call, MOST)?;
    let leads = ctx.shared.leads.of_form(form);
    let wanted = leads
        .iter()
        .filter(|lead| is_readable(ctx, lead) && lead.created_at.timestamp() > since);
    let numbers: Vec<u32> = wanted.map(|lead| lead.number).collect();
    let (on_page, has_more) = paging::cut(&numbers, &page)?;
    let mut data = Vec::new();
    for lead in leads.iter().filter(|lead| on_page.contains(&lead.number)) {
        data.push(fields.select(NODE, &members(ctx, lead))?);
    }
    let ends = on_page.first().zip(on_page.last());
    let ends = ends.map(|(first, last)| (first.to_string(), last.to_string()));
    Ok(paging::page(call, data, ends, has_more))
}

/// After which moment leads are asked for, in Unix seconds.
fn since(call: &Call) -> Result<i64, GraphError> {
    let Some(filtering) = call.structure("filtering") else {
        return Ok(i64::MIN);
    };
    let refused = || GraphError::bad_param("filtering", "must filter time_created by GREATER_THAN");
    let filter = filtering.get(0).ok_or_else(refused)?;
    let is_known = filter["field"] == "time_created" && filter["operator"] == "GREATER_THAN";
    let value = filter["value"].as_i64().filter(|_| is_known);
    value.ok_or_else(refused)
}

fn is_readable(ctx: &Context<'_>, lead: &Lead) -> bool {
    lead.readable_at <= ctx.now && ctx.now - lead.created_at < KEPT
}

fn page_of(form: Key) -> Key {
    form.parent().unwrap_or(form)
}

/// A lead with every member that can be asked for. Every fifth is organic: no ad showed its form.
fn members(ctx: &Context<'_>, lead: &Lead) -> serde_json::Map<String, Value> {
    let world = &ctx.shared.world;
    let account = world.account_of(lead.form);
    let number = lead.number;
    let is_organic = number % 5 == 4;
    let ad = ad_of(ctx, lead).and_then(|ad| world.entity(ad));
    let above = |kind: Kind| {
        let mut key = ad.as_ref()?.key;
        while key.kind != kind {
            key = key.parent()?;
        }
        Some(world.id(key))
    };
    let told = json!({
        "id": lead.id(),
        "created_time": words::time(lead.created_at, account.zone),
        "form_id": world.id(lead.form),
        "ad_id": ad.as_ref().map(|ad| &ad.id),
        "ad_name": ad.as_ref().map(|ad| &ad.name),
        "adset_id": above(Kind::AdSet),
        "campaign_id": above(Kind::Campaign),
        "is_organic": is_organic,
        "platform": if number % 3 == 2 { "ig" } else { "fb" },
        "custom_disclaimer_responses": [{ "checkbox_key": "consent", "is_checked": "1" }],
        "field_data": [
            { "name": "full_name", "values": [format!("Fake Persón {number}")] },
            { "name": "email", "values": [format!("lead{number}@example.com")] },
            { "name": "phone_number", "values": [format!("+1555{number:07}")] },
        ],
    });
    match told {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}

/// The ad that showed the form.
fn ad_of(ctx: &Context<'_>, lead: &Lead) -> Option<Key> {
    if lead.number % 5 == 4 {
        return None;
    }
    let account = lead.form.its_account();
    ctx.shared.world.keys(account, Kind::Ad).first().copied()
}
