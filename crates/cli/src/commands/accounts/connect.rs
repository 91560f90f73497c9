//! Connecting what a grant reaches.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use marketing::accounts::{Accounts, Connected, NewGrant, NotificationChange};
use providers::platform::{Grant, Platform};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::told;
use crate::{commands::Context, failure::Misuse, output::words::future};

/// Longest standard input that is read, in bytes.
const LONGEST_INPUT: u64 = 65_536;
/// What is told of standard input.
pub(super) const HELP: &str = "Standard input holds the access token alone, or a JSON object with access_token, \
    refresh_token and token_secret (X). A refresh token alone is enough where the platform gives an access token for it:\n  \
    millpond accounts connect meta --tenant acme < token.txt";

/// Whose grant it is, and what is known of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// meta, google_ads, linkedin, tiktok or x
    platform: Platform,
    /// The customer of the upstream app that the accounts belong to
    #[arg(long)]
    tenant: Option<String>,
    /// Who is told of what concerns the accounts
    #[arg(long, value_name = "ADDRESS")]
    owner_email: Option<String>,
    /// The manager account through which access is given (Google Ads)
    #[arg(long, value_name = "ID")]
    manager: Option<String>,
    /// The platform's id of whoever gave the grant
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only this account, by the platform's id; may be repeated. All that the grant reaches unless given
    #[arg(long = "account", value_name = "ID")]
    accounts: Vec<String>,
    /// When the access token ends, where the platform does not tell: RFC 3339, or a span such as 60d from now
    #[arg(long, value_name = "TIME", value_parser = future)]
    expires: Option<DateTime<Utc>>,
}

/// Tokens as standard input has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access_token: Option<String>,
    refresh_token: Option<String>,
    token_secret: Option<String>,
}

pub(super) async fn run(args: &Args, accounts: &Accounts, ctx: &Context) -> anyhow::Result<()> {
    let grant = read_grant(tokio::io::stdin()).await?;
    let new = NewGrant {
        platform: args.platform,
        tenant: args.tenant.clone(),
        grant,
        subject: args.subject.clone(),
        scopes: Vec::new(),
        manager: args.manager.clone(),
        owner_email: args.owner_email.clone(),
        notifications: NotificationChange::default(),
        expires_at: args.expires,
        refresh_expires_at: None,
        external_ids: args.accounts.clone(),
    };
    let connected = accounts.connect(new, &ctx.actor()).await;
    let Connected {
        connection,
        accounts,
    } = connected.with_context(|| format!("cannot connect to {}", args.platform))?;
    let document = json!({"connection": connection, "accounts": accounts});
    ctx.output.answer(&document, |_| told::table(&accounts))?;
    Ok(())
}

/// The tokens of standard input. Nothing of it is ever repeated.
async fn read_grant(input: impl AsyncRead + Unpin) -> Result<Grant, Misuse> {
    let mut text = String::new();
    let read = input.take(LONGEST_INPUT).read_to_string(&mut text).await;
    read.map_err(|source| Misuse::Unreadable {
        path: "standard input".to_owned(),
        source,
    })?;
    let text = text.trim();
    let tokens = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|_| Misuse::NoToken)?
    } else {
        Tokens {
            access_token: Some(text.to_owned()),
            refresh_token: None,
            token_secret: None,
        }
    };
    let secret = |token: Option<String>| token.filter(|it| !it.is_empty()).map(SecretString::from);
    let access_token = secret(tokens.access_token);
    let refresh_token = secret(tokens.refresh_token);
    if access_token.is_none() && refresh_token.is_none() {
        return Err(Misuse::NoToken);
    }
    Ok(Grant {
        access_token: access_token.unwrap_or_default(),
        token_secret: secret(tokens.token_secret),
        refresh_token,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    async fn read(text: &str) -> Result<(String, bool, bool), String> {
        let grant = read_grant(text.as_bytes()).await;
        grant
            .map(|grant| {
                let access_token = grant.access_token.expose_secret().to_owned();
                let has_refresh_token = grant.refresh_token.is_some();
                (
                    access_token,
                    has_refresh_token,
                    grant.token_secret.is_some(),
                )
            })
            .map_err(|misuse| misuse.to_string())
    }

    #[tokio::test]
    async fn a_token_comes_alone_or_with_others() {
        let alone = read("  EAAfake\n").await;
        let both = read(r#"{"access_token": "a", "token_secret": "b"}"#).await;
        let refresh = read(r#"{"refresh_token": "r"}"#).await;

        assert_eq!(alone, Ok(("EAAfake".to_owned(), false, false)));
        assert_eq!(both, Ok(("a".to_owned(), false, true)));
        assert_eq!(refresh, Ok((String::new(), true, false)));
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused_and_not_repeated() {
        for text in [
            "",
            " \n",
            "{}",
            r#"{"access_token": ""}"#,
            r#"{"token": "hunter2"}"#,
            r#"{"access_token": hunter2}"#,
        ] {
            let refused = read(text).await.expect_err(text);

            assert!(
                refused.starts_with("standard input has no token"),
                "{refused}"
            );
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
