//! Which budgets the jobs of accounts draw on where their kinds name none. It is read where claims read what gates stand on.

use sqlx::PgExecutor;

/// Has accounts draw on a budget, whatever they drew on before. In the order of their names, as all who change several.
pub(crate) async fn assign(
    db: impl PgExecutor<'_>,
    accounts: &[String],
    budget: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO millpond.account_budgets AS known (account, budget)
         SELECT a.account, $2::text FROM (SELECT DISTINCT unnest($1::text[])) AS a (account) ORDER BY a.account
         ON CONFLICT ON CONSTRAINT account_budgets_pkey DO UPDATE SET budget = excluded.budget
          WHERE known.budget <> excluded.budget",
        accounts,
        budget,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Has accounts draw on no budget of their own any more.
pub(crate) async fn unassign(
    db: impl PgExecutor<'_>,
    accounts: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM millpond.account_budgets
          WHERE account = ANY (ARRAY(SELECT a.account FROM millpond.account_budgets a
                                      WHERE a.account = ANY ($1) ORDER BY a.account FOR UPDATE))",
        accounts,
    )
    .execute(db)
    .await?;
    Ok(())
}
