//! Which members of things are told.

use serde_json::{Map, Value};

use crate::tiktok::{error::TikTokError, params::Params};

/// Members by name; all of them where nobody says which.
pub(in crate::tiktok) struct Fields(Option<Vec<String>>);

impl Fields {
    /// # Errors
    /// 40002 for what is no list.
    pub(in crate::tiktok) fn read(params: &Params) -> Result<Self, TikTokError> {
        Ok(Self(params.words("fields")?))
    }

    /// # Errors
    /// 40002 for a member that there is not.
    pub(in crate::tiktok) fn select(&self, shape: Value) -> Result<Value, TikTokError> {
        let Some(names) = &self.0 else {
            return Ok(shape);
        };
        let mut selected = Map::new();
        for name in names {
            let member = shape.get(name).ok_or_else(|| {
                TikTokError::parameter(format!("fields: {name} is not a valid field."))
            })?;
            selected.insert(name.clone(), member.clone());
        }
        Ok(Value::Object(selected))
    }
}
