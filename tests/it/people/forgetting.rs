//! `millpond privacy`: somebody who sent a form and is in a conversion that waits.

use serde_json::{Value, json};

use super::dumped;
use crate::inbound::scene::Scene;

/// As the sandbox's people call themselves in forms.
const ADA: &str = "lead0@example.com";
const BOB: &str = "lead1@example.com";

/// Two people send a form, and each is in a conversion that nobody sends yet; gives the conversions' jobs.
async fn known_people(scene: &Scene) -> anyhow::Result<Vec<String>> {
    scene.told(&json!({"leads": 2})).await?;
    scene.nothing_is_left().await?;
    let now = std::time::UNIX_EPOCH.elapsed()?.as_secs();
    let mut jobs = Vec::new();
    for address in [ADA, BOB] {
        let event = json!({
            "event_name": "Purchase", "event_time": now - 60, "event_id": format!("order-{}", jobs.len()),
            "action_source": "website", "event_source_url": "https://shop.example.com/thanks",
            "user_data": {"em": address, "client_user_agent": "Mozilla/5.0"},
            "custom_data": {"value": 84.37, "currency": "USD"},
        });
        let payload = json!({"destination": "meta", "dataset_id": "1234567890", "event": event});
        let job = json!({"kind": "conversion.send", "payload": payload});
        jobs.push(scene.client.enqueue(&job).await?);
    }
    Ok(jobs)
}

/// Has the leads fetched that no event told of, as is done every day.
async fn look_for_leads(scene: &Scene) -> anyhow::Result<Value> {
    let job = json!({"kind": "webhook.catch_up", "payload": {"account_id": scene.account}});
    let job = scene.client.enqueue(&job).await?;
    let done = scene.client.in_state(&job, "succeeded").await?;
    Ok(done["result"].clone())
}

fn privacy(scene: &Scene, what: &str, subject: &str) -> anyhow::Result<Value> {
    let arguments = ["--json", "privacy", what, "--subject", subject];
    Ok(serde_json::from_str(&scene.world.command(&arguments)?)?)
}

/// How many leads and jobs an export holds.
fn held(export: &Value) -> [Option<usize>; 2] {
    ["leads", "jobs"].map(|list| export[list].as_array().map(Vec::len))
}

// Fails when a person is not found in what lies sealed, when anything of the person is left or comes back, when others are forgotten as well,
// and when an address can be read in a backup at any time.
#[tokio::test]
async fn somebody_is_told_all_that_is_stored_and_then_forgotten_and_others_are_not()
-> anyhow::Result<()> {
    let scene = Scene::new().await?;
    let jobs = known_people(&scene).await?;

    let backup = dumped(&scene.world)?;
    let known = privacy(&scene, "export", ADA)?;
    let erased = privacy(&scene, "erase", &ADA.to_uppercase())?;
    let left = privacy(&scene, "export", ADA)?;
    let other = privacy(&scene, "export", BOB)?;
    let mut states = Vec::new();
    for job in &jobs {
        let job = scene.client.get(&format!("/v1/jobs/{job}")).await?.body;
        states.push(job["state"].clone());
    }
    let looked = look_for_leads(&scene).await?;
    let stored = scene.leads().await?;
    let later = dumped(&scene.world)?;

    assert_eq!(
        (held(&known), &known["unopened"]),
        ([Some(1), Some(1)], &json!(0)),
        "{known}"
    );
    let told = [&known["leads"][0], &known["jobs"][0]];
    assert!(
        told.iter().all(|it| it.to_string().contains(ADA)),
        "{known}"
    );
    assert_eq!(
        (
            &erased["leads"],
            &erased["jobs"]["cancelled"],
            &erased["jobs"]["unopened"]
        ),
        (&json!(1), &json!(1), &json!(0)),
        "{erased}"
    );
    assert_eq!(held(&left), [Some(0), Some(0)], "{left}");
    assert_eq!(held(&other), [Some(1), Some(1)], "{other}");
    assert_eq!(
        (&looked["leads"], &looked["new_leads"]),
        (&json!(2), &json!(0)),
        "{looked}"
    );
    assert_eq!(states[0], "cancelled");
    assert_ne!(states[1], "cancelled");
    assert!(
        stored.len() == 1 && stored[0].to_string().contains(BOB),
        "{stored:?}"
    );
    for backup in [backup, later] {
        assert!(!backup.contains(ADA) && !backup.contains(BOB));
    }
    Ok(())
}
