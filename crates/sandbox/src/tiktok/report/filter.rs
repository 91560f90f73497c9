//! What a report is limited to: things by their ids, and what was deleted or what was not.

use serde_json::{Map, Value};

use crate::{
    tiktok::{
        error::TikTokError,
        params::{self, Params},
    },
    world::{Effective, Key, Kind, Platform, World},
};

/// Most ids of one filter.
const MOST_IDS: usize = 100;
/// What ids are called that can be filtered by, from the top down.
const IDS: [(&str, Kind); 3] = [
    ("campaign_ids", Kind::Campaign),
    ("adgroup_ids", Kind::AdSet),
    ("ad_ids", Kind::Ad),
];
/// What states are called that can be filtered by: each level has its own.
const STATES: [(&str, Kind); 3] = [
    ("campaign_status", Kind::Campaign),
    ("adgroup_status", Kind::AdSet),
    ("ad_status", Kind::Ad),
];

/// What a report is limited to.
#[derive(Debug, Default)]
pub(super) struct Only {
    /// Below which things, by their ids.
    roots: Option<Vec<String>>,
    /// Whether what was deleted is shown alone, or not at all.
    deleted: Option<bool>,
}

impl Only {
    /// The things of a level that are left; `None` for all of the account's.
    pub(super) fn keys(&self, world: &World, account: Key, level: Kind) -> Option<Vec<Key>> {
        if self.roots.is_none() && self.deleted.is_none() {
            return None;
        }
        let roots = match &self.roots {
            None => vec![account],
            Some(ids) => ids
                .iter()
                .filter_map(|id| world.find(Platform::TikTok, id))
                .filter(|root| root.its_account() == account)
                .collect(),
        };
        let below = roots.iter().flat_map(|root| world.keys(*root, level));
        let is_wanted = |key: &Key| match self.deleted {
            None => true,
            Some(deleted) => world
                .entity(*key)
                .is_some_and(|entity| (entity.effective == Effective::Deleted) == deleted),
        };
        Some(below.filter(is_wanted).collect())
    }
}

/// The parameter `filtering`, a list of conditions.
///
/// # Errors
/// 40002 for one that the level does not know, 40011 for too many ids.
pub(super) fn read(params: &Params, level: Kind) -> Result<Only, TikTokError> {
    let mut only = Only::default();
    for condition in params.objects("filtering")? {
        let (name, values) = condition_of(&condition)?;
        if let Some((_, kind)) = IDS.iter().find(|(known, _)| *known == name)
            && is_at_or_above(*kind, level)
            && only.roots.is_none()
        {
            if values.len() > MOST_IDS {
                return Err(TikTokError::too_many(name, MOST_IDS));
            }
            only.roots = Some(values);
        } else if STATES.contains(&(name, level)) {
            only.deleted = deleted(&values)?;
        } else {
            return Err(TikTokError::parameter(format!(
                "filtering: {name} cannot be filtered by at this data_level."
            )));
        }
    }
    Ok(only)
}

/// The field of a condition and the values that it may have, which are JSON text even in a body.
fn condition_of(condition: &Map<String, Value>) -> Result<(&str, Vec<String>), TikTokError> {
    let text = |name: &str| {
        let text = condition.get(name).and_then(Value::as_str);
        text.ok_or_else(|| TikTokError::missing(&format!("filtering.{name}")))
    };
    if text("filter_type")? != "IN" {
        return Err(TikTokError::parameter("filtering.filter_type: Must be IN."));
    }
    let list: Value = serde_json::from_str(text("filter_value")?)
        .map_err(|_| TikTokError::parameter("filtering.filter_value: Not a valid JSON text."))?;
    let values = params::words("filtering.filter_value", &list)?;
    Ok((text("field_name")?, values))
}

fn is_at_or_above(kind: Kind, level: Kind) -> bool {
    let depth = |kind: Kind| IDS.iter().position(|(_, known)| *known == kind);
    depth(kind)
        .zip(depth(level))
        .is_some_and(|(kind, level)| kind <= level)
}

fn deleted(states: &[String]) -> Result<Option<bool>, TikTokError> {
    match states {
        [state] if state == "STATUS_ALL" => Ok(None),
        [state] if state == "STATUS_NOT_DELETE" => Ok(Some(false)),
        [state] if state == "STATUS_DELETE" => Ok(Some(true)),
        _ => Err(TikTokError::parameter(
            "filtering.filter_value: Not a valid status.",
        )),
    }
}
