//! The store model: random sequences of everything that can happen to jobs, on PostgreSQL and on a model in memory,
//! compared after every step.

mod actual;
mod expected;
mod job;
mod operations;
mod play;
mod settle;

use proptest::{
    collection::vec,
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sqlx::PgPool;

use operations::{Operation, operation};
use play::World;

/// Sequences that are played; PROPTEST_CASES changes it.
const CASES: u32 = 48;
/// Longest sequence.
const LONGEST: usize = 60;
/// Sequences that are tried to find a shorter one that fails too.
const SHRINKS: usize = 300;

// Fails when, for instance
// - renew, a settlement or unclaim drops its fence: an old or a foreign token then changes a job;
// - a settlement gives attempts_used back wrongly, or a claim or unclaim miscounts: `actual::check`, on its own;
// - a claim does not draw a new token, takes what is not ready, or takes it in another order;
// - a unique key is not released at claim or at the end, or one_behind does not take it over;
// - a key that was refused keeps its idempotency key, or a known one answers something else;
// - put_back ignores a request to cancel, or rescue ignores max_lost, max_attempts or that request;
// - promote does not look at run_at; unclaim or promote moves a job to the end of the line;
// - a dead letter is replayed twice, or a group's count of open ones is not kept.
#[sqlx::test(migrations = "../../migrations")]
async fn the_store_does_what_its_model_says_in_whatever_order_things_happen(
    db: PgPool,
) -> anyhow::Result<()> {
    let world = World::new(db);

    for case in 0..cases() {
        let mut sequence = sequence(case)?;
        if let Err(error) = world.play(&sequence.current()).await {
            let (shortest, error) = shrink(&world, &mut sequence, error).await;
            anyhow::bail!(
                "case {case} (its number is its seed) fails, at the shortest with\n{shortest:#?}\n{error:#}"
            );
        }
    }
    Ok(())
}

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|count| count.parse().ok()).unwrap_or(CASES)
}

/// The sequence of a case: always the same for the same number.
fn sequence(case: u32) -> anyhow::Result<impl ValueTree<Value = Vec<Operation>>> {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&case.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    vec(operation(), 1..=LONGEST)
        .new_tree(&mut runner)
        .map_err(|reason| anyhow::anyhow!("no sequence: {reason}"))
}

/// Looks for a shorter sequence that fails. By hand, since proptest's own runner is not asynchronous.
async fn shrink(
    world: &World,
    sequence: &mut impl ValueTree<Value = Vec<Operation>>,
    error: anyhow::Error,
) -> (Vec<Operation>, anyhow::Error) {
    let mut shortest = (sequence.current(), error);
    let mut goes_on = sequence.simplify();
    for _ in 0..SHRINKS {
        if !goes_on {
            break;
        }
        goes_on = match world.play(&sequence.current()).await {
            Err(error) => {
                shortest = (sequence.current(), error);
                sequence.simplify()
            }
            Ok(()) => sequence.complicate(),
        };
    }
    shortest
}
