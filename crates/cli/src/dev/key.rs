//! The developer's API key: made once, kept in `.millpond/key`, made anew when the database does not know it any more.

use anyhow::Context as _;
use queue::{Actor, NewKey, Queue};
use secrecy::{ExposeSecret, SecretString};

use super::home::Home;

/// The file in `.millpond`.
const FILE: &str = "key";
/// What the key may do: everything.
const SCOPES: [&str; 4] = ["enqueue", "read", "operate", "admin"];

/// The key that is kept, if it still opens the door; else a new one.
pub(super) async fn developer_key(queue: &Queue, home: &Home) -> anyhow::Result<SecretString> {
    if let Some(kept) = home.read(FILE)? {
        let known = queue
            .authenticate(&kept)
            .await
            .context("cannot check the developer's key")?;
        if known.is_some() {
            return Ok(SecretString::from(kept));
        }
    }
    let request = NewKey {
        name: "millpond dev".to_owned(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        tenant: None,
        expires_at: None,
    };
    let actor = Actor {
        name: "millpond dev".to_owned(),
        tenant: None,
    };
    let created = queue.create_key(request, &actor).await;
    let (_, secret) = created.context("cannot make the developer's key")?;
    home.write(FILE, secret.expose_secret())?;
    Ok(secret)
}
