//! Which things are listed: by their own ids and those of what they stand below.

use std::iter;

use super::funding_instrument;
use crate::{
    world::{Key, Kind, World},
    x::{error::XError, params::Params},
};

/// Most ids of one filter.
const MOST_IDS: usize = 200;

/// All of it has to fit.
pub(super) struct Filter<'p>(Vec<(Kind, Vec<&'p str>)>);

impl<'p> Filter<'p> {
    /// # Errors
    /// INVALID_PARAMETER for too many ids.
    pub(super) fn read(params: &'p Params, known: &[(&'static str, Kind)]) -> Result<Self, XError> {
        let mut filters = Vec::new();
        for &(name, kind) in known {
            if let Some(ids) = params.ids(name, MOST_IDS)? {
                filters.push((kind, ids));
            }
        }
        Ok(Self(filters))
    }

    /// Whether a thing is to be listed.
    pub(super) fn admits(&self, world: &World, key: Key) -> bool {
        self.0.iter().all(|(kind, ids)| {
            let named = above(key, *kind).map(|key| world.id(key));
            named.is_some_and(|id| ids.contains(&id.as_str()))
        })
    }
}

/// The thing of a sort that something stands below, or the thing itself.
fn above(key: Key, kind: Kind) -> Option<Key> {
    if kind == Kind::FundingInstrument {
        return Some(funding_instrument(key));
    }
    iter::successors(Some(key), |key| key.parent()).find(|key| key.kind == kind)
}
