//! Which rules and alerts are due.

use std::time::Duration;

use super::{AlertId, Rules, RulesError, StrategyId};
use crate::store::{Session, alerts, strategies, within_deadline};

impl Rules {
    /// Active rules that were not evaluated for so long, the longest waiting first.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn due_strategies(
        &self,
        every: Duration,
        most: u32,
    ) -> Result<Vec<StrategyId>, RulesError> {
        let db = self.db();
        let ids = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let every_s = every.as_secs_f64();
            let ids = strategies::due(session.connection(), every_s, i64::from(most)).await?;
            session.done();
            Ok(ids)
        });
        Ok(ids.await?.into_iter().map(StrategyId).collect())
    }

    /// Active alerts that were not looked at for so long, the longest waiting first.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn due_alerts(&self, every: Duration, most: u32) -> Result<Vec<AlertId>, RulesError> {
        let db = self.db();
        let ids = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let every_s = every.as_secs_f64();
            let ids = alerts::due(session.connection(), every_s, i64::from(most)).await?;
            session.done();
            Ok(ids)
        });
        Ok(ids.await?.into_iter().map(AlertId).collect())
    }
}
