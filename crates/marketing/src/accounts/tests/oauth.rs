//! Connecting by a browser.

use std::collections::BTreeMap;

use super::*;
use crate::accounts::{AccountsError, OauthAsk, OauthReturn};

const RETURN_TO: &str = "https://app.example.com/settings/accounts";

fn ask(return_to: Option<&str>) -> OauthAsk {
    OauthAsk {
        platform: Platform::Meta,
        tenant: Some("acme".to_owned()),
        return_to: return_to.map(str::to_owned),
        owner_email: Some("ada@example.com".to_owned()),
    }
}

fn back(state: &str, code: Option<&str>) -> OauthReturn {
    OauthReturn {
        platform: Platform::Meta,
        state: SecretString::from(state),
        code: code.map(SecretString::from),
        is_oauth_1: false,
    }
}

/// What the platform's page is asked for.
async fn started(scene: &Scene) -> anyhow::Result<BTreeMap<String, String>> {
    let started = scene
        .accounts
        .oauth_start(&ask(Some(RETURN_TO)), &actor())
        .await?;
    Ok(started.url.query_pairs().into_owned().collect())
}

// Fails when the code is exchanged without the verifier that belongs to the challenge, or for another address.
#[sqlx::test(migrations = "../../migrations")]
async fn who_gives_access_is_connected_and_sent_back(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let asked = started(&scene).await?;

    let answer = scene
        .accounts
        .oauth_finish(back(&asked["state"], Some("good-code")))
        .await?;

    assert_eq!(
        asked["redirect_uri"],
        "https://jobs.example.com/v1/oauth/meta/callback"
    );
    assert_eq!(answer.return_to.as_ref().map(Url::as_str), Some(RETURN_TO));
    let connected = answer.result?;
    assert_eq!(connected.accounts.len(), 2);
    assert_eq!(connected.accounts[0].tenant.as_deref(), Some("acme"));
    assert_eq!(
        connected.accounts[0].owner_email.as_deref(),
        Some("ada@example.com")
    );
    Ok(())
}

// Fails when a state is good for more than once, for longer than its time, or for another platform.
#[sqlx::test(migrations = "../../migrations")]
async fn a_state_is_good_for_once_in_its_time_at_its_platform(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let used = started(&scene).await?;
    let late = started(&scene).await?;
    sqlx::query("UPDATE marketing.oauth_states SET expires_at = now() WHERE id = (SELECT max(id::text)::uuid FROM marketing.oauth_states)")
        .execute(&db)
        .await?;
    let elsewhere = OauthReturn {
        platform: Platform::TikTok,
        ..back(&used["state"], Some("good-code"))
    };

    let at_another = scene.accounts.oauth_finish(elsewhere).await;
    let refused = scene
        .accounts
        .oauth_finish(back(&used["state"], None))
        .await?;
    let again = scene
        .accounts
        .oauth_finish(back(&used["state"], Some("good-code")))
        .await;
    let too_late = scene
        .accounts
        .oauth_finish(back(&late["state"], Some("good-code")))
        .await;
    let none = scene
        .accounts
        .oauth_finish(back("", Some("good-code")))
        .await;

    assert!(matches!(refused.result, Err(AccountsError::Refused)));
    for unknown in [at_another, again, too_late, none] {
        assert!(
            matches!(unknown, Err(AccountsError::UnknownState)),
            "{unknown:?}"
        );
    }
    Ok(())
}

// Fails when what waits for a person could be used by whoever reads the database.
#[sqlx::test(migrations = "../../migrations")]
async fn what_lies_there_meanwhile_opens_no_door(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);

    let asked = started(&scene).await?;

    let dumped = scene.dumped().await?;
    assert!(!dumped.contains(&asked["state"]));
    assert!(!dumped.contains(&hex::encode(&asked["state"])));
    assert_ne!(asked["state"], asked["code_challenge"]);
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_is_sent_to_where_nobody_allowed(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);

    let foreign = scene
        .accounts
        .oauth_start(&ask(Some("https://evil.example/")), &actor())
        .await
        .err();

    assert!(
        matches!(&foreign, Some(AccountsError::Invalid { pointer, .. }) if *pointer == "?return_to"),
        "{foreign:?}"
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_code_that_is_wrong_connects_nothing(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let asked = started(&scene).await?;

    let answer = scene
        .accounts
        .oauth_finish(back(&asked["state"], Some("guessed")))
        .await?;

    assert!(answer.result.is_err_and(|error| error.is_spent_grant()));
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM marketing.connections")
        .fetch_one(&db)
        .await?;
    assert_eq!(stored, 0);
    Ok(())
}

// Fails when the second half of the token is lost on the way, or a person who was sent away with one is not known any more.
#[sqlx::test(migrations = "../../migrations")]
async fn who_is_sent_away_with_a_token_comes_back_with_a_verifier(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.platform.known().gives_request_tokens = true;
    let verified = |state: &str, verifier: Option<&str>| OauthReturn {
        is_oauth_1: true,
        ..back(state, verifier)
    };
    let asked = started(&scene).await?;
    let meanwhile = scene.dumped().await?;

    let token = &asked["oauth_token"];
    let answer = scene
        .accounts
        .oauth_finish(verified(token, Some("good-verifier")))
        .await?;
    let again = scene
        .accounts
        .oauth_finish(verified(token, Some("good-verifier")))
        .await;

    assert!(!meanwhile.contains(CANARY));
    assert!(matches!(again, Err(AccountsError::UnknownState)));
    let connected = answer.result?;
    let held = scene
        .accounts
        .token(connected.accounts[0].id, &OpenDoor)
        .await?;
    let second_half = held.access.token_secret.expect("a second half");
    assert_eq!(second_half.expose_secret(), format!("second-half-{CANARY}"));
    assert!(!scene.dumped().await?.contains(CANARY));
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_that_comes_back_denied_or_with_a_guess_connects_nothing(
    db: PgPool,
) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.platform.known().gives_request_tokens = true;

    let mut results = Vec::new();
    for verifier in [None, Some("guessed")] {
        let asked = started(&scene).await?;
        let back = OauthReturn {
            is_oauth_1: true,
            ..back(&asked["oauth_token"], verifier)
        };
        results.push(scene.accounts.oauth_finish(back).await?.result);
    }

    assert!(matches!(results[0], Err(AccountsError::Refused)));
    assert!(matches!(&results[1], Err(error) if error.is_spent_grant()));
    Ok(())
}
