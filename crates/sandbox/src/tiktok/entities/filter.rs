//! Which things are listed: by their ids, those of what they stand below, and by what has become of
//! them.

use std::iter;

use serde_json::Value;

use super::status::Wanted;
use crate::{
    tiktok::{
        error::TikTokError,
        params::{self, Params},
    },
    world::{Key, Kind, World},
};

/// Most ids of one filter.
const MOST_IDS: usize = 100;

/// The parameter `filtering`.
pub(super) struct Filter {
    ids: Vec<(Kind, Vec<String>)>,
    status: Wanted,
}

impl Filter {
    /// # Errors
    /// 40002 for what things of that sort cannot be filtered by, 40011 for too many ids.
    pub(super) fn read(params: &Params, of: Kind) -> Result<Self, TikTokError> {
        let mut filter = Self {
            ids: Vec::new(),
            status: Wanted::NotDeleted,
        };
        for (name, value) in params.object("filtering")? {
            let above = match name.as_str() {
                "secondary_status" => {
                    filter.status = status(&value, of)?;
                    continue;
                }
                "campaign_ids" => Kind::Campaign,
                "adgroup_ids" if of != Kind::Campaign => Kind::AdSet,
                "ad_ids" if of == Kind::Ad => Kind::Ad,
                _ => {
                    return Err(TikTokError::parameter(format!(
                        "filtering.{name}: Unknown field."
                    )));
                }
            };
            let ids = params::words(&name, &value)?;
            if ids.len() > MOST_IDS {
                return Err(TikTokError::too_many(&name, MOST_IDS));
            }
            filter.ids.push((above, ids));
        }
        Ok(filter)
    }

    /// Whether a thing is to be listed.
    pub(super) fn admits(&self, world: &World, key: Key) -> bool {
        let is_named = self.ids.iter().all(|(kind, ids)| {
            let mut above = iter::successors(Some(key), |key| key.parent());
            let named = above.find(|key| key.kind == *kind);
            named.is_some_and(|named| ids.contains(&world.id(named)))
        });
        is_named
            && (self.status == Wanted::All
                || world
                    .entity(key)
                    .is_some_and(|entity| self.status.admits(&entity)))
    }
}

fn status(value: &Value, of: Kind) -> Result<Wanted, TikTokError> {
    let text = value.as_str().unwrap_or_default();
    Wanted::read(text, of).ok_or_else(|| {
        TikTokError::parameter(format!(
            "filtering.secondary_status: {text} is not a valid choice."
        ))
    })
}
