//! News of the fleet's configuration: whoever reads the count of its changes, for whatever reason, says so here, and the
//! follower need not ask itself.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// The latest count that was read, and a bell for those who wait for another.
#[derive(Debug, Default)]
pub(crate) struct News {
    latest: Mutex<Option<Heard>>,
    some: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    change: i64,
    at: Instant,
}

impl News {
    /// The count was read from the database.
    pub(crate) fn heard(&self, change: i64) {
        let heard = Heard {
            change,
            at: Instant::now(),
        };
        let before = self
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(heard);
        if before.is_none_or(|before| before.change != change) {
            self.some.notify_one();
        }
    }

    /// Something has changed: look now.
    pub(crate) fn ring(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.some.notify_one();
    }

    /// Waits for another count, or a ring. Cancel-safe.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }

    /// The count, if it was read within this time.
    pub(super) fn within(&self, time: Duration) -> Option<i64> {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = latest.filter(|heard| heard.at.elapsed() < time)?;
        Some(heard.change)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_count_that_was_heard_serves_for_a_while_and_only_another_one_is_news() {
        let news = News::default();
        news.heard(3);
        let first = news.some().now_or_never();
        news.heard(3);
        let again = news.some().now_or_never();
        news.heard(4);

        assert!(first.is_some() && again.is_none());
        assert!(news.some().now_or_never().is_some());
        assert_eq!(news.within(Duration::from_secs(60)), Some(4));
        assert_eq!(news.within(Duration::ZERO), None);
    }

    #[test]
    fn after_a_ring_nothing_that_was_heard_before_serves() {
        let news = News::default();
        news.heard(3);

        news.ring();

        assert_eq!(news.within(Duration::from_secs(60)), None);
    }
}
