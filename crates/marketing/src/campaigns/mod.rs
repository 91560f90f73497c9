//! What Millpond changes of campaigns, ad sets and ads: who may begin a change, what was before, and how it ended. Who calls
//! the platform stands in the jobs. An entity is changed by one job at a time, and only where it still is as that job expects.

mod claim;
mod decide;
mod settle;
#[cfg(test)]
mod tests;
mod view;

use queue::{AdminError, Queue};
use sqlx::PgPool;

pub use claim::{Claimed, Order, ToSend};
pub use decide::{Action, Expected, Sight, Wanted};
pub use settle::Fate;
pub use view::{ChangeState, MadeChange};

use crate::store::StoreError;

/// Why a change was not begun, ended or read.
#[derive(Debug, thiserror::Error)]
pub enum CampaignsError {
    /// The database did not take part; whether it stored anything is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A cursor of another list.
    #[error(transparent)]
    Engine(#[from] AdminError),
}

/// Changes of campaigns; cheap to make and to clone.
#[derive(Clone)]
pub struct Campaigns {
    queue: Queue,
}

impl Campaigns {
    /// In the queue's database.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    fn db(&self) -> PgPool {
        self.queue.database().pool()
    }
}
