//! What rules and alerts told long ago goes.

use super::{Rules, RulesError};
use crate::store::{Session, alert_history, recommendations, within_deadline};

/// How long findings and what alerts told are kept: longer than a year, for whoever compares.
const KEPT_S: f64 = 400.0 * 86_400.0;

impl Rules {
    /// Deletes up to 5,000 decided findings and as many entries of alerts that are older than 400 days; tells how many of each.
    ///
    /// # Errors
    /// [`RulesError::Store`].
    pub async fn prune(&self) -> Result<(u64, u64), RulesError> {
        let db = self.db();
        let pruned = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let findings = recommendations::prune(session.connection(), KEPT_S).await?;
            let entries = alert_history::prune(session.connection(), KEPT_S).await?;
            session.done();
            Ok((findings, entries))
        });
        Ok(pruned.await?)
    }
}
