//! `strategy.evaluate`: what rules find now. Without a rule's id all that are due are evaluated, a few at a time; with one it is
//! that one, whenever it was evaluated before. What a rule is to do is done by jobs of kind `campaign.update`.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use marketing::rules::{Rules, RulesError, StrategyFound, StrategyId};
use queue::{Job, JobContext, Outcome, error_chain};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{App, account::PATTERN, error::Error};

/// How long a rule is left alone: less than the time between two schedules' ticks.
const EVERY: Duration = Duration::from_secs(50 * 60);
/// How many are looked up at once.
const AT_ONCE: u32 = 50;
/// How many may fail before an attempt ends: then it is not they.
const MOST_FAILED: usize = 5;
/// How long an attempt goes on before it lets others go first.
const LONGEST_TURN: Duration = Duration::from_secs(5 * 60);
/// How soon its next one comes then.
const NEXT_TURN: Duration = Duration::from_secs(1);

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
        Box::pin(one(&ctx.app, id)).await
    }
}

async fn one(app: &App, id: StrategyId) -> Result<Outcome, Error> {
    let rules = Rules::new(app.queue.clone());
    let (found, jobs) = evaluate(&rules, id).await?;
    Ok(match found {
        Some(found) => Outcome::SucceededWith(json!({ "found": found, "jobs": jobs })),
        None => Outcome::Cancelled("there is no such active strategy".to_owned()),
    })
}

async fn all(app: &App, stop: &CancellationToken) -> Result<Outcome, Error> {
    let rules = Rules::new(app.queue.clone());
    let began = Instant::now();
    let (mut evaluated, mut found, mut jobs) = (0_u64, 0_u64, 0_usize);
    // One that cannot be evaluated keeps its turn, and must not keep the others from theirs.
    let (mut failed, mut setback) = (HashSet::<StrategyId>::new(), None::<Error>);
    loop {
        let mut due = rules.due_strategies(EVERY, AT_ONCE).await?;
        due.retain(|id| !failed.contains(id));
        if due.is_empty() {
            break;
        }
        for id in due {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if began.elapsed() > LONGEST_TURN {
                return Ok(Outcome::Snoozed(NEXT_TURN));
            }
            match evaluate(&rules, id).await {
                Ok((evaluation, made)) => {
                    evaluated += 1;
                    jobs += made;
                    found += evaluation.map_or(0, |evaluation| evaluation.found);
                }
                Err(error) if failed.len() < MOST_FAILED => {
                    tracing::warn!(strategy.id = %id, error = %error_chain(&error), "a strategy was not evaluated");
                    failed.insert(id);
                    setback.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    if let Some(error) = setback {
        return Err(error);
    }
    let told = json!({ "strategies": evaluated, "found": found, "jobs": jobs });
    Ok(Outcome::SucceededWith(told))
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
}
