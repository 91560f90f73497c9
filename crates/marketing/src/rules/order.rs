//! Jobs that make the changes of rules. Findings name their job's key before the job is made, so that it is made once whoever
//! dies in between.

use std::collections::BTreeMap;

use queue::{AdminError, Idempotency, NewJob, Source};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

use super::{
    Rules, RulesError, StrategyId,
    recommend::BY_ITSELF,
    recommendations::{Recommendation, shown, told_reasons},
    strategy::Act,
};
use crate::store::{Session, recommendations, strategies, within_deadline};

/// The kind that makes changes.
const KIND: &str = "campaign.update";

/// In whose name keys are kept.
const CLIENT: &str = "millpond:strategies";

/// Most characters of who asks for a change.
const LONGEST_NAME: usize = 200;

/// Changes of one account that one job makes.
struct UpdateOrder {
    /// The key by which the job is made once.
    batch: Uuid,
    /// Whose account it is.
    tenant: Option<String>,
    /// What the job gets.
    payload: Value,
}

impl Rules {
    /// Makes the jobs that a rule's findings wait for; tells how many.
    ///
    /// # Errors
    /// [`RulesError::Engine`] where one was not taken: it is made the next time.
    pub async fn give_orders(&self, id: StrategyId) -> Result<usize, RulesError> {
        let orders = self.orders(id).await?;
        for order in &orders {
            let payload = to_raw_value(&order.payload).expect("a JSON value is written as JSON");
            let job = NewJob {
                tenant: order.tenant.clone(),
                ..NewJob::new(KIND, payload, Source::Handler)
            };
            // The batch alone tells which job it is: it is the same one where the rule was renamed meanwhile.
            let mut fingerprint = [0; 32];
            fingerprint[..16].copy_from_slice(order.batch.as_bytes());
            let once = Idempotency {
                client: CLIENT.to_owned(),
                key: order.batch.to_string(),
                fingerprint,
            };
            let made = self.queue.enqueue(job, Some(once)).await;
            let made = made.map_err(AdminError::NotEnqueued)?;
            let db = self.db();
            within_deadline(async {
                let mut session = Session::open(&db).await?;
                recommendations::ordered(session.connection(), order.batch, made.id.0).await?;
                session.done();
                Ok(())
            })
            .await?;
        }
        Ok(orders.len())
    }

    async fn orders(&self, id: StrategyId) -> Result<Vec<UpdateOrder>, RulesError> {
        let db = self.db();
        let (name, waiting) = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let strategy = strategies::get(session.connection(), id.0, None).await?;
            let rows = recommendations::to_order(session.connection(), id.0, BY_ITSELF).await?;
            session.done();
            let mut waiting: BTreeMap<Uuid, Vec<Recommendation>> = BTreeMap::new();
            for row in rows {
                if let Some(batch) = row.batch {
                    waiting.entry(batch).or_default().push(shown(row)?);
                }
            }
            Ok((strategy.map(|strategy| strategy.name), waiting))
        })
        .await?;
        let name = name.ok_or(RulesError::NotFound)?;
        let orders = waiting.into_iter();
        Ok(orders
            .filter_map(|(batch, findings)| order(batch, &name, &findings))
            .collect())
    }
}

fn order(batch: Uuid, name: &str, findings: &[Recommendation]) -> Option<UpdateOrder> {
    let first = findings.first()?;
    let changes: Vec<Value> = findings.iter().filter_map(|it| change(it, name)).collect();
    Some(UpdateOrder {
        batch,
        tenant: first.tenant.clone(),
        payload: json!({
            "account_id": first.account,
            "changes": changes,
            "strategy_id": first.strategy,
            "requested_by": first.decided_by.as_deref().map(shortened),
        }),
    })
}

/// A name that the payload takes.
fn shortened(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

/// A change that is made only where the entity still is as it was when it was found.
fn change(finding: &Recommendation, name: &str) -> Option<Value> {
    let why = told_reasons(&finding.reasons);
    let reason: String = format!("{name}: {why}").chars().take(500).collect();
    let (action, amount, expect) = match finding.action {
        Act::Pause => ("pause", None, json!({ "status": "active" })),
        Act::RaiseBudget => (
            "set_daily_budget",
            Some(finding.after.as_deref()?),
            json!({ "daily_budget": finding.before }),
        ),
        Act::Notify => return None,
    };
    let mut change = json!({
        "type": finding.kind,
        "id": finding.entity_id,
        "action": action,
        "expect": expect,
        "reason": reason,
    });
    if let Some(amount) = amount {
        change["amount"] = json!(amount);
    }
    Some(change)
}
