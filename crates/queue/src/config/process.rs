//! What a process does by itself: `[http]`, `[lease]` and `[worker]`.

use std::time::Duration;

use super::{
    Rate,
    section::Section,
    shape::{format_duration, integer, rate, size, time},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// `[http]`: what requests may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Largest body of a request, 1 KiB to 64 MiB; inbound webhooks have a limit of their own.
    pub max_body_bytes: usize,
    /// Most jobs in one batch, 1 to 10,000.
    pub max_batch: usize,
    /// How long a known `Idempotency-Key` answers as the first time, one minute to 30 days.
    pub idempotency_ttl: Duration,
    /// Requests that one API key may make; `None`: as many as it likes.
    pub rate_per_key: Option<Rate>,
}

impl Http {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            max_body_bytes: section
                .key(
                    "max_body",
                    "Largest body of a request, 1KiB to 64MiB; inbound webhooks: 5MiB.",
                )
                .restart()
                .or(size(1 << 10..=64 << 20), 1 << 20),
            max_batch: section
                .key("max_batch", "Most jobs in one batch, 1 to 10000.")
                .restart()
                .or(integer(1..=10_000), 1_000),
            idempotency_ttl: section
                .key(
                    "idempotency_ttl",
                    "How long an Idempotency-Key is remembered, 1m to 30d.",
                )
                .restart()
                .or(time(MINUTE..=30 * DAY), DAY),
            rate_per_key: section
                .key(
                    "rate_per_key",
                    "Requests that one API key may make; no limit unless set.",
                )
                .optional(rate()),
        }
    }
}

/// `[lease]`: a worker's time-limited right to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// A worker that is silent this long loses its jobs; one second to one hour.
    pub ttl: Duration,
    /// How often a worker renews what it holds; at most a third of `ttl`, so that two renewals may fail.
    pub renew_every: Duration,
    /// A job that loses its worker this often within `lost_window` is dead; 1 to 100.
    pub max_lost: u32,
    /// See `max_lost`; one minute to 30 days.
    pub lost_window: Duration,
}

impl Lease {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let ttl = section
            .key(
                "ttl",
                "A worker that is silent this long loses its jobs, 1s to 1h.",
            )
            .or(time(SECOND..=HOUR), 60 * SECOND);
        let renew_every = section
            .key(
                "renew_every",
                "How often a worker renews its leases: a third of ttl, or less.",
            )
            .or(
                time(Duration::from_millis(100)..=20 * MINUTE),
                third_of(ttl),
            );
        if renew_every.saturating_mul(3) > ttl {
            let most = format_duration(third_of(ttl));
            section.refuse(
                "renew_every",
                format!("must be at most a third of ttl ({most}), so that two renewals may fail"),
            );
        }

        Self {
            ttl,
            renew_every,
            max_lost: section
                .key(
                    "max_lost",
                    "A job that loses its worker this often is dead, 1 to 100.",
                )
                .or(integer(1..=100), 3),
            lost_window: section
                .key(
                    "lost_window",
                    "The time within which losses count, 1m to 30d.",
                )
                .or(time(MINUTE..=30 * DAY), 72 * HOUR),
        }
    }
}

/// A third, in whole milliseconds.
fn third_of(ttl: Duration) -> Duration {
    Duration::from_millis(u64::try_from(ttl.as_millis() / 3).unwrap_or(u64::MAX))
}

/// `[worker]`: how a worker stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// How long running attempts may go on after SIGTERM; zero to one hour.
    pub drain: Duration,
}

impl Worker {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            drain: section
                .key(
                    "drain",
                    "How long running attempts may go on after SIGTERM, 0s to 1h.",
                )
                .restart()
                .or(time(Duration::ZERO..=HOUR), 30 * SECOND),
        }
    }
}
