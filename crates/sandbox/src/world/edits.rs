//! What customers change through a platform's own API: what is gone stays as it is, and a budget takes the place of one of its
//! sort, as all five platforms have it.

use super::{Change, Key, Status, World};

/// Why a customer's change is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditRefusal {
    #[error("there is no such thing")]
    Unknown,
    #[error("it is deleted or archived and cannot be changed")]
    Gone,
    #[error("it has no budget of this type")]
    NoSuchBudget,
    #[error("such a thing cannot be changed in this way")]
    DoesNotFit,
}

impl World {
    /// Changes something of this account's, all or nothing.
    ///
    /// # Errors
    /// [`EditRefusal`]; nothing is changed then.
    pub(crate) fn edit(
        &self,
        account: Key,
        key: Option<Key>,
        changes: Vec<Change>,
    ) -> Result<(), EditRefusal> {
        let key = key
            .filter(|key| key.its_account() == account.its_account())
            .ok_or(EditRefusal::Unknown)?;
        let entity = self.entity(key).ok_or(EditRefusal::Unknown)?;
        let is_back = changes
            .iter()
            .all(|change| *change == Change::Status(entity.status));
        if matches!(entity.status, Status::Deleted | Status::Archived) && !is_back {
            return Err(EditRefusal::Gone);
        }
        let lacks_budget = |change: &Change| match change {
            Change::DailyBudget(_) => entity.daily_budget_micros.is_none(),
            Change::LifetimeBudget(_) => entity.lifetime_budget_micros.is_none(),
            Change::Name(_) | Change::Status(_) | Change::AccountStatus(_) => false,
        };
        if changes.iter().any(lacks_budget) {
            return Err(EditRefusal::NoSuchBudget);
        }
        self.change(key, changes)
            .map_err(|_| EditRefusal::DoesNotFit)
    }
}
