//! What must stay secret is seen nowhere: neither what people gave, nor what platforms gave for it, nor what is our own. All five
//! platforms are connected, read, refused, refreshed and left, customers are told and platforms tell, and then everything that can
//! be seen is searched.

mod faults;
mod forms;
mod gathered;
mod outside;
mod story;

use super::scene::{PLATFORMS, Scene};
use crate::harness::Client;

use self::{
    forms::Forms,
    gathered::Gathered,
    story::{OTHER, Story},
};

/// Part of all that is secret here and ours to choose: of tokens, and of the secrets of our app.
const CORE: &str = "c4n4ry7f3a91d2";
/// What secrets are sealed under, what they are sealed under in the end, and what opens none of them.
const KEYS: &str = "canary:55f52968a90f15d58c1b609811eb84390b19726e14401a906f12d69322f53ca4";
const NEWER: &str = "newer:a398f5129698680ffc3b0e91de254d6e278d21955192d3b1311d9795a633621b";
const WRONG: &str = "canary:6e278d21955192d3b1311d9795a633621ba398f5129698680ffc3b0e91de254d";
const SETTINGS: [(&str, &str); 5] = [
    ("MILLPOND_LOG", "debug"),
    ("MILLPOND_LOG_FORMAT", "json"),
    ("MILLPOND_ENCRYPTION_KEYS", KEYS),
    (
        "MILLPOND_META_ACCESS_TOKEN",
        "c4n4ry7f3a91d2-system-token-not-real",
    ),
    (
        "MILLPOND_GOOGLE_DEVELOPER_TOKEN",
        "c4n4ry7f3a91d2-developer-token-not-real",
    ),
];
/// What the tokens and codes that the stand-ins make begin with.
const MADE: [&str; 11] = [
    "EAAfake",
    "ya29.fake",
    "1//fake",
    "4/0Afake",
    "AQfake",
    "fake-tiktok-",
    "act.fake",
    "rft.fake",
    "fake-x-access-",
    "fake-x-refresh-",
    "1-fake",
];

/// What must not be seen.
fn forms(api_key: &str) -> anyhow::Result<Forms> {
    let mut forms = Forms::default();
    forms.forbid("a token or a secret of the app", CORE.as_bytes());
    for made in MADE {
        forms.forbid("a token that a platform made", made.as_bytes());
    }
    forms.forbid("an API key", api_key.as_bytes());
    for keys in [KEYS, NEWER, WRONG] {
        forms.forbid_key(keys)?;
    }
    Ok(forms)
}

/// Everything happens, and everything is looked at; gives what stands in the database.
async fn told(story: &mut Story<'_>) -> anyhow::Result<String> {
    story.people_come().await?;
    let first = story.connected(("first", 0), true).await?;
    let second = story.connected(("second", OTHER), false).await?;
    story.scene.all_is_read().await?;
    story.words_come_back(&first).await?;
    story.grants_end(&second).await?;
    story.misuse_is_refused().await?;
    let third = story.connected(("third", OTHER), false).await?;
    story.scene.all_is_read().await?;
    story.some_leave(&third).await?;
    story.figures_are_read(&first).await?;
    story.our_own_secret_comes_back(&first).await?;
    story.the_outside_takes_part().await?;
    commands_are_run(story, &first[0].account).await?;
    let Story {
        seen, client, jobs, ..
    } = story;
    seen.all_pages(client, jobs).await?;
    seen.dump().await
}

async fn commands_are_run(story: &mut Story<'_>, account: &str) -> anyhow::Result<()> {
    let dead = story.jobs[0].clone();
    let dead = dead.as_str();
    let all: [&[&str]; 22] = [
        &["accounts", "list"],
        &["--json", "accounts", "list"],
        &["--json", "accounts", "show", account],
        &["accounts", "refresh", account],
        &["--json", "jobs", "list"],
        &["jobs", "show", dead],
        &["jobs", "explain", dead],
        &["dead", "groups"],
        &["dead", "export"],
        &["dead", "show", dead],
        &["dead", "replay", dead, "--reason", "the words were odd"],
        &["replays", "list"],
        &["keys", "list"],
        &["queues", "list"],
        &["schedules", "list"],
        &["config", "effective"],
        &["config", "history"],
        &["doctor"],
        &["--json", "secrets", "verify"],
        &["email", "templates"],
        &["email", "preview", "welcome"],
        &["privacy", "export", "--subject", "nobody@example.com"],
    ];
    for arguments in all {
        story.seen.command(arguments, "", KEYS).await?;
    }
    // Keys that open nothing, or are none.
    let too_long = format!("{KEYS}0");
    let (_, nameless) = KEYS.split_at("canary:".len());
    for keys in [WRONG, NEWER, too_long.as_str(), nameless] {
        for arguments in [&["serve"][..], &["secrets", "verify"][..]] {
            story.seen.command(arguments, "", keys).await?;
        }
    }
    let both = format!("{NEWER},{KEYS}");
    for arguments in [&["secrets", "rotate"], &["secrets", "verify"]] {
        story.seen.command(arguments, "", &both).await?;
    }
    Ok(())
}

// Fails when a token, a secret of our app or of an endpoint, a key, or whom a conversion is about can be read in a log, in the
// database, in an answer, in what a command says or in a mail, in whatever form, whoever put it there.
#[tokio::test]
async fn what_must_stay_secret_is_seen_nowhere() -> anyhow::Result<()> {
    let secret = |platform: &str| format!("{CORE}-{platform}-app-secret-not-real");
    let scene = Scene::with_secrets(secret).await?;
    let (_talkative, client) = scene.serve_with(&SETTINGS).await?;
    let quiet = [("MILLPOND_LOG", "info"), ("MILLPOND_LOG_FORMAT", "text")];
    let quiet = [&quiet[..], &SETTINGS[2..]].concat();
    let (_quiet, _) = scene.serve_with(&quiet).await?;
    let api_key = scene
        .world
        .key(&["enqueue", "read", "operate", "admin"], None)?;
    let client = Client::new(client.base().to_owned(), api_key.clone())?;
    let mut story = Story {
        scene: &scene,
        client: &client,
        seen: Gathered::new(&scene)?,
        forms: forms(&api_key)?,
        jobs: Vec::new(),
    };

    let dumped = told(&mut story).await?;
    let places = story.seen.places()?;
    let list = scene.world.folder.join("forms");
    let found = story.forms.found_in(&list, &places)?;

    assert!(found.is_empty(), "{found:#?}");
    // It was all there to be seen.
    let words = dumped.matches("The token *** is odd").count();
    assert!(words >= PLATFORMS.len(), "{words}");
    let sealed = "SELECT count(*) FROM marketing.connections WHERE access_token IS NOT NULL";
    assert!(scene.count(sealed).await? >= 5);
    let logs = places.iter().filter(|place| place.is_file());
    let logs: Vec<String> = logs
        .map(std::fs::read_to_string)
        .collect::<Result<_, _>>()?;
    assert!(logs.iter().any(|log| log.contains("DEBUG")));
    assert!(logs.iter().any(|log| log.contains("The token *** is odd")));
    assert!(story.seen.answers > 100, "{}", story.seen.answers);
    Ok(())
}
