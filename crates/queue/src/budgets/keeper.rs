//! What happens to budgets without a call: what nobody draws on goes back, places are renewed, news are told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{EXCHANGES, Fleet, bucket::Bucket};
use crate::error_chain;

/// How often budgets are looked at that are in use.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The pause after an exchange failed.
const RETRY: Duration = Duration::from_secs(1);

/// Looks after the budgets of this process until it stops.
pub(super) async fn keep(fleet: Arc<Fleet>, stop: CancellationToken) {
    // An exchange that is cut off is rolled back, or what it leased and gave back counts as used.
    tokio::select! {
        () = keep_looking(&fleet) => {}
        () = stop.cancelled() => {}
    }
}

async fn keep_looking(fleet: &Arc<Fleet>) {
    loop {
        let is_well = look_after(fleet).await;
        let is_quiet = fleet.buckets().is_empty();
        if is_quiet {
            fleet.wake.notified().await;
            continue;
        }
        // Both are cancel-safe.
        tokio::select! {
            () = fleet.wake.notified() => {}
            () = tokio::time::sleep(if is_well { LOOK_EVERY } else { RETRY }) => {}
        }
    }
}

/// Does what is due, and forgets budgets of which nothing is held. Tells whether all of it worked.
async fn look_after(fleet: &Arc<Fleet>) -> bool {
    let now = Instant::now();
    let buckets: Vec<Arc<Bucket>> = fleet.buckets().values().map(Arc::clone).collect();
    let due = buckets.into_iter().filter(|bucket| {
        let renew_every = bucket.terms().renew_every;
        bucket.stock().is_due(renew_every, now)
    });
    let is_well = exchange_all(fleet, due.collect(), false).await;
    // Under the lock nobody else can come by one that is held by the map alone.
    fleet
        .buckets()
        .retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.stock().is_spent());
    is_well
}

/// Gives back what is leased and not used.
pub(super) async fn give_back(fleet: &Arc<Fleet>) {
    let buckets: Vec<Arc<Bucket>> = fleet.buckets().values().map(Arc::clone).collect();
    exchange_all(fleet, buckets, true).await;
}

async fn exchange_all(fleet: &Arc<Fleet>, buckets: Vec<Arc<Bucket>>, leaves: bool) -> bool {
    let failures = stream::iter(buckets).map(|bucket| async move {
        let key = bucket.key.clone();
        let exchanged = bucket.exchange(Arc::clone(fleet), None, leaves).await;
        if let Err(error) = &exchanged {
            tracing::debug!(budget.name = %key.name, error = %error_chain(error),
                "a budget could not be settled; what was leased may count as used");
        }
        exchanged.is_err()
    });
    let failures: Vec<bool> = failures.buffer_unordered(EXCHANGES).collect().await;
    !failures.contains(&true)
}
