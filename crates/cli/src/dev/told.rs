//! What a development run says once it works: where everything is, what is connected, and how to look at it.

use std::{net::SocketAddr, path::Path};

use marketing::accounts::Account;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{output::one_line, stand_ins::StandIn};

/// Widest name of an account that is shown, in characters.
const WIDEST_NAME: usize = 30;

/// What there is to say.
pub(super) struct Told<'a> {
    /// Where the API listens.
    pub(super) api: SocketAddr,
    /// Where the stand-ins serve HTTP.
    pub(super) sandbox: SocketAddr,
    /// For which platforms they stand.
    pub(super) platforms: &'a [&'static StandIn],
    /// Where mails lie.
    pub(super) mail_dir: &'a Path,
    /// The developer's key.
    pub(super) key: &'a SecretString,
    /// The database, without its password.
    pub(super) database: String,
    /// What the demo has connected.
    pub(super) accounts: &'a [Account],
}

impl Told<'_> {
    /// For programs.
    pub(super) fn document(&self) -> Value {
        let api = format!("http://{}", self.api);
        let platforms = self.platforms.iter();
        let sandboxes: serde_json::Map<String, Value> = platforms
            .map(|it| (it.platform.to_string(), json!(it.api(self.sandbox))))
            .collect();
        let accounts = self.accounts.iter().map(|account| {
            json!({
                "id": account.id,
                "platform": account.platform,
                "external_id": account.external_id,
                "name": account.name,
            })
        });
        json!({
            "api": api,
            "docs": format!("{api}/docs"),
            "metrics": format!("{api}/metrics"),
            "sandbox": format!("http://{}", self.sandbox),
            "sandboxes": sandboxes,
            "mail": self.mail_dir.display().to_string(),
            "key": self.key.expose_secret(),
            "accounts": accounts.collect::<Vec<Value>>(),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let api = format!("http://{}", self.api);
        let mut text = String::from("\nMillpond runs.\n");
        let mut line = |name: &str, value: String| {
            text.push_str(&format!("  {name:<11}{value}\n"));
        };
        line("API", format!("{api}  (docs: {api}/docs)"));
        line("metrics", format!("{api}/metrics"));
        let key = self.key.expose_secret();
        line("key", format!("{key}  (also in .millpond/key)"));
        line("mail", self.mail_dir.display().to_string());
        line("database", self.database.clone());
        let sandbox = self.sandbox;
        line("sandbox", format!("http://{sandbox}  (receivers, control)"));
        for stand_in in self.platforms {
            line(stand_in.name, stand_in.api(sandbox));
        }
        if let [first, ..] = self.accounts {
            text.push_str(&self.connected(&first.id.to_string()));
        }
        text.push_str("\nCtrl-C drains and stops all of it.");
        text
    }

    /// The accounts, and how to look at them, with one of them as the example.
    fn connected(&self, example: &str) -> String {
        let names = self.accounts.iter();
        let names: Vec<String> = names.map(|it| one_line(&it.name, WIDEST_NAME)).collect();
        let widths = names.iter().map(|name| name.chars().count());
        let width = widths.max().unwrap_or_default();
        let mut text = String::from("\nConnected, and read from a year ago up to this hour:\n");
        for (account, name) in self.accounts.iter().zip(&names) {
            let platform = account.platform.as_str();
            text.push_str(&format!("  {platform:<11}{name:<width$}  {}\n", account.id));
        }
        text.push_str(&format!(
            "\n  look() {{ curl -sS -H \"X-API-Key: $(cat .millpond/key)\" \"http://{}/v1/$1\"; }}\n",
            self.api
        ));
        for path in [
            "accounts".to_owned(),
            format!("accounts/{example}/freshness"),
            format!("accounts/{example}/syncs"),
            format!("'entities?account={example}&type=campaign'"),
        ] {
            text.push_str(&format!("  look {path}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use marketing::accounts::{
        AccountId, AccountKind, AccountStatus, ConnectionId, Notifications, TokenClocks,
    };
    use providers::platform::Platform;
    use uuid::Uuid;

    use super::*;
    use crate::stand_ins;

    fn account(platform: Platform, name: &str) -> Account {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        Account {
            id: AccountId(Uuid::nil()),
            connection: ConnectionId(Uuid::nil()),
            tenant: None,
            platform,
            external_id: "101".to_owned(),
            kind: AccountKind::AdAccount,
            name: name.to_owned(),
            currency: None,
            time_zone: None,
            manager: None,
            status: AccountStatus::Active,
            platform_status: None,
            sync_enabled: true,
            owner_email: None,
            notifications: Notifications::default(),
            scopes: Vec::new(),
            token: TokenClocks {
                expires_at: None,
                refresh_expires_at: None,
                data_access_expires_at: None,
                refreshed_at: now,
            },
            discovered_at: now,
            vanished_at: None,
            updated_at: now,
        }
    }

    fn of<T>(accounts: &[Account], tell: impl FnOnce(&Told<'_>) -> T) -> T {
        let platforms: Vec<_> = stand_ins::ALL.iter().take(2).collect();
        tell(&Told {
            api: SocketAddr::from(([127, 0, 0, 1], 8080)),
            sandbox: SocketAddr::from(([127, 0, 0, 1], 9000)),
            platforms: &platforms,
            mail_dir: Path::new(".millpond/mail"),
            key: &SecretString::from("mp_dev"),
            database: "postgres://127.0.0.1:5432/millpond".to_owned(),
            accounts,
        })
    }

    #[test]
    fn people_are_told_where_everything_is() {
        let text = of(&[], |told| told.text());

        assert_eq!(
            text,
            "
Millpond runs.
  API        http://127.0.0.1:8080  (docs: http://127.0.0.1:8080/docs)
  metrics    http://127.0.0.1:8080/metrics
  key        mp_dev  (also in .millpond/key)
  mail       .millpond/mail
  database   postgres://127.0.0.1:5432/millpond
  sandbox    http://127.0.0.1:9000  (receivers, control)
  Meta       http://127.0.0.1:9000/v26.0
  Google Ads http://127.0.0.1:9000/google_ads/v26

Ctrl-C drains and stops all of it."
        );
    }

    // Fails when a name that a platform tells can do more than be read.
    #[test]
    fn people_are_told_what_is_connected_and_how_to_look_at_it() {
        let accounts = [
            account(Platform::Meta, "Shop"),
            account(Platform::GoogleAds, "Lumen\u{1b}[2J"),
        ];

        let text = of(&accounts, |told| told.text());

        let id = Uuid::nil();
        for line in [
            format!("  meta       Shop            {id}"),
            format!("  google_ads Lumen\\u{{1b}}[2J  {id}"),
            format!("  look accounts/{id}/freshness"),
        ] {
            let mut lines = text.lines();
            assert!(lines.any(|told| told == line), "{line} in {text}");
        }
    }

    #[test]
    fn programs_are_told_the_same() {
        let accounts = [account(Platform::Meta, "Shop")];

        let document = of(&accounts, |told| told.document());

        let sandboxes = &document["sandboxes"];
        assert_eq!(
            sandboxes["google_ads"],
            "http://127.0.0.1:9000/google_ads/v26"
        );
        assert_eq!(document["accounts"][0]["platform"], "meta");
        assert_eq!(document["key"], "mp_dev");
    }
}
