//! P9: what a whole process costs while there is nothing to do, with every role and twenty queues.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use queue::bench::{Commits, Figure, Goal, per_second, without_autovacuum};
use tokio::time::sleep;

use super::{
    child::{ALL_ROLES, Child},
    ground::{Ground, Server},
    memory::READY,
};

/// Queues beside the ten that are built in.
const MORE_QUEUES: usize = 10;
/// How long the process has to come to rest: longer than the server keeps back what it has counted.
const REST: Duration = Duration::from_secs(15);
/// How long it is watched then.
const IDLE: Duration = Duration::from_secs(60);

/// P9.
pub(super) async fn measure(ground: &Ground<'_>) -> anyhow::Result<[Figure; 2]> {
    let watching = Box::pin(watch(ground));
    let watched = match ground.server {
        Server::Private => without_autovacuum(&ground.db, watching).await?,
        Server::Given => watching.await,
    }?;
    let what = "idle, all roles, 20 queues";
    let transactions = Figure::new(
        "P9",
        format!("{what}: transactions"),
        "/s",
        vec![watched.transactions],
    );
    let share = Figure::new(
        "P9",
        format!("{what}: share of a core"),
        "%",
        vec![watched.share_of_core],
    );
    Ok([
        match ground.server {
            Server::Private => transactions
                .judged_by(Goal::AtMost(1.0))
                .noted("all of the process's, autovacuum being off"),
            Server::Given => transactions.noted("others' and autovacuum's too: not judged"),
        },
        share.judged_by(Goal::AtMost(0.1)),
    ])
}

/// What an idle process costs.
struct Watched {
    /// Transactions a second.
    transactions: f64,
    /// In per cent.
    share_of_core: f64,
}

async fn watch(ground: &Ground<'_>) -> anyhow::Result<Watched> {
    let folder = ground.folder.join("idle");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("jobs.toml"), jobs_toml())?;
    let mut child = Child::serve_in(&folder, ground, ALL_ROLES)?;
    child.ready(READY).await?;
    let mut commits = Commits::open(&ground.db).await?;
    sleep(REST).await;
    commits.since_last().await?;
    let (started, busy_before) = (Instant::now(), child.seconds_on_cores()?);
    sleep(IDLE).await;
    let transactions = commits.since_last().await?;
    let (took, busy) = (started.elapsed(), child.seconds_on_cores()? - busy_before);
    child.stop().await?;
    Ok(Watched {
        transactions: per_second(transactions, took),
        share_of_core: busy / took.as_secs_f64() * 100.0,
    })
}

fn jobs_toml() -> String {
    let mut text = String::new();
    for number in 1..=MORE_QUEUES {
        // Writing to a text does not fail.
        let _ = writeln!(text, "[queues.more-{number}]\nconcurrency = 10");
    }
    text
}

#[cfg(test)]
mod tests {
    use queue::config::Config;

    use super::*;

    #[test]
    fn the_idle_process_has_twenty_queues() {
        let parsed = Config::parse(&jobs_toml(), &[]).expect("valid");

        assert_eq!(parsed.config.queues.len(), 20);
    }
}
