//! The keys that secrets lie under: what opens, what does not, and sealing anew while others write.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::accounts::{
    KeyUse, OauthAsk, WrongKey,
    vault::{places_of_tokens, seal_tokens},
};

async fn verifying(scene: &Scene) -> anyhow::Result<(u64, u64, Vec<String>)> {
    let verified = scene.accounts.verify_secrets().await?;
    let places = verified.faults.iter().map(|fault| fault.place.clone());
    Ok((verified.values, verified.unopened, places.collect()))
}

// Fails when a value that was moved to another row opens, or the row is not named.
#[sqlx::test(migrations = "../../migrations")]
async fn what_does_not_open_is_named_with_its_place(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected("first").await?;
    let other = NewGrant {
        tenant: None,
        ..scene.grant("second")
    };
    let other = scene.accounts.connect(other, &actor()).await?.connection;
    let sound = verifying(&scene).await?;
    sqlx::query(
        "UPDATE marketing.connections SET access_token = (SELECT access_token FROM marketing.connections WHERE id <> $1)
          WHERE id = $1",
    )
    .bind(other.0)
    .execute(&db)
    .await?;

    let moved = verifying(&scene).await?;
    let with_other_keys = Scene::of(&db, NEWER_KEY, Arc::clone(&scene.platform));
    let unknown = with_other_keys.accounts.verify_secrets().await?;

    assert_eq!(sound, (4, 0, Vec::new()));
    let place = format!("marketing.connections:{other}:access_token");
    assert_eq!(moved, (4, 1, vec![place]));
    assert_eq!(unknown.unopened, 4);
    assert!(
        unknown
            .faults
            .iter()
            .all(|fault| fault.key_id.as_deref() == Some("k1") && fault.reason.contains("\"k1\""))
    );
    Ok(())
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_keys_that_secrets_need_are_read_off_their_envelopes(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    scene.connected("first").await?;
    let ask = OauthAsk {
        platform: Platform::Meta,
        tenant: None,
        return_to: None,
        owner_email: None,
    };
    scene.accounts.oauth_start(&ask, &actor()).await?;

    let with_key = scene.accounts.keys_in_use().await?;
    let without = Scene::of(&db, NEWER_KEY, Arc::clone(&scene.platform));
    let without_key = without.accounts.keys_in_use().await?;

    let needed = |is_known| KeyUse {
        key_id: Some("k1".to_owned()),
        values: 3,
        is_known,
    };
    assert_eq!(with_key, [needed(true)]);
    assert_eq!(without_key, [needed(false)]);
    Ok(())
}

// Fails when another key under a known id is found out by the first token that is used, or one value that was changed is taken
// for that.
#[sqlx::test(migrations = "../../migrations")]
async fn a_key_under_the_id_of_another_one_is_found_out(db: PgPool) -> anyhow::Result<()> {
    let scene = Scene::new(&db);
    let none_yet = scene.accounts.wrong_keys().await?;
    scene.connected("first").await?;
    sqlx::query("UPDATE marketing.connections SET refresh_token = access_token")
        .execute(&db)
        .await?;

    let with_its_own = scene.accounts.wrong_keys().await?;
    let digits = NEWER_KEY.trim_start_matches("k2:");
    let other = Scene::of(&db, &format!("k1:{digits}"), Arc::clone(&scene.platform));
    let with_another = other.accounts.wrong_keys().await?;
    let missing = Scene::of(&db, NEWER_KEY, Arc::clone(&scene.platform));
    let with_none = missing.accounts.wrong_keys().await?;

    let wrong = WrongKey {
        key_id: "k1".to_owned(),
        values: 2,
    };
    assert_eq!(none_yet, Vec::<WrongKey>::new());
    assert_eq!(with_its_own, Vec::<WrongKey>::new());
    assert_eq!(with_another, [wrong]);
    assert_eq!(with_none, Vec::<WrongKey>::new());
    Ok(())
}

// Fails when something stays under the old key, when a token that was stored meanwhile is lost, or when a second run does
// it all again.
#[sqlx::test(migrations = "../../migrations")]
async fn everything_is_sealed_anew_while_others_store_new_tokens(db: PgPool) -> anyhow::Result<()> {
    let before = Scene::new(&db);
    let mut accounts = Vec::new();
    for tenant in 0..20 {
        let grant = NewGrant {
            tenant: Some(format!("tenant-{tenant}")),
            ..before.grant(&format!("first-{tenant}"))
        };
        let connected = before.accounts.connect(grant, &actor()).await?;
        accounts.push(connected.accounts[0].id);
    }
    let both = format!("{NEWER_KEY},{KEY}");
    let after = Scene::of(&db, &both, Arc::clone(&before.platform));
    let is_done = AtomicBool::new(false);

    let rotating = async {
        let rotated = after.accounts.rotate_secrets(&actor()).await;
        is_done.store(true, Ordering::Relaxed);
        rotated
    };
    let writing = async {
        let mut refreshed = 0;
        // A process with the newer key writes beside it, as all do once it is rolled out.
        while !is_done.load(Ordering::Relaxed) {
            let account = accounts[refreshed % accounts.len()];
            after.accounts.refresh_now(account, &actor()).await?;
            refreshed += 1;
        }
        anyhow::Ok(refreshed)
    };
    let (rotated, refreshed) = tokio::join!(rotating, writing);
    let (rotated, refreshed) = (rotated?, refreshed?);
    let rest = after.accounts.rotate_secrets(&actor()).await?;
    let nothing = after.accounts.rotate_secrets(&actor()).await?;

    assert!(refreshed > 0 && rotated.rows > 0);
    assert!(rotated.faults.is_empty() && rest.left == 0);
    assert_eq!((nothing.rows, nothing.key_id.as_str()), (0, "k2"));
    let alone = Scene::of(&db, NEWER_KEY, Arc::clone(&before.platform));
    let verified = alone.accounts.verify_secrets().await?;
    assert_eq!((verified.values, verified.unopened), (40, 0));
    for account in accounts {
        let token = alone.accounts.token(account, &OpenDoor).await?.access.token;
        assert!(alone.platform.asked(&token).is_ok());
    }
    Ok(())
}

// Fails when one value that does not open ends the whole run, or is written over.
#[sqlx::test(migrations = "../../migrations")]
async fn what_does_not_open_is_left_as_it_is_and_the_rest_goes_on(
    db: PgPool,
) -> anyhow::Result<()> {
    let before = Scene::new(&db);
    before.connected("first").await?;
    let other = NewGrant {
        tenant: None,
        ..before.grant("second")
    };
    before.accounts.connect(other, &actor()).await?;
    sqlx::query(
        "UPDATE marketing.connections SET refresh_token = set_byte(refresh_token, 20, get_byte(refresh_token, 20) # 1) WHERE tenant = 'acme'",
    )
    .execute(&db)
    .await?;
    let after = Scene::of(
        &db,
        &format!("{NEWER_KEY},{KEY}"),
        Arc::clone(&before.platform),
    );

    let rotated = after.accounts.rotate_secrets(&actor()).await?;

    assert_eq!((rotated.rows, rotated.faults.len()), (1, 1));
    let keys = after.accounts.keys_in_use().await?;
    let counts: Vec<(Option<&str>, u64)> = keys
        .iter()
        .map(|key| (key.key_id.as_deref(), key.values))
        .collect();
    assert_eq!(counts, [(Some("k1"), 2), (Some("k2"), 2)]);
    Ok(())
}

// Fails when a token is sealed without its row, its column or its table.
#[test]
fn each_token_is_sealed_for_its_own_place() {
    let cipher = Cipher::read(&SecretString::from(KEY)).expect("the key is sound");
    let id = uuid::Uuid::from_u128(7);
    let sealed = seal_tokens(&cipher, id, &new_grant("first").grant);

    let places: Vec<String> = places_of_tokens(id, &sealed)
        .map(|(place, value)| {
            assert!(cipher.open(value, &place).is_ok());
            place.as_str().to_owned()
        })
        .collect();

    let place = |column: &str| format!("marketing.connections:{id}:{column}");
    assert_eq!(places, [place("access_token"), place("refresh_token")]);
}
