//! `strategy.evaluate`: what rules find now. Without a rule's id all that are due are evaluated, a few at a time; with one it is
//! that one, whenever it was evaluated before. What a rule is to do is done by jobs of kind `campaign.update`.

use std::time::Duration;

use chrono::Utc;
use marketing::rules::{Rules, RulesError, StrategyFound, StrategyId};
use queue::{Job, JobContext, Outcome};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    account::PATTERN,
    error::Error,
    round::{AT_ONCE, NEXT_TURN, round},
};

/// How long a rule is left alone: less than the time between two schedules' ticks.
const EVERY: Duration = Duration::from_secs(50 * 60);

/// Evaluates rules. Idempotent: what was found is not found again, and each change is made once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StrategyEvaluate {
    /// The rule; all that are due without.
    #[serde(default)]
    #[schemars(with = "Option<String>", regex(pattern = PATTERN))]
    strategy_id: Option<String>,
}

impl Job for StrategyEvaluate {
    const KIND: &'static str = "strategy.evaluate";
    type App = App;
    type Error = Error;

    async fn run(self, ctx: &JobContext<App>) -> Result<Outcome, Error> {
        let Some(id) = &self.strategy_id else {
            return Box::pin(all(&ctx.app, ctx.cancellation())).await;
        };
        let id = id.parse::<StrategyId>().map_err(|_| Error::Payload {
            pointer: "/strategy_id",
            problem: "is no id",
        })?;
        Box::pin(one(&ctx.app, id, ctx.job.tenant.as_deref())).await
    }
}

/// Evaluates a rule, which must belong to the job's tenant where it has one.
async fn one(app: &App, id: StrategyId, tenant: Option<&str>) -> Result<Outcome, Error> {
    let rules = Rules::new(app.queue.clone());
    let (found, jobs) = match rules.strategy(id, tenant).await {
        Err(RulesError::NotFound) => (None, 0),
        there => {
            there?;
            evaluate(&rules, id).await?
        }
    };
    Ok(match found {
        Some(found) => Outcome::SucceededWith(json!({ "found": found, "jobs": jobs })),
        None => Outcome::Cancelled("there is no such active strategy".to_owned()),
    })
}

async fn all(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let rules = Rules::new(app.queue.clone());
    let round = round(stop, || due(&rules), |id| counted(&rules, id)).await?;
    let Some([strategies, found, jobs, without_accounts]) = round else {
        return Ok(Outcome::Snoozed(NEXT_TURN));
    };
    Ok(Outcome::SucceededWith(json!({
        "strategies": strategies,
        "found": found,
        "jobs": jobs,
        "without_accounts": without_accounts,
    })))
}

async fn due(rules: &Rules) -> Result<Vec<StrategyId>, Error> {
    Ok(rules.due_strategies(EVERY, AT_ONCE).await?)
}

/// Evaluates a rule; tells that it was one, what it found, the jobs made of that, and whether there is no account of it.
async fn counted(rules: &Rules, id: StrategyId) -> Result<[u64; 4], Error> {
    let (found, jobs) = evaluate(rules, id).await?;
    let has_none = found.is_some_and(|found| found.accounts == 0);
    let found = found.map_or(0, |found| found.found);
    let jobs = u64::try_from(jobs).unwrap_or(u64::MAX);
    Ok([1, found, jobs, u64::from(has_none)])
}

async fn evaluate(rules: &Rules, id: StrategyId) -> Result<(Option<StrategyFound>, usize), Error> {
    let found = rules.evaluate_strategy(id, Utc::now()).await?;
    Ok((found, orders(rules, id).await?))
}

/// Makes the jobs that a rule's findings wait for; none for one that was deleted meanwhile.
async fn orders(rules: &Rules, id: StrategyId) -> Result<usize, Error> {
    match rules.give_orders(id).await {
        Err(RulesError::NotFound) => Ok(0),
        given => Ok(given?),
    }
}

#[cfg(test)]
mod tests {
    use marketing::PgPool;

    use super::*;
    use crate::kinds::scene::Scene;

    // Fails when a rule that cannot be read keeps those behind it from being evaluated for ever.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_rule_that_cannot_be_evaluated_keeps_no_other_from_it(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        sqlx::raw_sql(
            r#"INSERT INTO marketing.strategies (id, tenant, name, mode, rule)
               VALUES ('00000000-0000-0000-0000-000000000001', '', 'unreadable', 'act', '{}'),
                      ('00000000-0000-0000-0000-000000000002', '', 'behind it', 'act',
                       '{"scope": {"level": "campaign"}, "action": "pause", "look_back_days": 7, "max_cpc": "2"}')"#,
        )
        .execute(&db)
        .await?;

        let told = Box::pin(all(&scene.app, &CancellationToken::new())).await;

        assert!(told.is_err(), "{told:?}");
        let sql = "SELECT name FROM marketing.strategies WHERE evaluated_at IS NOT NULL";
        let evaluated: Vec<String> = sqlx::query_scalar(sql).fetch_all(&db).await?;
        assert_eq!(evaluated, ["behind it"]);
        Ok(())
    }

    // Fails when a key that is bound to a tenant has another one's rule evaluated, and when nobody can see that a rule is about
    // no account.
    #[sqlx::test(migrations = "../../migrations")]
    async fn a_rule_of_another_tenant_is_not_there_and_one_without_accounts_says_so(
        db: PgPool,
    ) -> anyhow::Result<()> {
        let scene = Scene::new(&db);
        scene.connected().await?;
        sqlx::raw_sql(
            r#"INSERT INTO marketing.strategies (id, tenant, name, mode, rule)
               VALUES ('00000000-0000-0000-0000-000000000001', 'acme', 'Too dear', 'recommend',
                       '{"scope": {"level": "campaign"}, "action": "pause", "look_back_days": 7, "max_cpc": "2"}')"#,
        )
        .execute(&db)
        .await?;
        let id: StrategyId = "00000000-0000-0000-0000-000000000001".parse()?;

        let round = Box::pin(all(&scene.app, &CancellationToken::new())).await?;
        let of_others = Box::pin(one(&scene.app, id, Some("globex"))).await?;
        let own = Box::pin(one(&scene.app, id, Some("acme"))).await?;

        let (Outcome::SucceededWith(round), Outcome::SucceededWith(own)) = (round, own) else {
            anyhow::bail!("both are evaluated");
        };
        assert_eq!(round["without_accounts"], 1, "{round}");
        assert_eq!(own["found"]["accounts"], 0, "{own}");
        assert!(matches!(of_others, Outcome::Cancelled(_)), "{of_others:?}");
        Ok(())
    }
}
