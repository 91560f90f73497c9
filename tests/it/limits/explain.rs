//! Why is this job not running? Each gate once: with who holds it, until when, and when the job should start; for the job
//! and for its queue, over HTTP and by command.

use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::harness::{Client, eventually};

/// Every gate, in the order in which they are told.
const GATES: [&str; 9] = [
    "queue_paused",
    "not_due",
    "queue_full",
    "queue_rate",
    "key_limit",
    "budget",
    "account_held",
    "no_worker",
    "backlog",
];
/// Longer than a call may take, and that is much longer than it takes to look at a gate.
const LONG_MS: u64 = 60_000;

const CONFIG: &str = r#"
[queues.paused]
[queues.later]
[queues.held]
[queues.nobody]

[queues.full]
global_concurrency = 1

[queues.paced]
rate = "1/h"

[queues.busy]
concurrency = 1

[queues.keyed]

[queues.drawn]

[budgets.crm]
daily = 1
per = "provider"

[kinds."test.hook"]
target = "RECEIVER"

[kinds."test.keyed"]
queue = "keyed"
target = "RECEIVER"
key = "customer"
per_key_concurrency = 1

[kinds."test.drawn"]
queue = "drawn"
target = "RECEIVER"
budget = "crm"
"#;
/// All but one.
const WORKED_ON: &str = "paused,later,held,full,paced,busy,keyed,drawn";

/// When a job should start that a gate keeps.
#[derive(Debug, Clone, Copy)]
enum Starts {
    /// When the gate opens, which is told with it.
    Then,
    /// Nobody knows.
    Unknown,
    /// When an attempt ends; it is told until when its lease runs, and that is renewed.
    AfterLease,
    /// When others have ended, going by how long such attempts took.
    AfterOthers,
}

/// A job that one gate keeps, and what is to be told of it.
struct Kept {
    queue: &'static str,
    id: String,
    /// Who holds the gate: the same is told of the job and of its queue.
    detail: String,
    ahead: i64,
    starts: Starts,
}

fn hook(queue: &str, takes_ms: u64) -> Value {
    json!({"kind": "test.hook", "queue": queue, "payload": {"takes_ms": takes_ms}})
}

fn keyed(takes_ms: u64) -> Value {
    json!({"kind": "test.keyed", "payload": {"customer": "c", "takes_ms": takes_ms}})
}

/// Gates that keep some jobs of a queue and not others: of each it is told how many, and for what.
fn jobs_behind(gate: &str) -> Option<&'static str> {
    match gate {
        "key_limit" => Some("1 job with key c of test.keyed ("),
        "budget" => Some("1 job of test.drawn ("),
        "account_held" => Some("1 job for account act_1 ("),
        _ => None,
    }
}

/// Enqueues a job and waits until it is in this state.
async fn brought_to(client: &Client, state: &str, job: &Value) -> anyhow::Result<String> {
    let id = client.enqueue(job).await?;
    client.in_state(&id, state).await?;
    Ok(id)
}

/// Has a gate close, and a job come that it keeps and no other gate does.
async fn brought_behind(fleet: &Fleet, gate: &str) -> anyhow::Result<Kept> {
    let client = fleet.client()?;
    let (queue, detail, starts) = match gate {
        "queue_paused" => {
            let reason = ["--reason", "the server moves", "--until", "1h"];
            let pause = ["queues", "pause", "paused"];
            fleet.world.command(&[&pause[..], &reason[..]].concat())?;
            ("paused", "the server moves", Starts::Then)
        }
        "not_due" => ("later", "time", Starts::Then),
        "queue_full" => {
            brought_to(client, "succeeded", &hook("full", 0)).await?;
            brought_to(client, "running", &hook("full", LONG_MS)).await?;
            ("full", "1 of 1 attempts run", Starts::AfterOthers)
        }
        "queue_rate" => {
            brought_to(client, "succeeded", &hook("paced", 0)).await?;
            ("paced", "as the rate allows", Starts::Then)
        }
        "key_limit" => {
            let holder = brought_to(client, "running", &keyed(LONG_MS)).await?;
            let taker = format!("; job {holder} runs on ");
            return behind(
                client,
                ("keyed", taker.as_str(), Starts::AfterLease),
                &keyed(0),
            )
            .await;
        }
        "budget" => {
            let drawn = json!({"kind": "test.drawn", "payload": {}});
            brought_to(client, "succeeded", &drawn).await?;
            return behind(client, ("drawn", "the budget crm", Starts::Then), &drawn).await;
        }
        "account_held" => {
            hold(fleet, "act_1").await?;
            ("held", "token.check holds the account", Starts::Unknown)
        }
        "no_worker" => ("nobody", "no live worker works", Starts::Unknown),
        "backlog" => {
            brought_to(client, "running", &hook("busy", LONG_MS)).await?;
            client.enqueue(&hook("busy", 0)).await?;
            ("busy", "1 of 1 slots are in use", Starts::AfterOthers)
        }
        _ => anyhow::bail!("there is no gate {gate}"),
    };
    let mut job = hook(queue, 0);
    if gate == "not_due" {
        job["delay"] = json!("1h");
    }
    if gate == "account_held" {
        job["payload"]["account_id"] = json!("act_1");
    }
    let ahead = i64::from(gate == "backlog");
    let kept = behind(client, (queue, detail, starts), &job).await?;
    Ok(Kept { ahead, ..kept })
}

async fn behind(
    client: &Client,
    (queue, detail, starts): (&'static str, &str, Starts),
    job: &Value,
) -> anyhow::Result<Kept> {
    Ok(Kept {
        queue,
        id: client.enqueue(job).await?,
        detail: detail.to_owned(),
        ahead: 0,
        starts,
    })
}

/// Holds an account: nothing else does yet.
async fn hold(fleet: &Fleet, account: &str) -> anyhow::Result<()> {
    let hold = "INSERT INTO millpond.holds (account, reason, by) VALUES ($1, 'its token expired', 'token.check')";
    sqlx::query(hold)
        .bind(account)
        .execute(&mut fleet.world.sql().await?)
        .await?;
    Ok(())
}

/// What is told of a gate that keeps somebody; `None` where it does not.
fn closed(told: &Value, gate: &str) -> Option<Value> {
    let gates = told["gates"].as_array()?;
    let mut gates = gates.iter();
    gates
        .find(|it| it["gate"] == gate && it["blocking"] == true)
        .cloned()
}

fn names(told: &Value, is_shown: impl Fn(&Value) -> bool) -> Vec<&str> {
    let gates = told["gates"].as_array().into_iter().flatten();
    let shown = gates.filter(|gate| is_shown(gate));
    shown.filter_map(|gate| gate["gate"].as_str()).collect()
}

/// What HTTP tells once this gate is known to keep somebody.
async fn told_once_closed(client: &Client, path: &str, gate: &str) -> anyhow::Result<Value> {
    eventually(&format!("{path}: {gate}"), || async {
        let told = client.get(path).await?.body;
        Ok(closed(&told, gate).map(|_| told))
    })
    .await
}

/// What is told of a gate, but for the end of a lease: it may have been renewed since.
fn without_lease(mut gate: Value) -> Value {
    let detail = gate["detail"].as_str().unwrap_or_default();
    if let Some((detail, _)) = detail.split_once(" with a lease until ") {
        gate["detail"] = json!(detail);
        gate["until"] = json!(gate["until"].is_string());
    }
    gate
}

/// Commands tell the same of a gate, as JSON and for people.
fn commands_tell(fleet: &Fleet, command: [&str; 3], gate: Value) -> anyhow::Result<()> {
    let gate = without_lease(gate);
    let name = gate["gate"].as_str().unwrap_or_default();
    let as_json = fleet
        .world
        .command(&[&["--json"][..], &command[..]].concat())?;
    let told = closed(&serde_json::from_str(&as_json)?, name).map(without_lease);
    assert_eq!(told.as_ref(), Some(&gate));
    let text = fleet.world.command(&command)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let line = line.unwrap_or_default();
    assert_eq!(line.split_whitespace().nth(1), Some("yes"), "{text}");
    let detail = gate["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty() && line.contains(detail), "{text}");
    Ok(())
}

async fn check(fleet: &Fleet, gate: &str, kept: &Kept) -> anyhow::Result<()> {
    let client = fleet.client()?;
    let path = format!("/v1/jobs/{}/explain", kept.id);
    let told = told_once_closed(client, &path, gate).await?;
    let answer = closed(&told, gate).unwrap_or_default();
    let path = format!("/v1/queues/{}/explain", kept.queue);
    let of_queue = told_once_closed(client, &path, gate).await?;

    assert_eq!(names(&told, |_| true), GATES);
    assert_eq!(names(&told, |gate| gate["blocking"] == true), [gate]);
    assert_eq!(
        (&told["runnable"], &told["ahead"]),
        (&json!(false), &json!(kept.ahead)),
        "{told}"
    );
    let detail = answer["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&kept.detail), "{answer}");
    let (until, start) = (&answer["until"], &told["expected_start"]);
    let (has_until, has_start) = (until.is_string(), start.is_string());
    match kept.starts {
        Starts::Then => assert!(has_until && start == until, "{told}"),
        Starts::Unknown => assert!(!has_until && !has_start, "{told}"),
        Starts::AfterLease => assert!(has_until && !has_start, "{told}"),
        Starts::AfterOthers => assert!(!has_until && has_start, "{told}"),
    }
    commands_tell(fleet, ["jobs", "explain", &kept.id], answer)?;
    assert_eq!(names(&of_queue, |_| true), GATES);
    assert_eq!(of_queue["runnable"], false, "{of_queue}");
    let of_queue = closed(&of_queue, gate).unwrap_or_default();
    let detail = of_queue["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&kept.detail), "{of_queue}");
    assert!(
        detail.starts_with(jobs_behind(gate).unwrap_or_default()),
        "{of_queue}"
    );
    assert_eq!(of_queue["until"].is_string(), has_until, "{of_queue}");
    commands_tell(fleet, ["queues", "explain", kept.queue], of_queue)
}

// Fails when a gate is told under another name, without who holds it and until when, or differently by HTTP and by command;
// and when a job is told to be kept by another gate too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gate_is_told_with_who_holds_it_and_until_when() -> anyhow::Result<()> {
    let mut fleet = Fleet::new(CONFIG).await?;
    fleet.start_with(&["--queues", WORKED_ON]).await?;

    for gate in GATES {
        let kept = brought_behind(&fleet, gate).await?;

        check(&fleet, gate, &kept).await?;
    }
    Ok(())
}
