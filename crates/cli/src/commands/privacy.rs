//! `millpond privacy`: what is stored of one person, and taking it away.

use std::process::ExitCode;

use anyhow::Context as _;
use marketing::inbound::{ForgottenPerson, KnownOfPerson};
use queue::{ForgottenInJobs, JobsAbout, Person, Queue};
use serde::Serialize;

use super::Context;
use crate::failure::FAILED;

/// What can be done for a person.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print everything that is stored of a person, as JSON
    Export(SubjectArg),
    /// Take it away: leads are deleted, jobs that wait are cancelled, payloads wiped
    Erase(SubjectArg),
}

/// Who it is about.
#[derive(Debug, clap::Args)]
pub(crate) struct SubjectArg {
    /// An e-mail address, a phone number as it was given, or a platform's id of the person or the lead
    #[arg(long)]
    subject: String,
}

/// Everything that is stored of a person.
#[derive(Serialize)]
struct Export {
    #[serde(flatten)]
    known: KnownOfPerson,
    #[serde(flatten)]
    jobs: JobsAbout,
}

/// How much was taken away.
#[derive(Serialize)]
struct Erased {
    #[serde(flatten)]
    forgotten: ForgottenPerson,
    jobs: ForgottenInJobs,
}

pub(super) async fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let (Command::Export(SubjectArg { subject }) | Command::Erase(SubjectArg { subject })) =
        command;
    let person = Person::known_by(subject);
    let person = person.context("--subject needs 3 to 320 characters: fewer would name many")?;
    let queue = ctx.queue().await?;
    let done = match command {
        Command::Export(_) => Box::pin(export(&queue, &person, ctx)).await,
        Command::Erase(_) => Box::pin(erase(&queue, &person, ctx)).await,
    };
    queue.close().await;
    done
}

async fn export(queue: &Queue, person: &Person, ctx: &Context) -> anyhow::Result<ExitCode> {
    let inbound = ctx.accounts_on(queue)?.inbound();
    let known = inbound.known_of(person).await;
    let jobs = queue.jobs_about(person).await;
    let export = Export {
        known: known.context("cannot read what is stored")?,
        jobs: jobs.context("cannot read the jobs")?,
    };
    // A document either way: it is for the person, who has other programs.
    let text = serde_json::to_string_pretty(&export)?;
    ctx.output.answer(&export, |_| format!("{text}\n"))?;
    Ok(
        if export.jobs.unopened == 0 && export.known.unopened_leads == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(FAILED)
        },
    )
}

async fn erase(queue: &Queue, person: &Person, ctx: &Context) -> anyhow::Result<ExitCode> {
    let inbound = ctx.accounts_on(queue)?.inbound();
    // Jobs first: those that wait would bring back what is taken away behind them.
    let jobs = queue.forget_in_jobs(person).await;
    let jobs = jobs.context("cannot forget the person in jobs")?;
    let forgotten = inbound.forget(person, &ctx.actor()).await;
    let erased = Erased {
        forgotten: forgotten.context("cannot forget the person")?,
        jobs,
    };
    ctx.output.answer(&erased, told)?;
    let has_unopened = jobs.unopened > 0 || erased.forgotten.unopened_leads > 0;
    Ok(if jobs.running == 0 && !has_unopened {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

fn told(erased: &Erased) -> String {
    let Erased { forgotten, jobs } = erased;
    let mut text = format!(
        "{} leads, {} engagements, {} events, {} grants, {} endpoints and {} alerts name the person no more\n\
         {} jobs that waited are cancelled; {} dead letters and {} jobs that were done are wiped\n",
        forgotten.leads,
        forgotten.engagements,
        forgotten.events,
        forgotten.grants,
        forgotten.endpoints,
        forgotten.alerts,
        jobs.cancelled,
        jobs.dead_letters,
        jobs.done,
    );
    if jobs.running > 0 {
        text.push_str(&format!(
            "  {} jobs run and name the person: run this again when they are done\n",
            jobs.running
        ));
    }
    if forgotten.unopened_leads > 0 {
        text.push_str(&format!(
            "  {} leads do not open with the keys that are set here: whom they name is not known\n",
            forgotten.unopened_leads
        ));
    }
    if jobs.unopened > 0 {
        text.push_str(&format!(
            "  {} jobs do not open with the keys that are set here: whom they name is not known\n",
            jobs.unopened
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_do_is_said() {
        let mut erased = Erased {
            forgotten: ForgottenPerson {
                leads: 2,
                ..ForgottenPerson::default()
            },
            jobs: ForgottenInJobs::default(),
        };
        let whole = told(&erased);
        erased.jobs.running = 1;
        erased.jobs.unopened = 2;

        let cut = told(&erased);

        assert!(whole.starts_with("2 leads, 0 engagements"), "{whole}");
        assert!(!whole.contains("run this again"));
        assert!(cut.contains("run this again"), "{cut}");
        assert!(cut.contains("2 jobs do not open"), "{cut}");
    }
}
