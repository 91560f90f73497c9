//! `subscribed_apps` of a Page: of what of it events are sent to the app.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use super::{
    Context, access,
    call::Call,
    error::GraphError,
    usage::{Case, Meter},
};
use crate::world::Kind;

/// What can be subscribed to, as far as it is sent.
const KNOWN: [&str; 5] = ["leadgen", "feed", "mention", "messages", "ratings"];

/// Lists the app with its fields, sets them, or ends them.
///
/// # Errors
/// [`GraphError`] without the Page's token, the right to it, or with a field that there is not.
pub(super) fn answer(
    call: &Call,
    ctx: &Context<'_>,
    page: &str,
    meter: &mut Meter,
) -> Result<Value, GraphError> {
    let page = access::find(ctx, &call.method, page)?;
    if page.kind != Kind::Page {
        return Err(GraphError::unknown_path("subscribed_apps"));
    }
    let caller = access::check(call, ctx)?;
    if caller.holder()?.page != Some(page) {
        return Err(GraphError::no_page_token());
    }
    caller.require(&["pages_manage_metadata"], ctx.now)?;
    meter.count(ctx, page, Case::Pages)?;
    let leads = &ctx.shared.leads;
    if call.method == Method::GET {
        let fields = leads.subscribed(page);
        let app =
            json!({ "id": ctx.config.app_id, "name": "Fake App", "subscribed_fields": fields });
        let apps = if fields.is_empty() {
            json!([])
        } else {
            json!([app])
        };
        return Ok(json!({ "data": apps }));
    }
    let fields = if call.method == Method::DELETE {
        BTreeSet::new()
    } else {
        wanted(call)?
    };
    leads.subscribe(page, fields);
    Ok(json!({ "success": true }))
}

fn wanted(call: &Call) -> Result<BTreeSet<String>, GraphError> {
    let fields: BTreeSet<String> = call.words("subscribed_fields").into_iter().collect();
    if fields.is_empty() || !fields.iter().all(|field| KNOWN.contains(&field.as_str())) {
        let message = "must be one or more of the fields of a page";
        return Err(GraphError::bad_param("subscribed_fields", message));
    }
    Ok(fields)
}
