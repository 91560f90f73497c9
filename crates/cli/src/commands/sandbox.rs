//! `millpond sandbox`: the stand-ins for the providers' servers, alone.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use ::sandbox::{Sandbox, SandboxConfig};
use serde_json::json;

use super::Context;
use crate::shutdown::Shutdown;

/// Where the stand-ins listen.
#[derive(Debug, clap::Args)]
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
}

pub(super) async fn run(args: &Args, ctx: &Context) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::listen(false)?;
    let sandbox = Sandbox::start(SandboxConfig {
        http: args.http_addr,
        smtp: args.smtp_addr,
        ..SandboxConfig::on_free_ports(args.mail_dir.clone())
    })
    .await?;
    let (http, smtp) = (sandbox.http_addr(), sandbox.smtp_addr());
    if ctx.output.is_json() {
        ctx.output.json_line(&json!({
            "http": format!("http://{http}"),
            "smtp": format!("smtp://{smtp}"),
        }))?;
    }
    ctx.output.line(format_args!(
        "Meta's API        http://{http}/v26.0\n\
         receivers         http://{http}/hooks/NAME\n\
         control           http://{http}/_control/ledger\n\
         mail server       smtp://{smtp}\n\
         mails             {}\n\
         Ctrl-C stops it.",
        args.mail_dir.display()
    ))?;
    shutdown.token().cancelled().await;
    sandbox.stop().await;
    Ok(ExitCode::SUCCESS)
}
