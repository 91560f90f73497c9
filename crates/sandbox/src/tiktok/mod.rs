//! The stand-in for TikTok's API for Business, version 1.3: advertisers, campaigns with their ad
//! groups and ads, reports at once and in the background, tokens of advertisers and of people. Every
//! answer has status 200 and an envelope that says whether it went well; every path ends with a
//! slash.

mod access;
mod advertisers;
mod assets;
mod consent;
mod conversions;
mod edits;
mod entities;
mod error;
mod oauth;
mod paging;
mod params;
mod people;
mod quota;
mod report;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    door::{Incoming, Server},
    faults::Voice,
    http::Peer,
    shared::Shared,
    world::{Kind, Platform},
};
use entities::Family;
use error::TikTokError;
use params::Params;

/// What all paths of the API begin with.
const BASE: &str = "/open_api/v1.3/";

static SERVER: Server = Server {
    platform: Platform::TikTok,
    mount: "/tiktok",
    voice: VOICE,
    answer: respond,
};

const VOICE: Voice = Voice {
    fail: error::on_demand,
    throttle: |throttling| error::throttled(&throttling),
};

/// What a call is answered from.
struct Context<'s> {
    shared: &'s Shared,
    now: DateTime<Utc>,
}

/// A call to the API.
struct Call<'c> {
    incoming: &'c Incoming,
    /// Its path below [`BASE`], `campaign/get/` for one.
    name: &'c str,
    params: Params,
}

/// What a call is answered with.
enum Reply {
    /// In the envelope.
    Data(Value),
    /// A file, as it is.
    Csv(String),
}

/// Every path below `/tiktok`.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    SERVER.serve(shared, peer, request).await
}

fn respond(shared: &Shared, incoming: &Incoming) -> Response {
    let ctx = Context {
        shared,
        now: incoming.at,
    };
    match incoming.path.as_str() {
        "/portal/auth" => oauth::show_consent(&ctx, incoming),
        "/v2/auth/authorize" => people::show_consent(&ctx, incoming),
        path => match path.strip_prefix(BASE) {
            Some(name) => answer_call(&ctx, incoming, name),
            None => error::not_found(),
        },
    }
}

fn answer_call(ctx: &Context<'_>, incoming: &Incoming, name: &str) -> Response {
    let answered = Params::read(incoming).and_then(|params| {
        let call = Call {
            incoming,
            name,
            params,
        };
        dispatch(ctx, &call).transpose()
    });
    match answered {
        Ok(Some(Reply::Data(data))) => error::good(data),
        Ok(Some(Reply::Csv(text))) => ([(CONTENT_TYPE, "text/csv")], text).into_response(),
        Ok(None) => error::not_found(),
        Err(error) => error.into_response(),
    }
}

/// `None` for a path that leads nowhere, which one without its last slash does as well.
fn dispatch(ctx: &Context<'_>, call: &Call<'_>) -> Option<Result<Reply, TikTokError>> {
    let listed = |kind, family| entities::list(ctx, call, kind, family);
    let answered = match (call.incoming.method.as_str(), call.name) {
        ("GET", "oauth2/advertiser/get/") => advertisers::list(ctx, call),
        ("GET", "advertiser/info/") => advertisers::info(ctx, call),
        ("GET", "campaign/get/") => listed(Kind::Campaign, Family::Ordinary),
        ("GET", "adgroup/get/") => listed(Kind::AdSet, Family::Ordinary),
        ("GET", "ad/get/") => listed(Kind::Ad, Family::Ordinary),
        ("GET", "smart_plus/campaign/get/") => listed(Kind::Campaign, Family::SmartPlus),
        ("GET", "smart_plus/adgroup/get/") => listed(Kind::AdSet, Family::SmartPlus),
        ("GET", "smart_plus/ad/get/") => listed(Kind::Ad, Family::SmartPlus),
        ("GET", "gmv_max/campaign/get/") => listed(Kind::Campaign, Family::GmvMax),
        ("POST", "campaign/status/update/") => {
            edits::status(ctx, call, (Kind::Campaign, "campaign_ids"))
        }
        ("POST", "adgroup/status/update/") => {
            edits::status(ctx, call, (Kind::AdSet, "adgroup_ids"))
        }
        ("POST", "ad/status/update/") => edits::status(ctx, call, (Kind::Ad, "ad_ids")),
        ("POST", "campaign/update/") => edits::campaign(ctx, call),
        ("POST", "adgroup/budget/update/") => edits::ad_groups(ctx, call),
        ("GET", "dmp/custom_audience/list/") => assets::audiences(ctx, call),
        ("GET", "page/get/") => assets::pages(ctx, call),
        ("GET", "pixel/list/") => assets::pixels(ctx, call),
        ("GET", "report/integrated/get/") => report::get(ctx, call),
        ("POST", "event/track/") => conversions::track(ctx, call),
        ("POST", "report/task/create/") => report::create_task(ctx, call),
        ("GET", "report/task/check/") => report::check_task(ctx, call),
        ("GET", "report/task/download/") => return Some(report::download(ctx, call)),
        ("POST", "oauth2/access_token/") => oauth::access_token(ctx, call),
        ("POST", "oauth2/revoke_token/") => oauth::revoke_token(ctx, call),
        ("POST", "tt_user/oauth2/token/") => people::token(ctx, call),
        ("POST", "tt_user/oauth2/refresh_token/") => people::refresh_token(ctx, call),
        _ => return None,
    };
    Some(answered.map(Reply::Data))
}

#[cfg(test)]
mod tests;
