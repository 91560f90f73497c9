//! URNs: LinkedIn's names of things, in some places; in others there are numbers.

use crate::world::{Key, Kind, Platform, World};

/// What comes before the number of a thing of that sort.
pub(super) fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Account => "urn:li:sponsoredAccount:",
        Kind::Campaign => "urn:li:sponsoredCampaignGroup:",
        Kind::AdSet => "urn:li:sponsoredCampaign:",
        Kind::Ad => "urn:li:sponsoredCreative:",
        Kind::Pixel => "urn:lla:llaPartnerConversion:",
        _ => "urn:li:other:",
    }
}

/// The URN of a thing.
pub(super) fn of(world: &World, key: Key) -> String {
    format!("{}{}", prefix(key.kind), world.id(key))
}

/// What a URN names, if it is of that sort, and if there is such a thing.
pub(super) fn read(world: &World, urn: &str, kind: Kind) -> Option<Key> {
    let id = urn.strip_prefix(prefix(kind))?;
    let key = world.find(Platform::LinkedIn, id)?;
    (key.kind == kind).then_some(key)
}
