//! Who is let in: Meta's handshake, and signatures over the very bytes.

use anyhow::Context;
use reqwest::{Method, StatusCode, header::CONTENT_TYPE};
use serde_json::json;

use super::scene::Scene;
use crate::harness::Client;

const PATH: &str = "/webhooks/meta";
const SIGNATURE: &str = "x-hub-signature-256";
/// Most bytes that are taken.
const LARGEST: usize = 5 << 20;

/// What the sandbox would send, as it was recorded where the sandbox itself takes it.
struct Recorded {
    signature: String,
    body: String,
}

/// Has one lead told of to a recorder, signed with this secret; with the app's own without one.
async fn recorded(scene: &Scene, secret: Option<&str>) -> anyhow::Result<Recorded> {
    let recorder = format!("{}/hooks/recorder", scene.world.sandbox.base());
    let order = json!({"leads": 1, "secret": secret});
    scene.told_at(&recorder, &order).await?;
    let calls = scene.world.received("hooks").await?;
    let call = calls.last().context("it was recorded")?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    Ok(Recorded {
        signature: text(&call["headers"][SIGNATURE]).context("a signature")?,
        body: text(&call["body"]).context("a body")?,
    })
}

/// Sends a body with these headers, and tells how it was answered.
async fn sent(
    client: &Client,
    headers: &[(&str, &str)],
    body: String,
) -> anyhow::Result<StatusCode> {
    let mut request = client.bare(Method::POST, PATH).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send().await?.status())
}

// Fails when a body is read before its signature is checked or is checked in another form, when an older signature will do, and
// when what is refused leaves anything behind.
#[tokio::test]
async fn what_meta_did_not_sign_is_refused_and_leaves_nothing() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let stranger = recorded(&scene, Some("another secret")).await?;
    let Recorded { signature, body } = recorded(&scene, None).await?;
    let client = &scene.client;
    let changed = body.replacen("leadgen", "leadgeN", 1);
    let longer = format!("{body} ");
    let upper = signature.to_uppercase();
    let signed = [(SIGNATURE, signature.as_str())];
    let refused: [(&[(&str, &str)], &str); 7] = [
        (
            &[(SIGNATURE, stranger.signature.as_str())],
            stranger.body.as_str(),
        ),
        (&signed, changed.as_str()),
        (&signed, longer.as_str()),
        (&[], body.as_str()),
        (&[("x-hub-signature", "sha1=0")], body.as_str()),
        (&[(SIGNATURE, upper.as_str())], body.as_str()),
        (&[signed[0], signed[0]], body.as_str()),
    ];

    for (headers, body) in refused {
        let status = sent(client, headers, body.to_owned()).await?;

        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    let large = format!("{body}{}", " ".repeat(LARGEST));
    let too_large = sent(client, &signed, large).await?;
    let events = "SELECT count(*) FROM marketing.inbound_events";
    let stored = scene.count(events).await?;
    let jobs = "SELECT count(*) FROM millpond.jobs WHERE kind = 'webhook.process'";
    let jobs = scene.count(jobs).await?;
    let taken = sent(client, &signed, body.clone()).await?;
    let again = sent(client, &signed, body).await?;
    scene.nothing_is_left().await?;

    assert_eq!(too_large, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((stored, jobs), (0, 0));
    assert_eq!((taken, again), (StatusCode::OK, StatusCode::OK));
    assert_eq!(scene.count(events).await?, 1);
    assert_eq!(scene.leads().await?.len(), 1);
    Ok(())
}

// Fails when Meta's challenge does not come back as it is, or when anybody gets one.
#[tokio::test]
async fn the_handshake_wants_our_token_and_gives_the_challenge_back() -> anyhow::Result<()> {
    let scene = Box::pin(Scene::new()).await?;
    let token = &scene.world.environment["MILLPOND_META_WEBHOOK_VERIFY_TOKEN"];
    let token = token.as_str().context("the sandbox's token")?;
    let asked = async |query: String| {
        let path = format!("{PATH}?{query}");
        let answer = scene.client.bare(Method::GET, &path).send().await?;
        let media = answer.headers().get(CONTENT_TYPE).cloned();
        let media = media.and_then(|media| media.to_str().ok().map(str::to_owned));
        anyhow::Ok((answer.status(), media, answer.text().await?))
    };

    let (status, media, challenge) = asked(format!(
        "hub.mode=subscribe&hub%2Echallenge=%3Cb%3E1158201444&hub.verify_token={token}"
    ))
    .await?;
    let (other, ..) =
        asked("hub.mode=subscribe&hub.challenge=1&hub.verify_token=other".to_owned()).await?;
    let (mode, ..) = asked(format!(
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={token}"
    ))
    .await?;
    let (without, ..) = asked(format!("hub.mode=subscribe&hub.verify_token={token}")).await?;

    assert_eq!(
        (status, challenge.as_str()),
        (StatusCode::OK, "<b>1158201444")
    );
    assert!(media.is_some_and(|media| media.starts_with("text/plain")));
    assert_eq!(
        (other, mode),
        (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN)
    );
    assert_eq!(without, StatusCode::BAD_REQUEST);
    Ok(())
}
