//! What limits have left behind: calls and starts that count no more, places of processes that are gone, holds that have ended.
//! The leader takes them away as it goes; whoever asks here is told of what was there.

use serde::Serialize;

use super::AdminError;
use crate::{
    Queue,
    db::within,
    store::{budgets, holds, queues},
};

/// What a round took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LimitsPruned {
    /// Counts of calls, each of five minutes, that are in no budget's day any more.
    pub usage: u64,
    /// Processes that draw on no budget any more.
    pub holders: u64,
    /// Budgets of accounts that nobody has asked about for a week.
    pub budgets: u64,
    /// Pauses and dry spells of budgets that are over.
    pub pauses: u64,
    /// Holds of accounts that have ended.
    pub holds: u64,
    /// Queues whose latest starts count under no rate any more.
    pub windows: u64,
    /// There is nothing left to take away.
    pub is_done: bool,
}

impl LimitsPruned {
    /// This round with one that came after it.
    #[must_use]
    pub fn and_then(self, next: Self) -> Self {
        Self {
            usage: self.usage + next.usage,
            holders: self.holders + next.holders,
            budgets: self.budgets + next.budgets,
            pauses: self.pauses + next.pauses,
            holds: self.holds + next.holds,
            windows: self.windows + next.windows,
            is_done: next.is_done,
        }
    }
}

impl Queue {
    /// Takes away a portion of what limits have left behind. It may run beside itself and beside the leader.
    ///
    /// # Errors
    /// When the database did not take part; what was done before stays done.
    pub async fn prune_limits(&self) -> Result<LimitsPruned, AdminError> {
        let mut session = self.shared.db.request().await?;
        let pruned = within(async {
            let conn = session.conn();
            let of_budgets = budgets::prune_each(&mut *conn).await?;
            let holds = holds::prune(&mut *conn).await?;
            let windows = queues::forget_old_starts(&mut *conn).await?;
            Ok((of_budgets, holds, windows))
        })
        .await;
        let (of_budgets, holds, windows) = session.end(pruned)?;
        let pruned = LimitsPruned {
            usage: of_budgets.slots.unsigned_abs(),
            holders: of_budgets.holders.unsigned_abs(),
            budgets: of_budgets.budgets.unsigned_abs(),
            pauses: of_budgets.ended.unsigned_abs(),
            holds,
            windows,
            is_done: false,
        };
        let nothing = LimitsPruned::default();
        Ok(LimitsPruned {
            is_done: pruned == nothing,
            ..pruned
        })
    }
}
