//! Google's calls a day, as they are built in: three processes make each of them and none more.

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::{ConnectOptions, PgPool};
use tokio::task::JoinSet;

use crate::{
    BudgetError, Database, DatabaseSettings, Queue,
    budgets::{BudgetHandle, DrawsOn},
    config::Config,
};

/// A day's calls in a moment: what is built in keeps them apart. How many they are is left as it is built in.
const AT_ONCE: &str = "[budgets.google_ads]\nconcurrent = 10000\nrate = \"1000000/s\"\n";
const ORDINARY: i16 = 5;
const URGENT: i16 = 0;
/// Callers of each process.
const CALLERS: usize = 8;

/// A process of the fleet, with connections of its own.
fn process(db: &PgPool) -> anyhow::Result<Queue> {
    let database = Database::connect_lazy(DatabaseSettings {
        url: SecretString::from(db.connect_options().to_url_lossy().to_string()),
        requests: 1,
        enqueues: 1,
        engine: 2,
        claims: 1,
        application_name: "calls a day".to_owned(),
    })?;
    let config = Config::parse(AT_ONCE, &[]).expect("it is right").config;
    Ok(Queue::new(database, Arc::new(config), [])?)
}

fn google(queue: &Queue, account: &str, priority: i16) -> BudgetHandle {
    let draws_on = DrawsOn {
        budgets: queue.shared.budgets.clone(),
        named: None,
        account: None,
        priority,
    };
    draws_on.budget("google_ads", Some(account))
}

/// Has the callers of all processes call, each process for an account of its own, until there is nothing left. Tells what
/// their calls weigh together.
async fn call_until_dry(processes: &[Queue], priority: i16, weight: u32) -> anyhow::Result<u32> {
    let mut callers = JoinSet::new();
    for (account, queue) in ["one", "two", "three"].into_iter().zip(processes) {
        for _ in 0..CALLERS {
            let budget = google(queue, account, priority);
            callers.spawn(async move {
                let mut made = 0;
                loop {
                    match budget.take(weight).await {
                        Ok(_permit) => made += weight,
                        Err(BudgetError::Dry { .. }) => return Ok(made),
                        Err(error) => return Err(error),
                    }
                }
            });
        }
    }
    let mut made = 0;
    for caller in callers.join_all().await {
        made += caller?;
    }
    Ok(made)
}

// Fails when each process or each account has the calls for itself, when a call counts as one whatever it weighs, when what
// is used is read before its row is locked, and when calls that one process has leased are kept from the others.
#[sqlx::test(migrations = "../../migrations")]
async fn three_processes_make_googles_fifteen_thousand_calls_of_a_day_and_none_more(
    db: PgPool,
) -> anyhow::Result<()> {
    let processes = [process(&db)?, process(&db)?, process(&db)?];

    let ordinary = call_until_dry(&processes, ORDINARY, 1).await?;
    let urgent = call_until_dry(&processes, URGENT, 5).await?;
    let more = call_until_dry(&processes, URGENT, 1).await?;

    assert_eq!((ordinary, urgent, more), (13_500, 1_500, 0));
    let used = "SELECT sum(used)::int8 FROM millpond.budget_usage WHERE name = 'google_ads'";
    let used: Option<i64> = sqlx::query_scalar(used).fetch_one(&db).await?;
    assert_eq!(used, Some(15_000));
    for queue in processes {
        queue.close().await;
        queue.database().close().await;
    }
    Ok(())
}
