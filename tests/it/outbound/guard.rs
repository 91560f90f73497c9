//! Addresses that lead into our own network: refused when they are registered, and when they are called.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::types::Uuid;

use crate::{
    harness::{Client, NOTHING_BY_ITSELF, Program, World, eventually, world::free_port},
    inbound::scene::SANDBOX,
};

/// Addresses whose text tells where they lead.
const INSIDE: [&str; 9] = [
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/hooks",
    "https://127.0.0.1:8443/hooks",
    "https://2130706433/hooks",
    "https://0x7f.1/hooks",
    "https://[::1]/hooks",
    "https://[::ffff:169.254.169.254]/hooks",
    "https://localhost/hooks",
    "http://app.example.com/hooks",
];
const REFUSAL: &str = "must not be called";
const CONFIG: &str = r#"
[email]
from = "Millpond <jobs@example.com>"
"#;

/// A process as operators have it: nothing inside may be called.
async fn serve(world: &World) -> anyhow::Result<(Program, Client)> {
    let config = [NOTHING_BY_ITSELF, CONFIG].concat();
    std::fs::write(world.folder.join("jobs.toml"), config)?;
    let mut command = world.millpond(&["serve"])?;
    command.env_remove("MILLPOND_OUTBOUND_ALLOW");
    world.serve_at(free_port()?, command).await
}

/// A name of this machine other than `localhost` that resolves to loopback without a name server; few machines have none.
fn own_name() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    let lines = hosts.lines().map(str::trim);
    let mut names = lines
        .filter(|line| line.starts_with("127."))
        .flat_map(|line| line.split_whitespace().skip(1))
        .take_while(|word| !word.starts_with('#'));
    let found = names.find(|name| *name != "localhost" && !name.ends_with(".localhost"));
    found.map(str::to_owned)
}

async fn endpoint(client: &Client, url: &str) -> anyhow::Result<(StatusCode, Value)> {
    let made = client
        .post("/v1/webhook-endpoints", &json!({"url": url}))
        .await?;
    Ok((made.status, made.body))
}

/// Tries an endpoint out; gives the delivery once it was given up.
async fn given_up(client: &Client, endpoint: &str) -> anyhow::Result<Value> {
    let path = format!("/v1/webhook-endpoints/{endpoint}");
    let request = client.request(reqwest::Method::POST, &format!("{path}/test"));
    client.send(request).await?;
    eventually("the message is given up", || async {
        let listed = client
            .get(&format!("{path}/deliveries?state=failed"))
            .await?;
        let newest = &listed.body["items"][0];
        Ok(newest.is_object().then(|| newest.clone()))
    })
    .await
}

// Fails when an address is judged by its text alone, only when it is registered, or not at all.
#[tokio::test]
async fn no_endpoint_leads_into_our_own_network() -> anyhow::Result<()> {
    let world = World::of(&SANDBOX).await?;
    let (_program, client) = serve(&world).await?;
    for url in INSIDE {
        let (status, body) = endpoint(&client, url).await?;

        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {body}");
        assert_eq!(body["errors"][0]["pointer"], "/url", "{url}: {body}");
    }
    let mut urls = vec!["https://10.0.0.1/hooks".to_owned()];
    urls.extend(own_name().map(|name| format!("https://{name}:8443/hooks")));

    for url in urls {
        let (status, made) = endpoint(&client, "https://app.example.com/hooks").await?;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let id = made["id"].as_str().unwrap_or_default();
        sqlx::query("UPDATE marketing.webhook_endpoints SET url = $1 WHERE id = $2")
            .bind(&url)
            .bind(Uuid::try_parse(id)?)
            .execute(&mut world.sql().await?)
            .await?;
        let delivery = given_up(&client, id).await?;

        let log = &delivery["log"];
        assert_eq!(log.as_array().map(Vec::len), Some(1), "{url}: {log}");
        assert!(log[0]["status"].is_null(), "{url}: {log}");
        let said = log[0]["excerpt"].as_str();
        assert!(
            said.is_some_and(|said| said.contains(REFUSAL)),
            "{url}: {log}"
        );
    }
    Ok(())
}
