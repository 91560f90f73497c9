//! Jobs of one key never meet, however many processes work and however they end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    fleet::Fleet,
    receiver::{Call, most_at_once},
};
use crate::{chaos::dice::Dice, harness::eventually};

const PROCESSES: usize = 4;
const KEYS: usize = 50;
/// Jobs that come before each kill, and after the last one.
const WAVE: usize = 300;
const KILLS: usize = 5;

const CONFIG: &str = r#"
[queues.default]
concurrency = 20

[kinds."test.hook"]
target = "RECEIVER"
timeout = "10s"
key = "account"
per_key_concurrency = 1
"#;

/// Jobs of all keys by turns; each takes between 40 and 160 ms.
fn wave(dice: &mut Dice) -> Vec<Value> {
    let job = |n: usize| {
        let takes_ms = 40 + dice.place(120);
        json!({"kind": "test.hook", "payload": {"account": format!("account {}", n % KEYS), "takes_ms": takes_ms}})
    };
    (0..WAVE).map(job).collect()
}

/// The keys of which two calls were under way at once.
fn keys_that_met(calls: &[Call]) -> Vec<String> {
    let mut by_key: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls {
        let key = call.payload["account"].as_str().unwrap_or_default();
        by_key.entry(key).or_default().push(call);
    }
    let met = by_key
        .into_iter()
        .filter(|(_, calls)| most_at_once(calls.iter().copied()) > 1);
    met.map(|(key, _)| key.to_owned()).collect()
}

// Fails when claims count a key's attempts before they have their turn, when a process that dies keeps the key or gives it
// up before its jobs were taken back, when a parked job is forgotten, and when all keys share one place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_key_never_meet_and_none_is_stuck_whoever_dies() -> anyhow::Result<()> {
    let seed = u64::from(std::process::id());
    let mut dice = Dice::new(seed);
    let mut fleet = Fleet::new(CONFIG).await?;
    fleet.start(PROCESSES).await?;

    for _ in 0..KILLS {
        let begun = fleet.receiver.begun() + 1 + dice.place(WAVE / 2);
        fleet.enqueue(wave(&mut dice)).await?;
        eventually("the fleet is in the middle of its work", || async {
            let receiver = &fleet.receiver;
            Ok((receiver.begun() >= begun && receiver.under_way() > 0).then_some(()))
        })
        .await?;
        fleet.kill_one(&mut dice).await?;
    }
    fleet.enqueue(wave(&mut dice)).await?;
    let succeeded = fleet.all_succeed().await?;

    let calls = fleet.receiver.calls();
    assert_eq!(keys_that_met(&calls), Vec::<String>::new(), "seed {seed}");
    assert_eq!(succeeded, i64::try_from((KILLS + 1) * WAVE)?);
    assert!(fleet.lost().await? > 0, "seed {seed}: nobody was hit");
    let most = most_at_once(&calls);
    assert!(most > PROCESSES, "only {most} keys worked side by side");
    Ok(())
}
