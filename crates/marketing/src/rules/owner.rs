//! Whose a rule or an alert is: the tenant whose accounts it looks at.

use super::{Rules, RulesError, scope::RuleScope, shown_tenant};
use crate::store::{Session, strategies, within_deadline};

impl Rules {
    /// To whom a rule or an alert is to belong: to the account's tenant where it names an account and nobody says whose it is. It
    /// would look at nothing otherwise.
    ///
    /// # Errors
    /// [`RulesError::Invalid`] for an account of somebody else, or none.
    pub(super) async fn owner(
        &self,
        scope: &RuleScope,
        tenant: Option<&str>,
    ) -> Result<Option<String>, RulesError> {
        let said = tenant.map(str::to_owned);
        let Some(account) = scope.account_id else {
            return Ok(said);
        };
        let db = self.db();
        let found = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let found = strategies::tenant_of(session.connection(), account).await?;
            session.done();
            Ok(found)
        });
        let owner = found.await?.map(shown_tenant);
        owner
            .filter(|owner| said.is_none() || *owner == said)
            .ok_or_else(no_account)
    }

    /// Checks that what a rule or an alert is to look at belongs to whom it belongs itself.
    ///
    /// # Errors
    /// As [`Self::owner`].
    pub(super) async fn check_owner(
        &self,
        scope: &RuleScope,
        tenant: Option<&str>,
    ) -> Result<(), RulesError> {
        let owner = self.owner(scope, tenant).await?;
        if owner.as_deref() != tenant {
            return Err(no_account());
        }
        Ok(())
    }
}

fn no_account() -> RulesError {
    let message = "must be an ad account of the tenant";
    RulesError::invalid("/rule/scope/account_id", message)
}
