//! What a call says, in the query or in a form.

use serde_json::{Map, Value, json};

use super::{error::XError, signature};
use crate::door::Incoming;

/// The parameters of a call. Of one that is named twice the first counts; empty ones are missing.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(incoming: &Incoming) -> Self {
        let mut pairs = incoming.query();
        if signature::has_form(incoming) {
            pairs.extend(incoming.form());
        }
        Self(pairs)
    }

    /// Those that a job was begun with.
    pub(super) fn of(members: &Map<String, Value>) -> Self {
        let texts = members.iter().filter_map(|(name, value)| {
            let text = value.as_str()?;
            Some((name.clone(), text.to_owned()))
        });
        Self(texts.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// # Errors
    /// MISSING_PARAMETER.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, XError> {
        self.get(name).ok_or_else(|| XError::missing(name))
    }

    /// Ids with commas between them.
    ///
    /// # Errors
    /// INVALID_PARAMETER for too many of them.
    pub(super) fn ids(&self, name: &'static str, most: usize) -> Result<Option<Vec<&str>>, XError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let ids: Vec<_> = text.split(',').map(str::trim).collect();
        if ids.len() > most {
            let message = format!("Expected at most {most} identifiers in {name}");
            return Err(XError::invalid(name, text, message));
        }
        Ok(Some(ids))
    }

    /// # Errors
    /// INVALID_PARAMETER for anything but `true` and `false`.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, XError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                let message = format!("Expected Boolean, got \"{other}\" for {name}");
                Err(XError::invalid(name, other, message))
            }
        }
    }

    /// All of them, as answers repeat them.
    pub(super) fn echo(&self, account_id: Option<&str>) -> Value {
        let mut echo = Map::new();
        for (name, value) in &self.0 {
            echo.entry(name.clone()).or_insert_with(|| json!(value));
        }
        if let Some(id) = account_id {
            echo.insert("account_id".to_owned(), json!(id));
        }
        Value::Object(echo)
    }
}
