//! Which path is answered by what.

use axum::http::Method;
use serde_json::Value;

use super::{
    Context, access, call::Call, debug, entities, error::GraphError, events, insights, leads,
    oauth, permissions, reply::Reply, reports, social, subscriptions, usage::Meter,
};
use crate::world::Kind;

/// Answers one call, with what it used up in the headers.
pub(super) fn answer(call: &Call, ctx: &Context<'_>) -> Reply {
    let mut meter = Meter::default();
    let told = handle(call, ctx, &mut meter);
    let mut reply = Reply::from(told);
    meter.tell(&mut reply);
    reply
}

fn handle(call: &Call, ctx: &Context<'_>, meter: &mut Meter) -> Result<Value, GraphError> {
    let segments: Vec<&str> = call.segments().collect();
    meter.count_app(ctx)?;
    match (&call.method, segments.as_slice()) {
        (&Method::POST, [dataset, "events"]) => events::receive(call, ctx, dataset),
        (&Method::GET | &Method::POST, ["oauth", "access_token"]) => oauth::token(call, ctx),
        (&Method::GET, ["debug_token"]) => debug::token(call, ctx),
        (&Method::GET, ["me"]) => debug::me(call, ctx),
        (&Method::GET | &Method::DELETE, ["me", "permissions"]) => {
            permissions::answer(call, ctx, None)
        }
        (&Method::DELETE, ["me", "permissions", permission]) => {
            permissions::answer(call, ctx, Some(*permission))
        }
        (&Method::GET, ["me", "adaccounts"]) => entities::accounts(call, ctx),
        (&Method::GET, ["me", "accounts"]) => entities::pages(call, ctx),
        (&Method::GET | &Method::POST | &Method::DELETE, [page, "subscribed_apps"]) => {
            subscriptions::answer(call, ctx, page, meter)
        }
        (&Method::GET, [form, "leads"]) => leads::list(call, ctx, form, meter),
        (&Method::GET, [object]) => match (reports::find(ctx, object), leads::find(ctx, object)) {
            (Some(report), _) => reports::show(call, ctx, &report),
            (None, Some(lead)) => leads::show(call, ctx, &lead, meter),
            (None, None) => entities::show(call, ctx, object, meter),
        },
        (&Method::GET, [object, "insights"]) => match reports::find(ctx, object) {
            Some(report) => reports::rows(call, ctx, &report, meter),
            None => figures(call, ctx, object, meter),
        },
        (&Method::POST, [object, "insights"]) => reports::start(call, ctx, object, meter),
        (&Method::POST, [object]) => entities::edit(call, ctx, object, meter),
        (&Method::GET, [object, edge]) => entities::edge(call, ctx, (*object, *edge), meter),
        (method, [object] | [object, "events"]) => Err(GraphError::no_such_object(method, object)),
        (method, []) => Err(GraphError::no_such_object(method, "")),
        (_, unknown) => Err(GraphError::unknown_path(&unknown.join("/"))),
    }
}

/// Figures of ads, of pages and of Instagram accounts are asked for by the same word.
fn figures(
    call: &Call,
    ctx: &Context<'_>,
    object: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let key = access::find(ctx, &call.method, object)?;
    match key.kind {
        Kind::Page => social::page(call, ctx, key, meter),
        Kind::InstagramAccount => social::instagram(call, ctx, key, meter),
        _ => insights::answer(call, ctx, key, meter),
    }
}
