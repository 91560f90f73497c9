//! Lists of campaigns, ad groups and ads, page by page. What was deleted is hidden unless asked for,
//! and campaigns that TikTok runs by itself (Smart+) stand in lists of their own.

mod fields;
mod filter;
mod shape;
mod status;

use serde_json::{Value, json};

use super::{Call, Context, access, error::TikTokError, paging::Paging};
use crate::world::{Key, Kind};
use filter::Filter;

pub(super) use fields::Fields;
pub(super) use shape::{objective, time};

/// One campaign of so many is Smart+.
const SMART_PLUS_EVERY: u32 = 8;
/// Which one of them.
const SMART_PLUS: u32 = 5;

/// Which of the lists of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ordinary,
    SmartPlus,
    /// Campaigns of shops, of which nobody here has any.
    GmvMax,
}

/// A list of an advertiser's.
///
/// # Errors
/// Those of [`access::advertiser`], 40002 for wrong parameters.
pub(super) fn list(
    ctx: &Context<'_>,
    call: &Call<'_>,
    kind: Kind,
    family: Family,
) -> Result<Value, TikTokError> {
    let account = access::advertiser(ctx, call)?;
    let paging = Paging::read(&call.params)?;
    let filter = Filter::read(&call.params, kind)?;
    let fields = Fields::read(&call.params)?;
    let world = &ctx.shared.world;
    let mut keys = world.keys(account.key, kind);
    keys.retain(|key| family_of(*key) == family && filter.admits(world, *key));
    // The newest come first: what is made between two pages moves all others along.
    keys.reverse();
    let list = keys
        .iter()
        .skip(paging.passed())
        .take(paging.size)
        .filter_map(|key| world.entity(*key))
        .map(|entity| fields.select(shape::of(world, &account, &entity)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "list": list, "page_info": paging.info(keys.len()) }))
}

fn family_of(key: Key) -> Family {
    let number = key.campaign().map(|campaign| campaign.n % SMART_PLUS_EVERY);
    if number == Some(SMART_PLUS) {
        Family::SmartPlus
    } else {
        Family::Ordinary
    }
}
