//! `millpond keys`: API keys are made, listed and revoked. The secret is shown once and kept nowhere.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use queue::{ApiKey, NewKey};
use secrecy::ExposeSecret;
use serde::Serialize;
use uuid::Uuid;

use super::{
    Context,
    page::{PageArgs, note_more},
};
use crate::output::{
    self, Table,
    words::{age, age_or_dash, future, or_dash},
};

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; its secret is printed once
    Create(CreateArgs),
    /// List keys
    List(PageArgs),
    /// Make a key useless, everywhere within a second
    Revoke {
        /// The key's id
        id: Uuid,
    },
}

/// What a new key may do.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Who or what uses it
    #[arg(long)]
    name: String,
    /// enqueue, enqueue:KIND, enqueue:FAMILY.*, read, operate or admin; may be repeated
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        required = true,
        value_delimiter = ','
    )]
    scopes: Vec<String>,
    /// Bind it to one customer of the upstream app
    #[arg(long)]
    tenant: Option<String>,
    /// When it ends: RFC 3339, or a span such as 90d from now
    #[arg(long, value_name = "TIME", value_parser = future)]
    expires: Option<DateTime<Utc>>,
}

/// A key with its secret, for the one time that it is shown.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    key: &'a ApiKey,
    secret: &'a str,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    match command {
        Command::Create(args) => {
            let request = NewKey {
                name: args.name.clone(),
                scopes: args.scopes.clone(),
                tenant: args.tenant.clone(),
                expires_at: args.expires,
            };
            let created = queue.create_key(request, &ctx.actor()).await;
            let (key, secret) = created.context("cannot make the key")?;
            let created = Created {
                key: &key,
                secret: secret.expose_secret(),
            };
            ctx.output
                .answer(&created, |created| format!("{}\n", created.secret))?;
            output::note(format_args!(
                "key {} ({}): keep it now, it is not shown again",
                key.id, key.name
            ));
        }
        Command::List(page) => {
            let keys = queue
                .keys(&page.request()?, None)
                .await
                .context("cannot list keys")?;
            ctx.output.answer(&keys, |keys| table(&keys.items))?;
            if !ctx.output.is_json() {
                note_more(keys.next.as_deref());
            }
        }
        Command::Revoke { id } => {
            let key = queue.revoke_key(*id, &ctx.actor()).await;
            let key = key.with_context(|| format!("cannot revoke key {id}"))?;
            ctx.output
                .answer(&key, |key| format!("key {id} ({}) is revoked\n", key.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(keys: &[ApiKey]) -> Table<8> {
    let now = Utc::now();
    let mut table = Table::new(
        [
            "id",
            "name",
            "prefix",
            "scopes",
            "tenant",
            "created",
            "last used",
            "ends",
        ],
        "no keys yet: `millpond keys create --name NAME --scope enqueue` makes one",
    );
    for key in keys {
        let ends = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => format!("revoked {}", age(at, now)),
            (None, Some(at)) => age(at, now),
            (None, None) => "never".to_owned(),
        };
        table.row([
            key.id.to_string(),
            key.name.clone(),
            key.prefix.clone(),
            key.scopes.join(","),
            or_dash(key.tenant.as_deref()),
            age(key.created_at, now),
            age_or_dash(key.last_used_at, now),
            ends,
        ]);
    }
    table
}
