//! `millpond secrets`: whether stored secrets open, and sealing them anew under the newest key.

use std::process::ExitCode;

use anyhow::Context as _;
use marketing::accounts::{Rotated, Unopened, Verified};
use queue::{PayloadFault, PayloadsRotated, PayloadsVerified, Queue};

use super::Context;
use crate::{
    failure::FAILED,
    output::{self, LONGEST_TEXT, one_line},
};

/// What can be done with secrets.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Try to open every stored secret, and name those that do not
    Verify,
    /// Seal everything anew under the newest key; may be stopped and repeated, processes go on beside it
    Rotate,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let queue = ctx.queue().await?;
    let is_whole = Box::pin(run_on(&queue, command, ctx)).await;
    queue.close().await;
    Ok(if is_whole? {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Tells whether nothing is left to do.
async fn run_on(queue: &Queue, command: &Command, ctx: &Context) -> anyhow::Result<bool> {
    let accounts = ctx.accounts_on(queue)?;
    let is_whole = match command {
        Command::Verify => {
            let verified = accounts.verify_secrets().await;
            let mut verified = verified.context("cannot verify the secrets")?;
            let payloads = queue.verify_payloads().await;
            let payloads = payloads.context("cannot verify the payloads")?;
            let in_the_clear = payloads.in_the_clear;
            add_verified(&mut verified, payloads);
            ctx.output.answer(&verified, verified_told)?;
            if in_the_clear > 0 {
                output::note(format_args!(
                    "{in_the_clear} payloads lie in the clear though their kind is encrypted: `millpond secrets rotate` seals them"
                ));
            }
            verified.unopened == 0
        }
        Command::Rotate => {
            let rotated = accounts.rotate_secrets(&ctx.actor()).await;
            let mut rotated = rotated.context("cannot seal the secrets anew")?;
            let payloads = queue.rotate_payloads(&ctx.actor()).await;
            let payloads = payloads.context("cannot seal the payloads anew")?;
            add_rotated(&mut rotated, payloads);
            ctx.output.answer(&rotated, rotated_told)?;
            rotated.left == 0 && rotated.faults.is_empty()
        }
    };
    Ok(is_whole)
}

/// Payloads are secrets like all others.
fn add_verified(verified: &mut Verified, payloads: PayloadsVerified) {
    let opened: u64 = payloads.opened.values().sum();
    verified.values += opened + payloads.unopened;
    verified.unopened += payloads.unopened;
    for (key_id, values) in payloads.opened {
        *verified.opened.entry(key_id).or_default() += values;
    }
    verified
        .faults
        .extend(payloads.faults.into_iter().map(unopened));
}

fn add_rotated(rotated: &mut Rotated, payloads: PayloadsRotated) {
    rotated.rows += payloads.rows;
    rotated.left += payloads.left;
    rotated
        .faults
        .extend(payloads.faults.into_iter().map(unopened));
}

fn unopened(fault: PayloadFault) -> Unopened {
    Unopened {
        place: fault.place,
        key_id: fault.key_id,
        reason: fault.reason,
    }
}

fn verified_told(verified: &Verified) -> String {
    let mut text = format!(
        "{} secrets, {} do not open\n",
        verified.values, verified.unopened
    );
    for (key_id, values) in &verified.opened {
        text.push_str(&format!("  {values} open with the key {key_id:?}\n"));
    }
    text.push_str(&faults_told(&verified.faults));
    text
}

fn rotated_told(rotated: &Rotated) -> String {
    let Rotated {
        key_id,
        rows,
        left,
        faults,
    } = rotated;
    let mut text = format!("{rows} rows are sealed anew under the key {key_id:?}\n");
    if *left > 0 {
        text.push_str(&format!(
            "  {left} were changed by others at that moment: run this again\n"
        ));
    }
    text.push_str(&faults_told(faults));
    if *left == 0 && faults.is_empty() {
        text.push_str("  older keys can be taken out once every process has the new list\n");
    }
    text
}

fn faults_told(faults: &[Unopened]) -> String {
    let lines = faults.iter().map(|fault| {
        let reason = one_line(&fault.reason, LONGEST_TEXT);
        format!("  {}: {reason}\n", fault.place)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> Unopened {
        Unopened {
            place: "marketing.connections:7:access_token".to_owned(),
            key_id: Some("2025".to_owned()),
            reason: "it is sealed under the key \"2025\", which is not configured".to_owned(),
        }
    }

    #[test]
    fn what_does_not_open_is_named_with_its_place() {
        let verified = Verified {
            values: 3,
            opened: [("2026".to_owned(), 2)].into(),
            unopened: 1,
            faults: vec![fault()],
        };

        assert_eq!(
            verified_told(&verified),
            "3 secrets, 1 do not open\n  2 open with the key \"2026\"\n  marketing.connections:7:access_token: it is sealed \
             under the key \"2025\", which is not configured\n"
        );
    }

    #[test]
    fn a_rotation_says_when_older_keys_can_go() {
        let whole = Rotated {
            key_id: "2026".to_owned(),
            rows: 7,
            ..Rotated::default()
        };
        let cut = Rotated {
            left: 1,
            faults: vec![fault()],
            ..whole.clone()
        };

        assert!(rotated_told(&whole).contains("older keys can be taken out"));
        assert!(!rotated_told(&cut).contains("older keys can be taken out"));
        assert!(rotated_told(&cut).contains("run this again"));
    }
}
