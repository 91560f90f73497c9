//! The upstream apps: they enqueue without pause, in every way the API offers, and keep a ledger of what they were told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    conservation::Sent,
    dice::Dice,
    door::{Door, Reply},
    ledger::Ledger,
    passes,
};

/// The kind whose work the receiver does.
pub(super) const KIND: &str = "chaos.effect";
/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(150);
/// Between two tries of a request.
const AGAIN: Duration = Duration::from_millis(100);
/// Longest that a request with a key may go without an answer; every fault is over and healed before that.
const PATIENCE: Duration = Duration::from_secs(120);
/// Most jobs of a batch.
const LARGEST_BATCH: u64 = 20;
/// Different unique keys, few enough that jobs meet.
const UNIQUE_KEYS: u64 = 10;

/// One upstream app.
pub(super) struct Upstream {
    door: Door,
    dice: Dice,
    name: String,
    count: u64,
    ledger: Ledger,
}

impl Upstream {
    /// A client that is told apart by its name.
    pub(super) fn new(door: Door, seed: u64, name: String) -> Self {
        Self {
            door,
            dice: Dice::named(seed, &name),
            name,
            count: 0,
            ledger: Ledger::default(),
        }
    }

    /// Enqueues until it is told to stop; whatever it has begun it brings to its end.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) -> Ledger {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !*stop.borrow() {
            pace.tick().await;
            self.enqueue().await;
        }
        self.ledger
    }

    async fn enqueue(&mut self) {
        let token = self.token();
        let payload = json!({ "token": token });
        let plain = json!({ "kind": KIND, "payload": payload });
        match self.dice.below(10) {
            0..3 => self.with_key(token, plain).await,
            3 => self.batch().await,
            4 => {
                let mut job = plain;
                job["delay"] = json!(format!("{}s", 1 + self.dice.below(2)));
                self.with_key(token, job).await;
            }
            5 => {
                let mut job = plain;
                let key = format!("unique-{}", self.dice.below(UNIQUE_KEYS));
                job["unique"] = json!({ "key": key, "on_conflict": "keep" });
                self.without_key(token, job).await;
            }
            6 => {
                let mut job = plain;
                job["payload"]["fail"] = json!(1 + self.dice.below(2));
                self.with_key(token, job).await;
            }
            7 => {
                let mut job = plain;
                if self.dice.below(2) == 0 {
                    job["payload"]["never"] = json!(true);
                } else {
                    job["payload"]["fail"] = json!(1_000);
                    job["max_attempts"] = json!(2);
                }
                self.with_key(token, job).await;
            }
            8 => self.wrong(token, plain).await,
            _ => self.without_key(token, plain).await,
        }
    }

    fn token(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// Repeats a request until it is answered, and now and then once more.
    async fn with_key(&mut self, token: String, job: Value) {
        let key = format!("key-{token}");
        let mut sent = Sent {
            token,
            key: Some(key.clone()),
            ..Sent::default()
        };
        let begun = Instant::now();
        loop {
            match self.post(("/v1/jobs", Some(&key)), &job).await {
                Reply::Taken(body) => {
                    sent.answers
                        .push(body["id"].as_str().unwrap_or("none").to_owned());
                    if self.dice.below(4) > 0 || sent.answers.len() > 2 {
                        break;
                    }
                }
                Reply::Refused(status) => {
                    self.ledger
                        .complain(format!("{} was refused with {status}", sent.token));
                    break;
                }
                Reply::NotNow => {}
                Reply::InDoubt => sent.doubts += 1,
            }
            if begun.elapsed() > PATIENCE {
                if sent.answers.is_empty() {
                    self.ledger
                        .complain(format!("{} was never answered", sent.token));
                }
                break;
            }
            passes(AGAIN).await;
        }
        self.ledger.sent.push(sent);
    }

    /// Sends a request once: whoever has no key must not repeat it.
    async fn without_key(&mut self, token: String, job: Value) {
        let mut sent = Sent {
            token,
            ..Sent::default()
        };
        match self.post(("/v1/jobs", None), &job).await {
            Reply::Taken(body) => sent
                .answers
                .push(body["id"].as_str().unwrap_or("none").to_owned()),
            Reply::Refused(status) => self
                .ledger
                .complain(format!("{} was refused with {status}", sent.token)),
            Reply::NotNow => {}
            Reply::InDoubt => sent.doubts += 1,
        }
        self.ledger.sent.push(sent);
    }

    /// Sends what must be refused; nothing of it may ever be stored.
    async fn wrong(&mut self, token: String, mut job: Value) {
        match self.dice.below(3) {
            0 => job["kind"] = json!("chaos.unknown"),
            1 => job["stat"] = json!("ready"),
            _ => job["priority"] = json!(1_000),
        }
        if let Reply::Taken(_) = self.post(("/v1/jobs", None), &job).await {
            self.ledger
                .complain(format!("{token} was taken, though it is wrong"));
        }
        self.ledger.sent.push(Sent {
            token,
            ..Sent::default()
        });
    }

    /// Sends a batch: with keys until every item is answered, without keys once.
    async fn batch(&mut self) {
        let has_keys = self.dice.below(2) == 0;
        let mut items = Vec::new();
        for _ in 0..=self.dice.below(LARGEST_BATCH) {
            let token = self.token();
            let key = has_keys.then(|| format!("key-{token}"));
            items.push(Sent {
                token,
                key,
                ..Sent::default()
            });
        }
        let jobs: Vec<Value> = items
            .iter()
            .map(|item| {
                let mut job = json!({ "kind": KIND, "payload": { "token": item.token } });
                if let Some(key) = &item.key {
                    job["idempotency_key"] = json!(key);
                }
                job
            })
            .collect();
        let body = json!({ "jobs": jobs });
        let begun = Instant::now();
        loop {
            let reply = self.post(("/v1/jobs/batch", None), &body).await;
            self.enter(reply, &mut items);
            let is_answered = items.iter().all(|item| !item.answers.is_empty());
            if is_answered || !has_keys {
                break;
            }
            if begun.elapsed() > PATIENCE {
                self.ledger.complain(format!(
                    "the batch with {} was never answered",
                    items[0].token
                ));
                break;
            }
            passes(AGAIN).await;
        }
        self.ledger.sent.extend(items);
    }

    /// Enters into the ledger what became of each item of a batch.
    fn enter(&mut self, reply: Reply, items: &mut [Sent]) {
        let body = match reply {
            Reply::Taken(body) => body,
            Reply::NotNow => return,
            Reply::InDoubt => {
                items.iter_mut().for_each(|item| item.doubts += 1);
                return;
            }
            Reply::Refused(status) => {
                self.ledger
                    .complain(format!("a batch was refused with {status}"));
                return;
            }
        };
        for (index, item) in items.iter_mut().enumerate() {
            let result = &body["results"][index];
            match (result["id"].as_str(), result["error"]["status"].as_u64()) {
                (Some(id), _) => item.answers.push(id.to_owned()),
                (None, Some(409 | 429)) => {}
                (None, Some(500..)) => item.doubts += 1,
                (None, status) => self
                    .ledger
                    .complain(format!("{} of a batch was answered {status:?}", item.token)),
            }
        }
    }

    async fn post(&mut self, where_to: (&str, Option<&str>), body: &Value) -> Reply {
        let place = self.dice.place(2);
        self.door
            .post(place, where_to, body, &mut self.ledger)
            .await
    }
}
