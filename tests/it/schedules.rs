//! Schedules of a fleet whose processes die: every tick becomes one job, whoever leads.

use std::{
    fs::OpenOptions,
    io::Write,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::types::chrono::{DateTime, Utc};

use crate::{
    chaos::dice::Dice,
    harness::{Client, Program, World, eventually, millpond, world::free_port},
};

const TERM: &str = "millpond_leader_term";
/// How many processes there are and how long they are killed, one after the other. `scripts/schedules` has 20 for two
/// minutes, by `MILLPOND_TICKS_PROCESSES`, `MILLPOND_TICKS_SECONDS` and `MILLPOND_TICKS_SEED`.
const PROCESSES: usize = 6;
const SECONDS: u64 = 20;
/// Between two kills.
const BEAT: Duration = Duration::from_millis(1_500);
/// Of so many blows one stops its victim instead of killing it, so that it wakes as a leader whose term is over.
const STOPS: usize = 4;

fn setting<T: FromStr>(name: &str, unless_set: T) -> anyhow::Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(unless_set),
    }
}

fn add_to_config(world: &World, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .open(world.folder.join("jobs.toml"))?;
    Ok(file.write_all(text.as_bytes())?)
}

/// A process that does nothing but take part in leading. Dropped, it is killed.
struct Scheduler {
    program: Program,
    client: Client,
}

impl Scheduler {
    fn start(world: &World) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = world.millpond(&["serve", "--roles", "scheduler"])?;
        command.env("MILLPOND_HTTP_ADDR", format!("127.0.0.1:{port}"));
        let log = world.folder.join(format!("scheduler-{port}.log"));
        Ok(Self {
            program: Program::start(command, &log)?,
            client: Client::new(format!("http://127.0.0.1:{port}"), String::new())?,
        })
    }

    async fn leads(&self) -> bool {
        let term = self.client.metric(TERM, "").await;
        term.is_ok_and(|term| term > 0.0)
    }
}

/// What the tables say of the schedule and its jobs, at one moment.
#[derive(Debug, sqlx::FromRow)]
struct Account {
    ticks: i64,
    enqueued: i64,
    /// From the first tick to the last one, both counted.
    seconds: i64,
    /// Ticks whose job is there and says that it is for them.
    matching: i64,
    jobs: i64,
    term: i64,
}

async fn account(world: &World) -> anyhow::Result<Account> {
    let account = sqlx::query_as(
        "SELECT count(*) AS ticks, count(*) FILTER (WHERE outcome = 'enqueued') AS enqueued,
                extract(epoch FROM max(t.tick) - min(t.tick))::int8 + 1 AS seconds, count(j.id) AS matching,
                (SELECT count(*) FROM millpond.jobs) AS jobs, (SELECT max(term) FROM millpond.leaders) AS term
           FROM millpond.schedule_ticks t
           LEFT JOIN millpond.jobs j
             ON j.id = t.job_id AND (j.payload ->> 'scheduled_for')::timestamptz = t.tick
          WHERE t.schedule = 'every-second'",
    );
    Ok(account.fetch_one(&mut world.sql().await?).await?)
}

async fn last_tick(world: &World) -> anyhow::Result<Option<DateTime<Utc>>> {
    let last = sqlx::query_scalar("SELECT max(tick) FROM millpond.schedule_ticks");
    Ok(last.fetch_one(&mut world.sql().await?).await?)
}

// Fails when a tick and its job are not one transaction, when a new leader begins at its own start instead of where the
// last one ended, when a process that lost the lead goes on, and when each process makes ticks.
#[tokio::test]
async fn every_second_becomes_one_job_though_schedulers_are_killed() -> anyhow::Result<()> {
    let world = World::new().await?;
    add_to_config(
        &world,
        "\n[schedules.every-second]\nkind = \"test.hook\"\ncron = \"* * * * * *\"\noverlap = \"allow\"\nmisfire = \"run_all\"\n",
    )?;
    let seed = setting("MILLPOND_TICKS_SEED", u64::from(std::process::id()))?;
    let lasts = Duration::from_secs(setting("MILLPOND_TICKS_SECONDS", SECONDS)?);
    let count = setting("MILLPOND_TICKS_PROCESSES", PROCESSES)?;
    let mut dice = Dice::new(seed);
    let mut fleet = Vec::new();
    for _ in 0..count {
        fleet.push(Scheduler::start(&world)?);
    }
    let (leader, _) = eventually("one of them leads and makes ticks", || async {
        let mut leader = None;
        for (place, scheduler) in fleet.iter().enumerate() {
            if scheduler.leads().await {
                leader = Some(place);
            }
        }
        Ok(leader.zip(last_tick(&world).await?))
    })
    .await?;

    // The first to go is whoever leads; then whoever chance picks.
    fleet[leader] = Scheduler::start(&world)?;
    let (began, mut beat) = (Instant::now(), tokio::time::interval(BEAT));
    while began.elapsed() < lasts {
        beat.tick().await;
        let victim = dice.place(fleet.len());
        if dice.place(STOPS) == 0 {
            fleet[victim].program.signal("STOP")?;
        } else {
            fleet[victim] = Scheduler::start(&world)?;
        }
    }
    for scheduler in &fleet {
        scheduler.program.signal("CONT")?;
    }
    let ended: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut world.sql().await?)
        .await?;
    eventually("whoever leads now has caught up", || async {
        let last = last_tick(&world).await?;
        Ok(last.filter(|last| *last >= ended))
    })
    .await?;

    let account = account(&world).await?;
    assert!(account.term > 1, "MILLPOND_TICKS_SEED={seed}: {account:?}");
    assert!(
        account.seconds >= i64::try_from(lasts.as_secs())?,
        "MILLPOND_TICKS_SEED={seed}: {account:?}"
    );
    assert_eq!(
        [
            account.ticks,
            account.enqueued,
            account.matching,
            account.jobs
        ],
        [account.seconds; 4],
        "MILLPOND_TICKS_SEED={seed}: {account:?}"
    );
    Ok(())
}

// Fails when a series begins with its first tick: that is no increase to Prometheus.
#[tokio::test]
async fn what_ticks_become_is_counted_from_zero_on() -> anyhow::Result<()> {
    let world = World::new().await?;
    add_to_config(
        &world,
        "\n[schedules.leap-day]\nkind = \"test.hook\"\ncron = \"0 0 29 2 *\"\n",
    )?;
    let (_program, client) = world.serve().await?;
    let is_zero = |line: &str, outcome: &str| {
        line.starts_with("millpond_schedule_ticks_total{")
            && line.contains("schedule=\"leap-day\"")
            && line.contains(&format!("outcome=\"{outcome}\""))
            && line.ends_with(" 0")
    };

    eventually("ticks that nobody has made are counted", || async {
        let metrics = client.send(client.bare(Method::GET, "/metrics")).await?;
        let text = metrics.body.as_str().context("a text")?;
        let is_counted = |outcome| text.lines().any(|line| is_zero(line, outcome));
        Ok(["enqueued", "refused"]
            .into_iter()
            .all(is_counted)
            .then_some(()))
    })
    .await
}

// Fails when a preview asks a database, or goes by another clock than the schedule's.
#[tokio::test]
async fn a_schedule_is_previewed_without_a_database() -> anyhow::Result<()> {
    let world = World::new().await?;
    add_to_config(
        &world,
        "\n[schedules.nightly]\nkind = \"test.hook\"\ncron = \"30 2 * * *\"\ntimezone = \"Asia/Kathmandu\"\n",
    )?;

    let arguments = ["schedules", "preview", "nightly", "--next", "3", "--json"];
    let output = millpond(&world.folder, &arguments)?.output()?;
    let (code, refused) = world.refused(&["schedules", "preview", "nightley"])?;

    let preview: Value = serde_json::from_slice(&output.stdout)?;
    let ticks = preview["next"].as_array().context("ticks")?;
    assert_eq!(ticks.len(), 3);
    for tick in ticks {
        let local = tick["local"].as_str().context("a time")?;
        assert!(local.ends_with("T02:30:00+05:45"), "{local}");
    }
    assert_eq!(code, 2);
    assert!(
        refused.contains("there is no schedule \"nightley\""),
        "{refused}"
    );
    Ok(())
}

// Fails when the stamp does not reach the endpoint, or a trigger goes another way than a tick.
#[tokio::test]
async fn an_endpoint_is_told_which_tick_its_call_is_for() -> anyhow::Result<()> {
    let world = World::new().await?;
    add_to_config(
        &world,
        "\n[schedules.leap-day]\nkind = \"test.hook\"\ncron = \"0 0 29 2 *\"\npayload = { report = \"leap\" }\n",
    )?;
    let (_program, client) = world.serve().await?;

    let made = world.command(&[
        "--json",
        "schedules",
        "trigger",
        "leap-day",
        "--reason",
        "test",
    ])?;
    let made: Value = serde_json::from_str(&made)?;
    client
        .in_state(made["id"].as_str().context("the job's id")?, "succeeded")
        .await?;

    let hooks = world.received("hooks").await?;
    let body: Value = match &hooks.first().context("a call")?["body"] {
        Value::String(text) => serde_json::from_str(text)?,
        body => body.clone(),
    };
    assert_eq!(body["payload"]["report"], "leap");
    let stamp = body["payload"]["scheduled_for"]
        .as_str()
        .context("a stamp")?;
    assert!(DateTime::parse_from_rfc3339(stamp).is_ok(), "{stamp}");
    let listed = client.get("/v1/schedules/leap-day").await?.body;
    assert_eq!(
        (&listed["state"], &listed["last"]),
        (&json!("active"), &Value::Null)
    );
    Ok(())
}
