//! What a list is narrowed down to: `search=(status:(values:List(ACTIVE)))` and the parameters of creatives.

use super::{call::Call, error::ApiError, restli::Node, shapes, urn};
use crate::world::{Account, Entity, Key, Kind, World};

/// The statuses that accounts, and that everything else can have.
const OF_ACCOUNTS: [&str; 5] = ["ACTIVE", "CANCELED", "DRAFT", "PENDING_DELETION", "REMOVED"];
const OF_THINGS: [&str; 8] = [
    "ACTIVE",
    "PAUSED",
    "ARCHIVED",
    "COMPLETED",
    "CANCELED",
    "DRAFT",
    "PENDING_DELETION",
    "REMOVED",
];

/// What is looked for; what is missing is not looked at.
#[derive(Debug, Default)]
pub(super) struct Search {
    statuses: Option<Vec<String>>,
    names: Option<Vec<String>>,
    /// Numbers, without what makes a URN of them.
    ids: Option<Vec<String>>,
    parents: Option<Vec<Key>>,
    test: Option<bool>,
}

impl Search {
    /// The `search` of a call for things of that sort.
    ///
    /// # Errors
    /// PARAM_INVALID for what cannot be looked for.
    pub(super) fn read(call: &Call<'_>, world: &World, kind: Kind) -> Result<Self, ApiError> {
        let mut search = Self::default();
        let Some(node) = call.node("search")? else {
            return Ok(search);
        };
        let bad = || ApiError::bad_syntax("search");
        for (name, node) in node.members().ok_or_else(bad)? {
            let values = || values_of(node).ok_or_else(bad);
            match (name.as_str(), kind) {
                ("status", _) => search.statuses = Some(statuses(kind, &values()?)?),
                ("name", _) => search.names = Some(owned(&values()?)),
                ("id", _) => {
                    let prefix = urn::prefix(kind);
                    let bare = |id: &&str| id.strip_prefix(prefix).unwrap_or(id).to_owned();
                    search.ids = Some(values()?.iter().map(bare).collect());
                }
                ("campaignGroup", Kind::AdSet) => {
                    search.parents = Some(keys(world, &values()?, Kind::Campaign).ok_or_else(bad)?);
                }
                ("test", _) => search.test = Some(node.text() == Some("true")),
                _ => return Err(bad()),
            }
        }
        Ok(search)
    }

    /// The same of a call for creatives, which has parameters of their own.
    ///
    /// # Errors
    /// PARAM_INVALID for what cannot be looked for.
    pub(super) fn of_creatives(call: &Call<'_>, world: &World) -> Result<Self, ApiError> {
        let texts = |name: &str| -> Result<Option<Vec<String>>, ApiError> {
            let node = call.node(name)?;
            let texts = node.map(|node| values_of(&node).map(|values| owned(&values)));
            texts
                .map(|texts| texts.ok_or_else(|| ApiError::bad_syntax(name)))
                .transpose()
        };
        let urns = |name: &str, kind| -> Result<Option<Vec<Key>>, ApiError> {
            let texts = texts(name)?;
            let keys = texts.map(|texts| {
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                keys(world, &texts, kind).ok_or_else(|| ApiError::bad_syntax(name))
            });
            keys.transpose()
        };
        let intended = texts("intendedStatuses")?;
        let intended = intended.map(|words| {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            statuses(Kind::Ad, &words)
        });
        let creatives = urns("creatives", Kind::Ad)?;
        Ok(Self {
            statuses: intended.transpose()?,
            ids: creatives.map(|keys| keys.iter().map(|key| world.id(*key)).collect()),
            parents: urns("campaigns", Kind::AdSet)?,
            ..Self::default()
        })
    }

    pub(super) fn fits_account(&self, account: &Account) -> bool {
        let status = shapes::account_status(account.status);
        self.fits((&account.id, &account.name, status), None)
    }

    pub(super) fn fits_thing(&self, entity: &Entity) -> bool {
        let status = shapes::status(entity);
        self.fits((&entity.id, &entity.name, status), entity.key.parent())
    }

    fn fits(&self, (id, name, status): (&str, &str, &str), parent: Option<Key>) -> bool {
        let is_among = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref()
                .is_none_or(|list| list.iter().any(|one| one == value))
        };
        let is_below = self
            .parents
            .as_ref()
            .is_none_or(|parents| parent.is_some_and(|parent| parents.contains(&parent)));
        is_among(&self.ids, id)
            && is_among(&self.names, name)
            && is_among(&self.statuses, status)
            && is_below
            // Nothing here is a test account's.
            && self.test != Some(true)
    }
}

/// `(values:List(…))`, `(value:List(…))` or a list alone.
fn values_of(node: &Node) -> Option<Vec<&str>> {
    let inside = node.member("values").or_else(|| node.member("value"));
    inside.unwrap_or(node).texts()
}

fn statuses(kind: Kind, words: &[&str]) -> Result<Vec<String>, ApiError> {
    let known: &[&str] = match kind {
        Kind::Account => &OF_ACCOUNTS,
        _ => &OF_THINGS,
    };
    match words.iter().find(|word| !known.contains(word)) {
        Some(word) => {
            let description = format!("{word} is not a status");
            Err(ApiError::invalid_param("status", &description))
        }
        None => Ok(owned(words)),
    }
}

/// What URNs name; what is not there is left out. `None` when one is not a URN of that sort.
fn keys(world: &World, urns: &[&str], kind: Kind) -> Option<Vec<Key>> {
    let prefix = urn::prefix(kind);
    if !urns.iter().all(|urn| urn.starts_with(prefix)) {
        return None;
    }
    let keys = urns.iter().filter_map(|one| urn::read(world, one, kind));
    Some(keys.collect())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
