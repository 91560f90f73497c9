//! The command line: what every command takes, and the commands themselves.

use std::{path::PathBuf, sync::LazyLock};

use clap::{Args, Parser, Subcommand};

use crate::{commands, dev};

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from.
pub(crate) const COMMIT: &str = match option_env!("MILLPOND_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Stores work durably and runs it at the rate that the other side can take.
#[derive(Debug, Parser)]
#[command(name = "millpond", version = version(), arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 it failed or a check found something, 2 wrong use or invalid \
                        configuration.\nThe environment is read as .env.example describes; any secret X may be given \
                        as X_FILE."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// The configuration [default: jobs.toml, or MILLPOND_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Answer with one JSON document instead of text; `dead export` and `replays show --watch` write one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything on one machine with nothing to set up
    Dev(dev::Args),
    /// A production process: API, worker, scheduler
    Serve(commands::serve::Args),
    /// Bring the database's schema up to date
    Migrate(commands::migrate::Args),
    /// Store one job, or many from a file
    Enqueue(Box<commands::enqueue::Args>),
    /// Look at and act on jobs
    #[command(subcommand)]
    Jobs(commands::jobs::Command),
    /// Look at queues, pause and resume them
    #[command(subcommand)]
    Queues(commands::queues::Command),
    /// Look at schedules, trigger, pause and resume them
    #[command(subcommand)]
    Schedules(commands::schedules::Command),
    /// Look at dead letters, replay, discard and restore them
    #[command(subcommand)]
    Dead(commands::dead::Command),
    /// Look at replay runs, pause, resume and abort them
    #[command(subcommand)]
    Replays(commands::replays::Command),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(commands::keys::Command),
    /// Connect ad accounts, look at them, refresh and disconnect them; tokens are read from standard input alone
    #[command(subcommand)]
    Accounts(commands::accounts::Command),
    /// Check that stored secrets open, seal them anew under the newest key
    #[command(subcommand)]
    Secrets(commands::secrets::Command),
    /// Print what is stored of one person, or take it away
    #[command(subcommand)]
    Privacy(commands::privacy::Command),
    /// Check, explain and change what jobs.toml says
    #[command(subcommand)]
    Config(commands::config::Command),
    /// See what mails look like
    #[command(subcommand)]
    Email(commands::email::Command),
    /// Load rates of exchange to the reporting currency
    #[command(subcommand)]
    Rates(commands::rates::Command),
    /// Check database, schema, clocks, kinds and configuration
    Doctor,
    /// Measure speed beside the machine's own limits
    Bench(commands::bench::Args),
    /// Stand-ins for the providers' servers, alone
    Sandbox(commands::sandbox::Args),
    /// Print completions for a shell
    Completions(commands::completions::Args),
}

fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{VERSION} ({COMMIT})"));
    &TEXT
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_are_taken_after_the_command_too() {
        let cli = parse("millpond jobs list --json --config other.toml").expect("valid");

        assert!(cli.global.json);
        assert_eq!(cli.global.config, Some(PathBuf::from("other.toml")));
    }

    #[test]
    fn wrong_use_is_refused_with_its_reason() {
        for (line, kind) in [
            ("millpond frobnicate", ErrorKind::InvalidSubcommand),
            ("millpond enqueue", ErrorKind::MissingRequiredArgument),
            (
                "millpond enqueue a.b --ndjson jobs.ndjson",
                ErrorKind::ArgumentConflict,
            ),
            (
                "millpond enqueue a.b --priority 10",
                ErrorKind::ValueValidation,
            ),
            (
                "millpond enqueue a.b --delay 1h --run-at 2026-05-20T09:00:00Z",
                ErrorKind::ArgumentConflict,
            ),
            ("millpond jobs show not-an-id", ErrorKind::ValueValidation),
            (
                "millpond jobs list --state runing",
                ErrorKind::ValueValidation,
            ),
            ("millpond jobs list --limit 0", ErrorKind::ValueValidation),
            (
                "millpond dead discard --kind a.b",
                ErrorKind::MissingRequiredArgument,
            ),
            (
                "millpond config set queues.sync.concurrency=2",
                ErrorKind::MissingRequiredArgument,
            ),
            (
                "millpond config set queues.sync.concurrency --for 1h",
                ErrorKind::ValueValidation,
            ),
            (
                "millpond config apply jobs.toml --revision 7",
                ErrorKind::ArgumentConflict,
            ),
            ("millpond serve --roles api,cook", ErrorKind::InvalidValue),
        ] {
            let refused = parse(line).expect_err(line);

            assert_eq!(refused.kind(), kind, "{line}");
        }
    }

    #[test]
    fn ids_and_filters_do_not_go_together() {
        let id = "0192f7c4-0000-7000-8000-000000000001";

        let refused = parse(&format!("millpond dead replay {id} --kind a.b"));

        assert!(refused.is_err_and(|error| error.kind() == ErrorKind::ArgumentConflict));
    }

    #[test]
    fn every_documented_form_is_taken() {
        let id = "0192f7c4-0000-7000-8000-000000000001";
        for line in [
            "dev --demo",
            "serve --roles api,worker --queues sync,email",
            "migrate --check",
            "enqueue email.send --payload {} --queue email --priority 3 --run-at 2026-05-20T09:00:00Z --tenant acme",
            "enqueue email.send --payload @mail.json --delay 15m --idempotency-key k",
            "enqueue --ndjson -",
            "queues pause sync --reason quota --until 2h",
            "queues explain sync",
            "schedules list",
            "schedules preview token-check --next 5",
            "schedules trigger token-check --reason late",
            "schedules pause token-check --reason quota --until 2h",
            "schedules resume token-check",
            "dead list --class invalid --since 2h --tenant acme",
            "dead replay --fingerprint abc --dry-run --patch {} --reason fixed",
            "dead replay --kind a.b --canary 5 --rate 10/s",
            "dead export --kind email.send",
            "replays show 0192f7c4-0000-7000-8000-000000000001 --watch",
            "keys create --name app --scope enqueue --scope read --tenant acme --expires 90d",
            "accounts list --platform meta --status needs_reauth --tenant acme",
            "accounts list --order behind --limit 10",
            "accounts show 0192f7c4-0000-7000-8000-000000000001",
            "accounts connect google_ads --tenant acme --manager 1234567890 --account 9876543210",
            "accounts refresh 0192f7c4-0000-7000-8000-000000000001",
            "accounts backfill 0192f7c4-0000-7000-8000-000000000001 --from 2026-01-01 --to 2026-01-31 --level ad",
            "accounts disconnect 0192f7c4-0000-7000-8000-000000000001 --grant --reason leaving",
            "secrets verify",
            "secrets rotate",
            "privacy export --subject ada@example.com",
            "privacy erase --subject ada@example.com",
            "config check jobs.toml",
            "config effective",
            "config effective jobs.toml",
            "config apply --reason launch",
            "config apply other.toml",
            "config apply --revision 7",
            "config history --limit 10",
            "config set queues.sync.concurrency=2 --for 1h --reason quota",
            "config set queues.sync.concurrency=2 --until 2026-05-20T09:00:00Z",
            "config unset queues.sync.concurrency",
            "config schema",
            "rates load rates.csv --reporting-currency EUR",
            "doctor",
            "sandbox --http-addr 127.0.0.1:0 --json",
            "sandbox --accounts 10 --campaigns 500 --seed 7",
            "completions bash",
        ] {
            assert!(parse(&format!("millpond {line}")).is_ok(), "{line}");
        }
        assert!(parse(&format!("millpond jobs cancel {id}")).is_ok());
        assert!(parse(&format!("millpond jobs explain {id}")).is_ok());
        assert!(parse(&format!("millpond dead restore {id} --reason mistake")).is_ok());
    }
}
