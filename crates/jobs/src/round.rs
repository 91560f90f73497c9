//! What the kinds that look at rules and alerts share: all that are due, a few at a time, for a bounded time.

use std::{
    collections::HashSet,
    fmt::Display,
    hash::Hash,
    time::{Duration, Instant},
};

use queue::error_chain;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How many are looked up at once.
pub(crate) const AT_ONCE: u32 = 50;
/// How soon the next attempt goes on with what one has left.
pub(crate) const NEXT_TURN: Duration = Duration::from_secs(1);

/// How many may fail before an attempt ends: then it is not they.
const MOST_FAILED: usize = 5;
/// How long an attempt goes on before it lets others go first.
const LONGEST_TURN: Duration = Duration::from_secs(5 * 60);

/// Looks at each that is due, until none is, and adds up what the looks came to; `None`: some are left, and others go first. One
/// that fails keeps its turn, and keeps no other from its own; the round fails with it when all the others had theirs.
pub(crate) async fn round<I, D, L, const N: usize>(
    stop: &CancellationToken,
    due: impl Fn() -> D,
    look: impl Fn(I) -> L,
) -> Result<Option<[u64; N]>, Error>
where
    I: Copy + Eq + Hash + Display,
    D: Future<Output = Result<Vec<I>, Error>>,
    L: Future<Output = Result<[u64; N], Error>>,
{
    let began = Instant::now();
    let mut sums = [0; N];
    let (mut failed, mut setback) = (HashSet::<I>::new(), None::<Error>);
    loop {
        let mut due = due().await?;
        due.retain(|id| !failed.contains(id));
        if due.is_empty() {
            break;
        }
        for id in due {
            if stop.is_cancelled() {
                return Err(Error::Stopped);
            }
            if began.elapsed() > LONGEST_TURN {
                return Ok(None);
            }
            match look(id).await {
                Ok(counts) => {
                    for (sum, count) in sums.iter_mut().zip(counts) {
                        *sum += count;
                    }
                }
                Err(error) if failed.len() < MOST_FAILED => {
                    tracing::warn!(rule.id = %id, error = %error_chain(&error), "a rule or an alert was not looked at");
                    failed.insert(id);
                    setback.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    setback.map_or(Ok(Some(sums)), Err)
}
