//! Pages, with the tokens that stand for them, and their Instagram accounts.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Thing, members, node};
use crate::{
    meta::{
        Context,
        access::{self, Caller},
        call::Call,
        error::GraphError,
        fields::Fields,
        oauth::PREFIX,
        paging::{self, PageRequest},
    },
    oauth::{Holder, Issue, TokenRole},
    world::{Entity, Key, Kind, Platform},
};

/// Most pages of a page.
const MOST: usize = 500;

/// `GET /me/accounts`: the pages of the ad accounts that the token reaches, each with a token of
/// its own. One that was got with a long-lived token has no end; one got with a short-lived token
/// ends with it.
///
/// # Errors
/// [`GraphError`] for whoever may not see them.
pub(in crate::meta) fn pages(call: &Call, ctx: &Context<'_>) -> Result<Value, GraphError> {
    let caller = access::check(call, ctx)?;
    caller.require(&["pages_show_list"], ctx.now)?;
    let holder = caller.holder()?;
    let world = &ctx.shared.world;
    let fields = Fields::of(call, &["access_token", "category", "name", "id", "tasks"])?;
    let page = PageRequest::of(call, MOST)?;
    let numbers: Vec<u32> = world
        .accounts(Platform::Meta)
        .iter()
        .filter(|account| holder.grant.reaches(&account.id))
        .map(|account| account.key.account)
        .collect();
    let (on_page, has_more) = paging::cut(&numbers, &page)?;
    let mut data = Vec::new();
    for number in &on_page {
        let account = Key::account(Platform::Meta, *number);
        for page in world.list(account, Kind::Page) {
            data.push(fields.select(node(Kind::Page), &thing(ctx, &caller, &page))?);
        }
    }
    let ends = on_page.first().zip(on_page.last());
    let ends = ends.map(|(first, last)| (first.to_string(), last.to_string()));
    Ok(paging::page(call, data, ends, has_more))
}

/// A page with every member that can be asked for.
pub(super) fn thing(ctx: &Context<'_>, caller: &Caller, page: &Entity) -> Thing {
    let world = &ctx.shared.world;
    let token = caller
        .holder()
        .ok()
        .map(|holder| page_token(ctx, holder, page.key));
    let instagram = world
        .list(page.key, Kind::InstagramAccount)
        .next()
        .map(|account| Value::Object(instagram(ctx, &account)));
    members(json!({
        "id": page.id,
        "name": page.name,
        "category": "Shopping & retail",
        "access_token": token,
        "tasks": ["ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MANAGE"],
        "followers_count": world.dice(page.key, "followers").between(200, 90_000),
        "instagram_business_account": instagram,
    }))
}

/// An Instagram account with every member that can be asked for.
pub(super) fn instagram(ctx: &Context<'_>, account: &Entity) -> Thing {
    let dice = ctx.shared.world.dice(account.key, "instagram");
    members(json!({
        "id": account.id,
        "username": account.name,
        "name": account.name,
        "followers_count": dice.of(1).between(150, 50_000),
        "media_count": dice.of(2).between(3, 800),
    }))
}

/// The token that stands for a page in a person's name: the same one each time, as long as their
/// consent lasts.
fn page_token(ctx: &Context<'_>, holder: &Holder, page: Key) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(ctx.config.app_secret.as_bytes())
        .expect("HMAC takes a key of any length");
    let is_short = holder.role == TokenRole::Short;
    mac.update(format!("{:?}/{page:?}/{is_short}", holder.grant_id).as_bytes());
    let lasts = holder
        .expires_at
        .filter(|_| is_short)
        .map(|end| end - ctx.now);
    let issue = Issue {
        page: Some(page),
        text: Some(format!(
            "{PREFIX}Page{}",
            hex::encode(mac.finalize().into_bytes())
        )),
        ..Issue::new(TokenRole::Page, PREFIX, lasts)
    };
    ctx.shared
        .oauth
        .issue(holder.grant_id, issue, ctx.now)
        .token
}
