//! `filtering` and `effective_status`: which things of a list are shown. What is archived or
//! deleted is shown to those alone who name those states.

use std::iter;

use serde_json::Value;

use crate::{
    meta::{call::Call, error::GraphError, words},
    world::{Effective, Entity, Kind, World},
};

/// Which things are shown.
#[derive(Default)]
pub(in crate::meta) struct Filter {
    /// Effective states in Meta's words; `None`: all but archived and deleted.
    states: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    /// The ids of what they may stand below: campaigns, or ad sets.
    below: Option<(Kind, Vec<String>)>,
    /// Unix seconds that the last change is after, or before.
    updated_after: Option<i64>,
    updated_before: Option<i64>,
}

impl Filter {
    /// What a call asks for of things of a sort.
    ///
    /// # Errors
    /// [`GraphError`] for a condition that Graph does not know.
    pub(in crate::meta) fn of(call: &Call, kind: Kind) -> Result<Self, GraphError> {
        let mut filter = Self::default();
        if call.has("effective_status") {
            filter.states = Some(call.words("effective_status"));
        }
        if !call.has("filtering") {
            return Ok(filter);
        }
        let Some(Value::Array(conditions)) = call.structure("filtering") else {
            return Err(GraphError::bad_param("filtering", "must be an array."));
        };
        for condition in &conditions {
            filter.add(condition, kind).ok_or_else(|| {
                GraphError::bad_param("filtering", "has a field or an operator that is not valid")
            })?;
        }
        Ok(filter)
    }

    fn add(&mut self, condition: &Value, kind: Kind) -> Option<()> {
        let text = |name| condition.get(name).and_then(Value::as_str);
        let field = text("field")?;
        let value = condition.get("value")?;
        let field = match field.split_once('.') {
            Some((prefix, field)) if prefix_of(kind) == Some(prefix) => field,
            Some((prefix, "id")) if text("operator") == Some("IN") => {
                let above = [Kind::Campaign, Kind::AdSet]
                    .into_iter()
                    .find(|above| *above < kind && prefix_of(*above) == Some(prefix))?;
                self.below = Some((above, texts(value)?));
                return Some(());
            }
            Some(_) => return None,
            None => field,
        };
        match (field, text("operator")?) {
            ("effective_status" | "status", "IN") => self.states = Some(texts(value)?),
            ("id", "IN") => self.ids = Some(texts(value)?),
            ("updated_time", "GREATER_THAN") => self.updated_after = Some(seconds(value)?),
            ("updated_time", "LESS_THAN") => self.updated_before = Some(seconds(value)?),
            _ => return None,
        }
        Some(())
    }

    /// Whether a thing is shown.
    pub(in crate::meta) fn takes(&self, world: &World, entity: &Entity) -> bool {
        let has_states = matches!(entity.key.kind, Kind::Campaign | Kind::AdSet | Kind::Ad);
        let is_put_away = matches!(entity.effective, Effective::Archived | Effective::Deleted);
        let state = words::effective(entity.effective);
        let fits_state = match &self.states {
            Some(states) => states.iter().any(|asked| asked == state),
            None => !is_put_away,
        };
        let is_below = self.below.as_ref().is_none_or(|(above, ids)| {
            let mut parents = iter::successors(Some(entity.key), |key| key.parent());
            let parent = parents.find(|key| key.kind == *above);
            parent.is_some_and(|parent| ids.contains(&world.id(parent)))
        });
        let updated = entity.updated_at.timestamp();
        (fits_state || !has_states)
            && is_below
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&entity.id))
            && self.updated_after.is_none_or(|after| updated > after)
            && self.updated_before.is_none_or(|before| updated < before)
    }
}

fn prefix_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Campaign => Some("campaign"),
        Kind::AdSet => Some("adset"),
        Kind::Ad => Some("ad"),
        _ => None,
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter().map(Value::as_str);
    texts.map(|text| text.map(str::to_owned)).collect()
}

fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}
