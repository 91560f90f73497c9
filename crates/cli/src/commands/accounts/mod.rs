//! `millpond accounts`: connected accounts. Tokens are read from standard input and never from arguments, which everybody
//! on the machine can see.

mod backfill;
mod connect;
mod told;

use std::process::ExitCode;

use anyhow::Context as _;
use marketing::accounts::{
    AccountFilter, AccountId, AccountOrder, AccountStatus, Extent, Refreshed,
};
use providers::platform::Platform;
use queue::Queue;
use serde::Serialize;

use super::{
    Context,
    page::{PageArgs, note_more},
};
use crate::output;

/// Why something is disconnected, unless it is said.
const ASKED_FOR: &str = "disconnected from the command line";

/// What can be done with accounts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List accounts
    List(ListArgs),
    /// Show an account with what became of it
    Show {
        /// The account's id
        id: AccountId,
    },
    /// Connect what a grant reaches; its tokens are read from standard input
    #[command(after_help = connect::HELP)]
    Connect(connect::Args),
    /// Get new tokens for an account's grant
    Refresh {
        /// The account's id
        id: AccountId,
    },
    /// Have figures of past days read anew, by jobs that let all others go first
    Backfill(backfill::Args),
    /// Disconnect an account: its waiting jobs are cancelled; with the last one of a grant its secrets are wiped
    Disconnect(DisconnectArgs),
}

/// Which accounts to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// meta, google_ads, linkedin, tiktok or x
    #[arg(long)]
    platform: Option<Platform>,
    /// active, expiring, needs_reauth or disconnected
    #[arg(long)]
    status: Option<AccountStatus>,
    /// One customer of the upstream app
    #[arg(long)]
    tenant: Option<String>,
    /// found; or behind: the ad accounts that are synced, the ones of which what is stored is oldest first
    #[arg(long, default_value_t = AccountOrder::Found)]
    order: AccountOrder,
    #[command(flatten)]
    page: PageArgs,
}

/// What to disconnect, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct DisconnectArgs {
    /// The account's id
    id: AccountId,
    /// All accounts of its grant
    #[arg(long)]
    grant: bool,
    /// Why; kept in the account's history
    #[arg(long)]
    reason: Option<String>,
}

/// What was disconnected, as programs read it.
#[derive(Serialize)]
struct Ended {
    accounts: Vec<AccountId>,
    cancelled_jobs: u64,
    grant_ended: bool,
    revoked: bool,
    not_revoked: Option<String>,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    let done = Box::pin(run_on(&queue, command, ctx)).await;
    queue.close().await;
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn run_on(queue: &Queue, command: &Command, ctx: &Context) -> anyhow::Result<()> {
    let accounts = ctx.accounts_on(queue)?;
    match command {
        Command::List(args) => {
            let filter = AccountFilter {
                tenant: args.tenant.clone(),
                platform: args.platform,
                status: args.status,
                connection: None,
            };
            let page = args.page.request()?;
            let listed = accounts.listed(&filter, args.order, &page).await;
            let listed = listed.context("cannot list accounts")?;
            ctx.output
                .answer(&listed, |page| told::listed(&page.items))?;
            if !ctx.output.is_json() {
                note_more(listed.next.as_deref());
            }
        }
        Command::Show { id } => {
            let account = accounts.get(*id, None).await;
            let account = account.with_context(|| format!("cannot show account {id}"))?;
            let history = accounts.history(*id).await?;
            let shown = told::Shown { account, history };
            ctx.output.answer(&shown, told::shown)?;
        }
        Command::Connect(args) => connect::run(args, &accounts, ctx).await?,
        Command::Refresh { id } => {
            let refreshed = accounts.refresh_now(*id, &ctx.actor()).await;
            let refreshed = refreshed.with_context(|| format!("cannot refresh account {id}"))?;
            let account = accounts.get(*id, None).await?;
            let how = match refreshed {
                Refreshed::Anew => "has new tokens",
                Refreshed::Elsewhere => "has new tokens, which another process got",
                Refreshed::Refused => {
                    "keeps its tokens, since the platform gives no others: connect it again in time"
                }
            };
            ctx.output.answer(&account, |account| {
                let ends = told::end_of(account.token.expires_at);
                format!("account {id} {how}: they end {ends}\n")
            })?;
        }
        Command::Backfill(args) => backfill::run(args, &accounts, ctx).await?,
        Command::Disconnect(args) => {
            let ended = disconnect(args, &accounts, ctx).await?;
            ctx.output.answer(&ended, ended_told)?;
            if let Some(why) = &ended.not_revoked {
                output::note(format_args!(
                    "the platform has not taken the grant back, its owner can do it there: {why}"
                ));
            }
        }
    }
    Ok(())
}

async fn disconnect(
    args: &DisconnectArgs,
    accounts: &marketing::accounts::Accounts,
    ctx: &Context,
) -> anyhow::Result<Ended> {
    let extent = if args.grant {
        Extent::Grant
    } else {
        Extent::Account
    };
    let reason = args.reason.as_deref().unwrap_or(ASKED_FOR);
    let done = accounts
        .disconnect(args.id, extent, reason, &ctx.actor())
        .await;
    let done = done.with_context(|| format!("cannot disconnect account {}", args.id))?;
    let revoked = accounts.revoke(&done).await;
    Ok(Ended {
        cancelled_jobs: done.cancelled_jobs,
        grant_ended: done.is_grant_ended,
        revoked: revoked.as_ref().is_ok_and(|revoked| *revoked),
        not_revoked: revoked.err().map(|error| queue::error_chain(&error)),
        accounts: done.accounts,
    })
}

fn ended_told(ended: &Ended) -> String {
    let accounts = match ended.accounts.as_slice() {
        [account] => format!("account {account} is"),
        accounts => format!("{} accounts are", accounts.len()),
    };
    let grant = match (ended.grant_ended, ended.revoked) {
        (true, true) => "; the grant's secrets are wiped, and the platform has taken it back",
        (true, false) => "; the grant's secrets are wiped",
        (false, _) => "; the grant goes on for its other accounts",
    };
    let jobs = ended.cancelled_jobs;
    format!("{accounts} disconnected, {jobs} waiting jobs cancelled{grant}\n")
}
