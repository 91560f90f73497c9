//! Realistic work for `millpond dev --demo`: connected accounts that are synced, and a few jobs a second, some of them
//! failing, so that every state can be seen.

mod accounts;

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use queue::{Actor, NewJob, OnConflict, Queue, Source, Start, Unique};
use sandbox::DEV_META_DATASET;
use serde_json::{Value, json, value::to_raw_value};
use tokio::time::{MissedTickBehavior, interval};

pub(super) use self::accounts::connect;

/// The receiver that is always down.
pub(super) const BROKEN_RECEIVER: &str = "broken";
/// A receiver that works.
const RECEIVER: &str = "orders";
/// Between two jobs.
const EVERY: Duration = Duration::from_millis(400);
/// How long jobs wait that show what waiting looks like.
const LATER: Duration = Duration::from_secs(600);

/// Enqueues until it is dropped.
pub(super) async fn run(queue: Queue, receivers: SocketAddr) {
    let demo = Demo {
        receivers,
        run: hex::encode(rand::random::<[u8; 4]>()),
    };
    let actor = actor();
    let mut ticks = interval(EVERY);
    // A database that was away for a while is not flooded when it comes back.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0.. {
        ticks.tick().await;
        if let Err(error) = demo.step(&queue, &actor, number).await {
            tracing::debug!("the demo left a job out: {error:#}");
        }
    }
}

/// Who does all of it.
fn actor() -> Actor {
    Actor {
        name: "millpond dev --demo".to_owned(),
        tenant: None,
    }
}

struct Demo {
    receivers: SocketAddr,
    /// Tells this run's events and mails from those of earlier ones.
    run: String,
}

impl Demo {
    async fn step(&self, queue: &Queue, actor: &Actor, number: u64) -> anyhow::Result<()> {
        let stored = queue.enqueue(self.job(number, Utc::now())?, None).await?;
        if is_cancelled(number) {
            queue.cancel(stored.id, actor).await?;
        }
        Ok(())
    }

    /// The job of this number: a pattern that repeats, so that a while of watching shows everything.
    fn job(&self, number: u64, now: DateTime<Utc>) -> Result<NewJob, serde_json::Error> {
        let (kind, payload) = self.work(number, now);
        let mut job = NewJob::new(kind, to_raw_value(&payload)?, Source::Cli);
        let tenant = match number % 3 {
            0 => "acme",
            1 => "globex",
            _ => "initech",
        };
        job.tenant = Some(tenant.to_owned());
        job.tags.insert("demo".to_owned(), self.run.clone());
        if number % 40 == 7 {
            job.max_attempts = Some(2);
        }
        match number % 30 {
            10 => job.start = Start::After(LATER),
            20 => job.unique = Some(nightly_report()),
            _ if is_cancelled(number) => job.start = Start::After(LATER),
            _ => {}
        }
        Ok(job)
    }

    fn work(&self, number: u64, now: DateTime<Utc>) -> (&'static str, Value) {
        match number % 10 {
            0 | 5 => ("demo.work", json!({"steps": 5, "work_ms": 4_000})),
            1 => ("email.send", self.welcome(number)),
            2 => ("conversion.send", self.purchase(number, now)),
            3 => ("http.request", self.call(RECEIVER, number)),
            4 => (
                "demo.work",
                json!({"steps": 2, "work_ms": 500, "fail": "once"}),
            ),
            6 => (
                "demo.work",
                json!({"steps": 3, "work_ms": 1_000, "fail": "flaky"}),
            ),
            7 if number % 40 == 7 => ("http.request", self.call(BROKEN_RECEIVER, number)),
            8 if number % 40 == 8 => (
                "conversion.send",
                self.purchase(number, now - TimeDelta::days(10)),
            ),
            9 if number % 40 == 9 => ("demo.work", json!({"fail": "always", "class": "invalid"})),
            _ => ("demo.work", json!({"work_ms": 100})),
        }
    }

    fn welcome(&self, number: u64) -> Value {
        json!({
            "template": "welcome",
            "to": format!("guest-{}-{number}@example.com", self.run),
            "data": {"name": "Ada"},
        })
    }

    fn purchase(&self, number: u64, at: DateTime<Utc>) -> Value {
        json!({
            "destination": "meta",
            "dataset_id": DEV_META_DATASET,
            "event": {
                "event_name": "Purchase",
                "event_time": at.timestamp(),
                "event_id": format!("demo-{}-{number}", self.run),
                "action_source": "website",
                "event_source_url": "https://shop.example.com/checkout",
                "user_data": {
                    "em": format!("guest-{number}@example.com"),
                    "client_user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
                },
                "custom_data": {"value": 42.5, "currency": "EUR"},
            },
        })
    }

    fn call(&self, receiver: &str, number: u64) -> Value {
        json!({
            "url": format!("http://{}/hooks/{receiver}", self.receivers),
            "body": {"order": number, "run": self.run},
        })
    }
}

fn is_cancelled(number: u64) -> bool {
    number % 50 == 25
}

fn nightly_report() -> Unique {
    use queue::JobState::{Ready, Retrying, Running, Scheduled};

    Unique {
        key: "nightly-report".to_owned(),
        states: vec![Scheduled, Ready, Running, Retrying],
        on_conflict: OnConflict::Keep,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_minute_of_work_shows_every_kind_and_every_way_to_wait_and_to_fail() {
        let demo = Demo {
            receivers: SocketAddr::from(([127, 0, 0, 1], 9000)),
            run: "0".into(),
        };

        let jobs: Vec<NewJob> = (0..150)
            .map(|number| demo.job(number, Utc::now()).expect("JSON"))
            .collect();

        let kinds: BTreeSet<&str> = jobs.iter().map(|job| &*job.kind).collect();
        assert_eq!(
            kinds,
            BTreeSet::from(["conversion.send", "demo.work", "email.send", "http.request"])
        );
        assert!(jobs.iter().any(|job| job.start != Start::Now));
        assert!(jobs.iter().any(|job| job.unique.is_some()));
        assert!(
            jobs.iter()
                .any(|job| job.payload.get().contains("\"invalid\""))
        );
        assert!(
            jobs.iter()
                .any(|job| job.payload.get().contains("/hooks/broken"))
        );
        assert!((0..150).any(is_cancelled));
    }
}
