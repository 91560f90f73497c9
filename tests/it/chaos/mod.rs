//! Chaos: the whole program as several processes, and everything around it failing while jobs flow. After every round
//! the conservation check must find that nothing was lost, doubled or left over. Plans come from a seed, which is
//! printed and accepted: `MILLPOND_CHAOS_SEED`, `MILLPOND_CHAOS_MINUTES` and `MILLPOND_CHAOS_FAULTS`, which
//! `scripts/chaos` sets; without them every fault is tried once.

mod clients;
mod conservation;
mod database_faults;
pub(crate) mod dice;
mod door;
mod effects;
mod faults;
mod fleet;
mod ledger;
mod nemesis;
mod observe;
mod plan;
pub(crate) mod ports;
pub(crate) mod postgres;
mod proxy;
mod receiver;
mod report;
mod rude;
mod run;
mod scene;

use std::{future::Future, time::Duration};

use anyhow::Context;
use sqlx::types::chrono::Utc;

use self::run::Run;

/// The seed of the short form.
const SEED: u64 = 20_260_901;

/// What is asked of a run.
struct Settings {
    seed: u64,
    /// `None`: each fault once.
    lasts: Option<Duration>,
    /// Ids; none: all.
    faults: Vec<String>,
}

impl Settings {
    fn read() -> anyhow::Result<Self> {
        let seed = match std::env::var("MILLPOND_CHAOS_SEED") {
            Ok(seed) => seed.parse().context("MILLPOND_CHAOS_SEED is no number")?,
            Err(_) => SEED,
        };
        let lasts = match std::env::var("MILLPOND_CHAOS_MINUTES") {
            Ok(minutes) => {
                let minutes: u64 = minutes
                    .parse()
                    .context("MILLPOND_CHAOS_MINUTES is no number")?;
                Some(Duration::from_secs(60 * minutes))
            }
            Err(_) => None,
        };
        let faults = std::env::var("MILLPOND_CHAOS_FAULTS").unwrap_or_default();
        let faults = faults.split(',').map(str::trim);
        Ok(Self {
            seed,
            lasts,
            faults: faults
                .filter(|fault| !fault.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// What it is there to catch: a settlement without the fence (the sums disagree, a job stands in two places), an answer
/// before its commit (lost acknowledgements after F05 and F06), a key that is checked and then inserted (two jobs for one
/// key in F20), a drain that does not end (F03). A commit that does not wait for its flush it finds by chance: others
/// that do flush it with theirs. It cannot see a drain that drops what it claimed: those jobs are rescued.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_accepted_is_lost_or_doubled_whatever_fails() -> anyhow::Result<()> {
    let settings = Settings::read()?;
    let seed = settings.seed;

    let found = Box::pin(Run::begin(settings).await?.finish()).await?;

    anyhow::ensure!(
        found == 0,
        "{found} findings with seed {seed}; they stand above"
    );
    Ok(())
}

/// Now, by this machine's clock, which the database shares: seconds since 1970.
fn now() -> f64 {
    let micros = Utc::now().timestamp_micros();
    micros as f64 / 1e6
}

/// Lets time pass: how long a fault lasts, how late an answer is. Never a hope that something has happened meanwhile.
async fn passes(duration: Duration) {
    // It cannot but elapse.
    let _ = tokio::time::timeout(duration, std::future::pending::<()>()).await;
}

/// Waits until the condition gives something, for so long at most.
async fn until<T, F: Future<Output = anyhow::Result<Option<T>>>>(
    what: &str,
    limit: Duration,
    condition: impl Fn() -> F,
) -> anyhow::Result<T> {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let waiting = async {
        loop {
            tick.tick().await;
            if let Some(found) = condition().await? {
                return anyhow::Ok(found);
            }
        }
    };
    let found = tokio::time::timeout(limit, waiting).await;
    found.with_context(|| format!("not within {} s: {what}", limit.as_secs()))?
}
