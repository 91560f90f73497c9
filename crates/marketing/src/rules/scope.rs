//! What a rule or an alert looks at: which accounts, at which level, and which entities.

use providers::platform::{EntityType, Level, Platform};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RulesError;

/// Most entities that a scope names.
const MOST_ENTITIES: usize = 500;

/// Longest id of an entity.
const LONGEST_ID: usize = 64;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleScope {
    /// Only this account; `None`: each ad account of the tenant.
    #[serde(default)]
    pub account_id: Option<Uuid>,
    /// Only accounts of this platform.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Of what the figures are.
    pub level: Level,
    /// Only these of the account, by the platform's ids; empty: all.
    #[serde(default)]
    pub entity_ids: Vec<String>,
}

impl RuleScope {
    /// # Errors
    /// [`RulesError::Invalid`] for what names too many or no entities.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        let is_id = |id: &String| (1..=LONGEST_ID).contains(&id.len()) && !id.contains('\0');
        if self.entity_ids.len() > MOST_ENTITIES || !self.entity_ids.iter().all(is_id) {
            let message = "must name at most 500 entities by their platform's ids";
            return Err(RulesError::invalid("/rule/scope/entity_ids", message));
        }
        if !self.entity_ids.is_empty() && self.account_id.is_none() {
            let message = "is required where entities are named: ids are a platform's";
            return Err(RulesError::invalid("/rule/scope/account_id", message));
        }
        if !self.entity_ids.is_empty() && self.level == Level::Account {
            let message = "must be empty at the level of accounts";
            return Err(RulesError::invalid("/rule/scope/entity_ids", message));
        }
        Ok(())
    }

    /// What can be changed at this level; `None`: nothing.
    pub(super) fn kind(&self) -> Option<EntityType> {
        match self.level {
            Level::Account => None,
            Level::Campaign => Some(EntityType::Campaign),
            Level::AdSet => Some(EntityType::AdSet),
            Level::Ad => Some(EntityType::Ad),
        }
    }
}
