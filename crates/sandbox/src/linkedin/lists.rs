//! Lists that go on by a cursor: campaign groups, campaigns, creatives, and accounts.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Context, access, call::Call, error::ApiError, quota, search::Search, shapes};
use crate::{oauth::Holder, world::Kind};

/// Most on a page, and most on a page of creatives.
const MOST: usize = 1_000;
const MOST_CREATIVES: usize = 100;
/// On a page for which nobody says how many.
const USUAL: usize = 100;
/// What the text of a cursor begins with.
const CURSOR: &str = "Dg";

/// The parameters of a cursor.
const PAGING: [&str; 2] = ["pageToken", "pageSize"];

/// `adCampaignGroups`, `adCampaigns` and `creatives` of an account.
///
/// # Errors
/// [`ApiError`].
pub(super) fn find(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
    (account, kind): (&str, Kind),
) -> Result<Value, ApiError> {
    let world = &ctx.shared.world;
    let endpoint = match kind {
        Kind::Campaign => "adCampaignGroups",
        Kind::AdSet => "adCampaigns",
        _ => "creatives",
    };
    access::require(holder, &access::READ, endpoint)?;
    let account = access::account(ctx, holder, account)?;
    quota::count_call(ctx, Some(&account.id), endpoint)?;
    let search = if kind == Kind::Ad {
        check_creatives(call)?;
        Search::of_creatives(call, world)?
    } else {
        check_search(call)?;
        Search::read(call, world, kind)?
    };
    let most = if kind == Kind::Ad {
        MOST_CREATIVES
    } else {
        MOST
    };
    let mut keys = world.keys(account.key, kind);
    if is_descending(call)? {
        keys.reverse();
    }
    let page = Page::of(call, most)?;
    Ok(page.cut(keys.len(), |index| {
        let entity = world.entity(*keys.get(index)?)?;
        search
            .fits_thing(&entity)
            .then(|| call.project(shapes::thing(world, &account, &entity)))
    }))
}

/// # Errors
/// 400 for another finder than `search`, and for parameters that it does not know.
pub(super) fn check_search(call: &Call<'_>) -> Result<(), ApiError> {
    call.allow(&[
        "q",
        "search",
        "sortOrder",
        "pageToken",
        "pageSize",
        "fields",
    ])?;
    finder(call, "search")
}

fn check_creatives(call: &Call<'_>) -> Result<(), ApiError> {
    let method = call.incoming.header("x-restli-method");
    if !method.is_some_and(|method| method.eq_ignore_ascii_case("finder")) {
        return Err(ApiError::illegal(
            "Creatives are searched with the header X-RestLi-Method: FINDER",
        ));
    }
    call.allow(&[
        "q",
        "campaigns",
        "creatives",
        "intendedStatuses",
        "sortOrder",
        "pageToken",
        "pageSize",
        "fields",
    ])?;
    finder(call, "criteria")
}

/// # Errors
/// 400 for a missing or another finder.
pub(super) fn finder(call: &Call<'_>, name: &str) -> Result<(), ApiError> {
    match call.text("q")?.as_deref() {
        None => Err(ApiError::missing_param("q")),
        Some(found) if found == name => Ok(()),
        Some(_) => Err(ApiError::invalid_param("q", "There is no such finder")),
    }
}

/// # Errors
/// PARAM_INVALID for another order than the two.
pub(super) fn is_descending(call: &Call<'_>) -> Result<bool, ApiError> {
    match call.text("sortOrder")?.as_deref() {
        None | Some("ASCENDING") => Ok(false),
        Some("DESCENDING") => Ok(true),
        Some(_) => Err(ApiError::bad_syntax("sortOrder")),
    }
}

/// Which part of a list is asked for.
pub(super) struct Page {
    size: usize,
    /// Where it begins, among all that could be in the list.
    start: usize,
    /// Of the list: a cursor is good for no other.
    digest: String,
}

impl Page {
    /// # Errors
    /// PARAM_INVALID for a page that is too large, and for a cursor of another list.
    pub(super) fn of(call: &Call<'_>, most: usize) -> Result<Self, ApiError> {
        let size = call.number("pageSize")?.unwrap_or(USUAL.min(most));
        if !(1..=most).contains(&size) {
            let description = format!("The page size has to be between 1 and {most}");
            return Err(ApiError::invalid_param("pageSize", &description));
        }
        let question = format!("{}?{}", call.incoming.path, call.question(&PAGING));
        let digest = hex::encode(&Sha256::digest(question)[..8]);
        let start = match call.text("pageToken")? {
            None => 0,
            Some(cursor) => read_cursor(&cursor, &digest)
                .ok_or_else(|| ApiError::invalid_param("pageToken", "Invalid page token"))?,
        };
        Ok(Self {
            size,
            start,
            digest,
        })
    }

    /// The page of a list of which `show` shows each of `all` that fits. There is a cursor where something is left.
    pub(super) fn cut(&self, all: usize, show: impl Fn(usize) -> Option<Value>) -> Value {
        let mut elements = Vec::new();
        let mut metadata = json!({});
        for index in self.start..all {
            let Some(shown) = show(index) else { continue };
            if elements.len() == self.size {
                metadata["nextPageToken"] = json!(self.cursor(index));
                break;
            }
            elements.push(shown);
        }
        json!({ "elements": elements, "metadata": metadata })
    }

    fn cursor(&self, start: usize) -> String {
        let text = URL_SAFE_NO_PAD.encode(format!("{}:{start}", self.digest));
        format!("{CURSOR}{text}")
    }
}

fn read_cursor(cursor: &str, digest: &str) -> Option<usize> {
    let text = URL_SAFE_NO_PAD.decode(cursor.strip_prefix(CURSOR)?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (found, start) = text.split_once(':')?;
    if found != digest {
        return None;
    }
    start.parse().ok()
}
