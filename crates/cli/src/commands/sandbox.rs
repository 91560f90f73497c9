//! `millpond sandbox`: the stand-ins for the providers' servers, alone.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, process::ExitCode};

use ::sandbox::{Sandbox, SandboxConfig, WorldConfig};
use clap::value_parser;
use serde_json::json;

use super::Context;
use crate::{shutdown::Shutdown, stand_ins};

/// What `--help` says of answers for programs.
const HELP: &str = "With --json the first line has the addresses, the environment that points a process at \
    them, and for each platform tokens that `millpond accounts connect` takes.";
/// Largest numbers of the options, as they are parsed.
const MOST_ACCOUNTS: i64 = WorldConfig::MOST_ACCOUNTS as i64;
const MOST_CAMPAIGNS: i64 = WorldConfig::MOST_CAMPAIGNS as i64;

/// Where the stand-ins listen, and what they show.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Where HTTP is served; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    http_addr: SocketAddr,
    /// Where mail is taken; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    smtp_addr: SocketAddr,
    /// The folder that keeps each mail as a file
    #[arg(long, value_name = "DIR", default_value = ".millpond/mail")]
    mail_dir: PathBuf,
    /// Ad accounts of each platform, 1 to 200
    #[arg(long, value_name = "N", default_value_t = WorldConfig::default().accounts_per_platform,
        value_parser = value_parser!(u32).range(1..=MOST_ACCOUNTS))]
    accounts: u32,
    /// Campaigns of each account, 1 to 5000; paused, archived and deleted ones are among them
    #[arg(long, value_name = "N", default_value_t = WorldConfig::default().campaigns_per_account,
        value_parser = value_parser!(u32).range(1..=MOST_CAMPAIGNS))]
    campaigns: u32,
    /// Which of all possible worlds: the same number makes the same names and figures
    #[arg(long, value_name = "N", default_value_t = WorldConfig::default().seed)]
    seed: u64,
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen(false)?;
    let sandbox = Sandbox::start(SandboxConfig {
        http: args.http_addr,
        smtp: args.smtp_addr,
        world: WorldConfig {
            seed: args.seed,
            accounts_per_platform: args.accounts,
            campaigns_per_account: args.campaigns,
        },
        ..SandboxConfig::on_free_ports(args.mail_dir.clone())
    })
    .await?;
    tell(args, ctx, sandbox.http_addr(), sandbox.smtp_addr())?;
    shutdown.token().cancelled().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Where everything is: a table for people, and for programs what they need to work against it.
fn tell(args: &Args, ctx: &Context, http: SocketAddr, smtp: SocketAddr) -> anyhow::Result<()> {
    if ctx.output.is_json() {
        let all = &stand_ins::ALL;
        let apis: BTreeMap<_, _> = all.iter().map(|it| (it.platform, it.api(http))).collect();
        let tokens: BTreeMap<_, _> = all.iter().map(|it| (it.platform, &it.tokens)).collect();
        let environment = all.iter().flat_map(|it| it.environment(http));
        let environment: BTreeMap<_, _> = environment.collect();
        ctx.output.json_line(&json!({
            "http": format!("http://{http}"),
            "smtp": format!("smtp://{smtp}"),
            "resend": format!("http://{http}/resend"),
            "platforms": apis,
            "environment": environment,
            "tokens": tokens,
        }))?;
    }
    let mut text = String::new();
    let mut line = |name: &str, place: String| text.push_str(&format!("{name:<13}{place}\n"));
    for stand_in in &stand_ins::ALL {
        line(stand_in.name, stand_in.api(http));
    }
    line("receivers", format!("http://{http}/hooks/NAME"));
    line("control", format!("http://{http}/_control/ledger"));
    line("mail server", format!("smtp://{smtp}"));
    line("Resend", format!("http://{http}/resend"));
    line("mails", args.mail_dir.display().to_string());
    ctx.output.line(format_args!("{text}Ctrl-C stops it."))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, error::ErrorKind};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.args)
    }

    #[test]
    fn a_world_is_as_large_as_it_is_asked_for_within_its_bounds() {
        let usual = parse("sandbox").expect("valid");
        let large = parse("sandbox --accounts 200 --campaigns 5000 --seed 7").expect("valid");

        let of_usual = (usual.accounts, usual.campaigns, usual.seed);
        let default = WorldConfig::default();
        assert_eq!(
            of_usual,
            (
                default.accounts_per_platform,
                default.campaigns_per_account,
                default.seed
            )
        );
        assert_eq!(
            (large.accounts, large.campaigns, large.seed),
            (200, 5_000, 7)
        );
        for line in ["sandbox --accounts 0", "sandbox --campaigns 5001"] {
            let refused = parse(line).map(|_| line).expect_err(line);
            assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{line}");
        }
    }

    // Fails when the bounds change and the help does not.
    #[test]
    fn the_help_tells_the_bounds() {
        let help = Line::command().render_long_help().to_string();

        assert!(help.contains(&format!("1 to {}", WorldConfig::MOST_ACCOUNTS)));
        assert!(help.contains(&format!("1 to {}", WorldConfig::MOST_CAMPAIGNS)));
    }
}
