//! A page of a list. It is cut before what is archived and deleted is left out, so pages differ in
//! length and may be empty.

use serde_json::Value;

use super::{Filter, node, thing};
use crate::{
    meta::{
        Context,
        access::Caller,
        call::Call,
        error::GraphError,
        fields::Fields,
        paging::{self, PageRequest},
    },
    world::{Key, Kind},
};

/// Most entries of a page, and of one with fields that are much work.
const MOST: usize = 500;
const MOST_HEAVY: usize = 50;

/// The page that a call asks for of what is below a thing.
pub(super) fn of(
    call: &Call,
    ctx: &Context<'_>,
    caller: &Caller,
    (root, kind): (Key, Kind),
) -> Result<Value, GraphError> {
    let fields = Fields::of(call, &["id"])?;
    let filter = Filter::of(call, kind)?;
    let is_heavy = fields.has("targeting") || fields.looks_into("creative");
    let page = PageRequest::of(call, if is_heavy { MOST_HEAVY } else { MOST })?;

    let world = &ctx.shared.world;
    let numbers: Vec<u32> = world.keys(root, kind).iter().map(|key| key.n).collect();
    let (on_page, has_more) = paging::cut(&numbers, &page)?;
    let mut data = Vec::new();
    for n in &on_page {
        let entity = world.entity(root.sibling(kind, *n));
        if let Some(entity) = entity.filter(|entity| filter.takes(world, entity)) {
            data.push(fields.select(node(kind), &thing(ctx, caller, &entity))?);
        }
    }
    let ends = on_page.first().zip(on_page.last());
    let ends = ends.map(|(first, last)| (first.to_string(), last.to_string()));
    Ok(paging::page(call, data, ends, has_more))
}
