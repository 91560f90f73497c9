//! The budgets that accounts' jobs draw on where their kinds name none. The engine knows an account and a budget by their
//! names alone; whoever knows what an account is says which budget is its own, in one transaction with what that follows from.

use sqlx::PgConnection;

use crate::{Queue, store::account_budgets};

impl Queue {
    /// Has the jobs of these accounts draw on a budget, unless their kind names another one: while it is dry for an account
    /// they wait, ready. In a transaction of the caller's.
    ///
    /// # Errors
    /// When the database did not take part: the transaction is over.
    pub async fn assign_budget_in(
        conn: &mut PgConnection,
        accounts: &[String],
        budget: &str,
    ) -> Result<(), sqlx::Error> {
        account_budgets::assign(conn, accounts, budget).await
    }

    /// Takes back what [`Self::assign_budget_in`] said of these accounts: no dry budget keeps their jobs but that of their
    /// kind.
    ///
    /// # Errors
    /// When the database did not take part: the transaction is over.
    pub async fn unassign_budget_in(
        conn: &mut PgConnection,
        accounts: &[String],
    ) -> Result<(), sqlx::Error> {
        account_budgets::unassign(conn, accounts).await
    }
}
