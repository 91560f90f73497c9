//! What the tests here and those of metrics share: a sandbox of a size whose clock stands still, a process that is pointed
//! at it, accounts at its platforms, and how jobs are worked off that wait for the platforms' clocks.

use std::{fs::OpenOptions, io::Write, time::Duration};

use anyhow::Context;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{
    PgConnection,
    types::{
        Uuid,
        chrono::{DateTime, Utc},
    },
};
use tokio::time::MissedTickBehavior;

use crate::harness::{Client, Program, World, world::free_port};

/// The platforms, as they are called everywhere.
pub(crate) const PLATFORMS: [&str; 5] = ["meta", "google_ads", "linkedin", "tiktok", "x"];

/// Calls are as fast as the platforms' own quotas allow.
const CONFIG: &str = r#"
[budgets.meta]
concurrent = 20
rate = "100/s"

[budgets.google_ads]
concurrent = 20
rate = "100/s"

[budgets.linkedin]
concurrent = 20
rate = "100/s"

[budgets.tiktok]
concurrent = 20
rate = "100/s"

[budgets.x]
concurrent = 20
rate = "100/s"
"#;
/// Figures wait where nobody works: most tests here are not about the year before.
const WITHOUT_HISTORY: &str = r#"
[queues.history]

[kinds."sync.insights"]
queue = "history"
"#;
/// Longest that jobs may take on a busy machine.
const LONGEST_WORK: Duration = Duration::from_secs(240);
/// The platforms' figures come in quarters of an hour.
const QUARTER_S: i64 = 15 * 60;
/// After so long every report is ready.
const REPORT_S: i64 = 16;
/// The second half of tokens that calls are signed with.
const TOKEN_SECRET: &str = "signed-not-real";

/// What a scene begins with.
pub(crate) struct Plan<'a> {
    /// One account of each is connected.
    pub(crate) platforms: &'a [&'static str],
    /// Of each account.
    pub(crate) campaigns: u32,
    /// Whether the year before is read as soon as an account is connected.
    pub(crate) has_history: bool,
    /// What stands in jobs.toml beside what all tests here have.
    pub(crate) config: &'a str,
}

/// A process with accounts.
pub(crate) struct Scene {
    pub(crate) program: Program,
    pub(crate) client: Client,
    pub(crate) accounts: Vec<Account>,
    pub(crate) world: World,
    arguments: &'static [&'static str],
}

/// A connected account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) platform: &'static str,
    pub(crate) id: Uuid,
    /// The platform's id of it.
    pub(crate) external_id: String,
}

/// How the sandbox's clock goes on while jobs wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A little, once every job waits: reports get ready, and figures stay as they are.
    Steady,
    /// A quarter of an hour every second: quotas come back, and figures are restated meanwhile.
    Hasty,
}

impl Scene {
    /// Starts all of it and connects the accounts.
    pub(super) async fn begin(plan: &Plan<'_>) -> anyhow::Result<Self> {
        let campaigns = plan.campaigns.to_string();
        let world = World::of(&["--accounts", "1", "--campaigns", &campaigns]).await?;
        forgive_lost_workers(&world)?;
        configure(&world, &[CONFIG, plan.config].concat())?;
        if !plan.has_history {
            configure(&world, WITHOUT_HISTORY)?;
        }
        begin_quarter(&world).await?;
        let arguments: &'static [&'static str] = if plan.has_history {
            &[]
        } else {
            &["--queues", "sync"]
        };
        let (program, client) = serve(&world, arguments).await?;
        let mut scene = Self {
            program,
            client,
            accounts: Vec::new(),
            world,
            arguments,
        };
        for &platform in plan.platforms {
            scene.connect(platform).await?;
        }
        Ok(scene)
    }

    /// Starts all of it with so many accounts of each platform. The year before them is not read: it is taken for asked for.
    pub(crate) async fn without_a_past(of_each: usize, plan: &Plan<'_>) -> anyhow::Result<Self> {
        // Some of them are not active.
        let there_are = (of_each * 5 / 4 + 2).to_string();
        let campaigns = plan.campaigns.to_string();
        let world = World::of(&["--accounts", &there_are, "--campaigns", &campaigns]).await?;
        configure(&world, &[CONFIG, plan.config].concat())?;
        begin_quarter(&world).await?;
        let (api, client) = serve(&world, &["--roles", "api"]).await?;
        let mut accounts = Vec::new();
        for &platform in plan.platforms {
            let ids = external_ids(&world, platform, of_each).await?;
            accounts.extend(connect(&world, &client, (platform, &ids)).await?);
        }
        sqlx::query("UPDATE marketing.accounts SET history_asked_at = now()")
            .execute(&mut world.sql().await?)
            .await?;
        drop(api);
        let (program, client) = serve(&world, &[]).await?;
        Ok(Self {
            program,
            client,
            accounts,
            world,
            arguments: &[],
        })
    }

    /// Connects the one account of a platform.
    pub(super) async fn connect(&mut self, platform: &'static str) -> anyhow::Result<()> {
        let external_ids = external_ids(&self.world, platform, 1).await?;
        let of = (platform, external_ids.as_slice());
        self.accounts
            .extend(connect(&self.world, &self.client, of).await?);
        Ok(())
    }

    /// Kills the process as it stands, and starts another one.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.program.signal("KILL")?;
        (self.program, self.client) = serve(&self.world, self.arguments).await?;
        Ok(())
    }

    /// Has what all accounts hold read.
    pub(super) async fn read_entities(&self, mode: &str) -> anyhow::Result<()> {
        for account in &self.accounts {
            let payload = json!({"account_id": account.id, "mode": mode});
            let job = json!({"kind": "sync.account", "payload": payload});
            self.client.enqueue(&job).await?;
        }
        Ok(())
    }

    /// Waits until no job is left that reads accounts.
    pub(crate) async fn work_off(&self, pace: Pace) -> anyhow::Result<()> {
        self.work_until(pace, None).await?;
        Ok(())
    }

    /// Waits until so many pages are stored in all; `false`: no job is left that reads accounts.
    pub(super) async fn work_until(&self, pace: Pace, pages: Option<i64>) -> anyhow::Result<bool> {
        let mut db = self.world.sql().await?;
        let mut beat = tokio::time::interval(pace.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let working = async {
            loop {
                beat.tick().await;
                let work = Work::look(&mut db).await?;
                if work.open == 0 {
                    return anyhow::Ok(false);
                }
                if pages.is_some_and(|pages| work.pages >= pages) {
                    return anyhow::Ok(true);
                }
                if pace == Pace::Hasty || work.open == work.waiting {
                    self.move_on(pace.step_s()).await?;
                }
            }
        };
        if let Ok(done) = tokio::time::timeout(LONGEST_WORK, working).await {
            return done;
        }
        let left = self.left().await?;
        anyhow::bail!("these are left: {left:#?}")
    }

    /// Moves the sandbox's clock on, and has every job look again that waits for its time.
    async fn move_on(&self, seconds: i64) -> anyhow::Result<()> {
        set_clock(&self.world, &json!({"advance_s": seconds})).await?;
        hurry(&self.client).await
    }

    async fn left(&self) -> anyhow::Result<Vec<String>> {
        let left = sqlx::query_scalar(
            "SELECT concat_ws(' ', kind, state, parked_gate, payload, error_class, error)
               FROM millpond.jobs WHERE queue = 'sync' LIMIT 10",
        );
        Ok(left.fetch_all(&mut self.world.sql().await?).await?)
    }
}

impl Pace {
    /// How often is looked how far the work is.
    fn beat(self) -> Duration {
        match self {
            Self::Steady => Duration::from_millis(20),
            Self::Hasty => Duration::from_secs(1),
        }
    }

    fn step_s(self) -> i64 {
        match self {
            Self::Steady => REPORT_S,
            Self::Hasty => QUARTER_S,
        }
    }
}

/// Every sync has read everything, and no job was given up.
pub(crate) async fn nothing_failed(world: &World) -> anyhow::Result<()> {
    let failed = sqlx::query_scalar::<_, String>(
        "SELECT concat_ws(' ', platform, sync_of, mode, level, granularity, first_day, state, error)
           FROM marketing.bi_syncs WHERE state <> 'succeeded'
          UNION ALL
         SELECT concat_ws(' ', kind, error_class, error) FROM millpond.dead_letters",
    );
    let failed = failed.fetch_all(&mut world.sql().await?).await?;
    anyhow::ensure!(failed.is_empty(), "{failed:#?}");
    Ok(())
}

/// How far the work is.
#[derive(sqlx::FromRow)]
struct Work {
    /// Jobs that read accounts and are not done.
    open: i64,
    /// Those of them that wait for a time.
    waiting: i64,
    /// Pages that were stored, by all syncs.
    pages: i64,
}

impl Work {
    async fn look(db: &mut PgConnection) -> anyhow::Result<Self> {
        let look = sqlx::query_as(
            "SELECT count(*) AS open, count(*) FILTER (WHERE state = 'scheduled') AS waiting,
                    (SELECT COALESCE(sum((counts ->> 'pages')::int8), 0)::int8 FROM marketing.syncs) AS pages
               FROM millpond.jobs WHERE queue = 'sync'",
        );
        Ok(look.fetch_one(db).await?)
    }
}

/// A job may lose its worker as often as a test kills it.
fn forgive_lost_workers(world: &World) -> anyhow::Result<()> {
    let path = world.folder.join("jobs.toml");
    let text = std::fs::read_to_string(&path)?;
    let text = text.replace("[lease]\n", "[lease]\nmax_lost = 50\n");
    Ok(std::fs::write(path, text)?)
}

/// Adds to the world's jobs.toml.
fn configure(world: &World, text: &str) -> anyhow::Result<()> {
    let path = world.folder.join("jobs.toml");
    let mut file = OpenOptions::new().append(true).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Starts a process that is pointed at the sandbox's platforms.
pub(crate) async fn serve(world: &World, arguments: &[&str]) -> anyhow::Result<(Program, Client)> {
    let mut command = world.millpond(&[&["serve"][..], arguments].concat())?;
    let told = world.environment.as_object();
    for (name, value) in told.context("the sandbox tells its variables")? {
        command.env(name, value.as_str().context("a text")?);
    }
    world.serve_at(free_port()?, command).await
}

/// Has a schedule's job done now.
pub(crate) async fn trigger(client: &Client, schedule: &str) -> anyhow::Result<()> {
    let path = format!("/v1/schedules/{schedule}/trigger");
    let answer = client.post(&path, &json!({})).await?;
    anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    Ok(())
}

/// Has a job begin now that waits for its time; it may have begun meanwhile.
pub(crate) async fn run_now(client: &Client, job: &str) -> anyhow::Result<()> {
    let path = format!("/v1/jobs/{job}/run-now");
    let answer = client.post(&path, &json!({})).await?;
    let is_known = answer.status.is_success() || answer.status == StatusCode::CONFLICT;
    anyhow::ensure!(is_known, "{answer:?}");
    Ok(())
}

/// Has all jobs begin now that wait for their time.
pub(super) async fn hurry(client: &Client) -> anyhow::Result<()> {
    let waiting = "/v1/jobs?queue=sync&state=scheduled&limit=500";
    let waiting = client.get(waiting).await?.body;
    for job in waiting["items"].as_array().context("a list")? {
        run_now(client, job["id"].as_str().context("an id")?).await?;
    }
    Ok(())
}

/// The platform's ids of its first active accounts, of which there have to be so many.
pub(super) async fn external_ids(
    world: &World,
    platform: &str,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let shown = world.sandbox.get("/_control/world").await?.body;
    let accounts = shown["accounts"][platform].as_array().context("a list")?;
    let active = accounts.iter().filter(|it| it["status"] == "active");
    let ids = active.filter_map(|it| it["id"].as_str()).take(count);
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    anyhow::ensure!(ids.len() == count, "{platform} has {} alone", ids.len());
    Ok(ids)
}

/// Connects accounts of a platform by a grant that reaches no others.
pub(super) async fn connect(
    world: &World,
    client: &Client,
    (platform, external_ids): (&'static str, &[String]),
) -> anyhow::Result<Vec<Account>> {
    let token = format!("grant-at-{platform}");
    let mut known = json!({"token": token, "accounts": external_ids});
    let mut grant = json!({"platform": platform});
    match platform {
        "google_ads" => {
            known["role"] = json!("refresh");
            grant["refresh_token"] = json!(token);
        }
        "x" => {
            known["secret"] = json!(TOKEN_SECRET);
            grant["access_token"] = json!(token);
            grant["token_secret"] = json!(TOKEN_SECRET);
        }
        _ => grant["access_token"] = json!(token),
    }
    let tokens = json!({"platform": platform, "tokens": [known]});
    control(world, "tokens", &tokens).await?;
    let answer = client.post("/v1/accounts", &grant).await?;
    anyhow::ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    let mut accounts = Vec::new();
    for account in answer.body["accounts"].as_array().context("accounts")? {
        let id = account["id"].as_str().context("an id")?;
        let external_id = account["external_id"].as_str().context("an id")?;
        accounts.push(Account {
            platform,
            id: Uuid::try_parse(id)?,
            external_id: external_id.to_owned(),
        });
    }
    Ok(accounts)
}

/// Has the sandbox do something.
pub(crate) async fn control(world: &World, what: &str, body: &Value) -> anyhow::Result<Value> {
    let path = format!("/_control/{what}");
    let answer = world.sandbox.post(&path, body).await?;
    anyhow::ensure!(answer.status.is_success(), "{what}: {answer:?}");
    Ok(answer.body)
}

/// Changes the sandbox's clock, and tells what it says then.
pub(crate) async fn set_clock(world: &World, body: &Value) -> anyhow::Result<DateTime<Utc>> {
    let clock = control(world, "clock", body).await?;
    Ok(clock["now"].as_str().context("a time")?.parse()?)
}

/// Stops the sandbox's clock at the beginning of its next quarter of an hour: until its end all figures stay as they are.
pub(crate) async fn begin_quarter(world: &World) -> anyhow::Result<()> {
    let now = set_clock(world, &json!({})).await?;
    let next = (now.timestamp().div_euclid(QUARTER_S) + 1) * QUARTER_S;
    let next = DateTime::from_timestamp(next, 0).context("a time")?;
    set_clock(world, &json!({"stopped": true, "set": next.to_rfc3339()})).await?;
    Ok(())
}
