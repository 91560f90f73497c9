//! Facets: what a report is about. Of several lists, what counts is what is in, or below, all of them.

use std::collections::BTreeSet;

use super::pivot::depth;
use crate::{
    linkedin::{Context, access, call::Call, error::ApiError, urn},
    oauth::Holder,
    world::{Key, Kind},
};

/// The lists, and what sort of things each is of.
const LISTS: [(&str, Kind); 4] = [
    ("accounts", Kind::Account),
    ("campaignGroups", Kind::Campaign),
    ("campaigns", Kind::AdSet),
    ("creatives", Kind::Ad),
];

/// What a report is about: things of one sort, each once.
pub(super) struct Facets {
    pub(super) kind: Kind,
    pub(super) keys: BTreeSet<Key>,
}

impl Facets {
    /// # Errors
    /// 400 without any list and for what is no URN, 403 for what is not there or not the caller's.
    pub(super) fn read(
        ctx: &Context<'_>,
        holder: &Holder,
        call: &Call<'_>,
    ) -> Result<Self, ApiError> {
        let mut lists = Vec::new();
        for (name, kind) in LISTS {
            if let Some(keys) = list(ctx, holder, call, (name, kind))? {
                lists.push((kind, keys));
            }
        }
        let deepest = lists.pop();
        let (kind, mut keys) = deepest.ok_or_else(|| ApiError::missing_param("accounts"))?;
        for (above, wanted) in lists {
            keys.retain(|key| ancestor(*key, above).is_some_and(|key| wanted.contains(&key)));
        }
        Ok(Self { kind, keys })
    }

    /// The accounts of what it is about, each once.
    pub(super) fn accounts(&self) -> BTreeSet<Key> {
        self.keys.iter().map(|key| key.its_account()).collect()
    }

    /// What of it is of an account.
    pub(super) fn of(&self, account: Key) -> Vec<Key> {
        let of_account = self.keys.iter().filter(|key| key.its_account() == account);
        of_account.copied().collect()
    }
}

fn list(
    ctx: &Context<'_>,
    holder: &Holder,
    call: &Call<'_>,
    (name, kind): (&str, Kind),
) -> Result<Option<BTreeSet<Key>>, ApiError> {
    let Some(node) = call.node(name)? else {
        return Ok(None);
    };
    let bad = || ApiError::bad_syntax(name);
    let urns = node.texts().ok_or_else(bad)?;
    let mut keys = BTreeSet::new();
    for one in urns {
        if !one.starts_with(urn::prefix(kind)) {
            return Err(bad());
        }
        let key = urn::read(&ctx.shared.world, one, kind).ok_or_else(|| ApiError::denied(one))?;
        let account = ctx.shared.world.id(key.its_account());
        access::account(ctx, holder, &account).map_err(|_| ApiError::denied(one))?;
        keys.insert(key);
    }
    Ok(Some(keys))
}

/// The thing itself, or what it stands below, of that sort.
pub(super) fn ancestor(key: Key, kind: Kind) -> Option<Key> {
    if depth(key.kind) <= depth(kind) {
        return (key.kind == kind).then_some(key);
    }
    ancestor(key.parent()?, kind)
}
