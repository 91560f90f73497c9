//! `millpond email`: what mails look like, before anybody gets one.

use std::{fs, io::Read as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Subcommand;
use marketing::email::{Brand, Look, RenderedMail, Templates};
use serde_json::{Value, json};

use super::Context;
use crate::{compose, settings::Settings};

/// Largest data that is read, in bytes.
const LARGEST_DATA: u64 = 1 << 20;
/// Where a mail of a preview would be ended.
const SAMPLE_URL: &str = "https://jobs.example.com/unsubscribe/sample";

/// What can be done with mails.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a template with sample data, as text and HTML
    Preview(Preview),
    /// List the templates
    Templates,
}

/// Which template, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// The template, such as welcome or own/spring-sale
    name: String,
    /// Data instead of the sample's: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    data: Option<String>,
    /// Whose sender and looks: a tenant of [email.tenants] in jobs.toml
    #[arg(long)]
    tenant: Option<String>,
    /// Only the HTML, to be written to a file and opened
    #[arg(long, conflicts_with = "text")]
    html: bool,
    /// Only the text
    #[arg(long)]
    text: bool,
}

pub(super) fn run(command: &Command, ctx: &Context) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&ctx.environment)?;
    let templates = compose::templates(&settings.providers.mail)?;
    match command {
        Command::Preview(args) => preview(args, &templates, ctx)?,
        Command::Templates => {
            let names = templates.names();
            let text = format!("{}\n", names.join("\n"));
            let told = json!({ "templates": names });
            ctx.output.answer(&told, |_| text)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn preview(args: &Preview, templates: &Templates, ctx: &Context) -> anyhow::Result<()> {
    let data = match &args.data {
        Some(given) => read_data(given)?,
        None => templates.sample(&args.name)?,
    };
    let email = ctx.config()?.config.email.of_tenant(args.tenant.as_deref());
    let look = Look {
        brand: Brand {
            name: email.brand.name,
            color: email.brand.color,
            logo_url: email.brand.logo_url,
            address: email.brand.address,
        },
        unsubscribe_url: Some(SAMPLE_URL.to_owned()),
    };
    let mail = templates.render(&args.name, &data, &look)?;
    let text = shown(args, email.from.as_deref(), &mail);
    let told = json!({
        "from": email.from, "subject": mail.subject, "text": mail.text, "html": mail.html,
    });
    ctx.output.answer(&told, |_| text)?;
    Ok(())
}

fn shown(args: &Preview, from: Option<&str>, mail: &RenderedMail) -> String {
    match (args.html, args.text) {
        (true, _) => format!("{}\n", mail.html),
        (_, true) => format!("{}\n", mail.text),
        _ => format!(
            "From: {}\nSubject: {}\n\n{}\n\n=== HTML ===\n\n{}\n",
            from.unwrap_or("[email] from is not set"),
            mail.subject,
            mail.text,
            mail.html
        ),
    }
}

fn read_data(given: &str) -> anyhow::Result<Value> {
    let text = if given == "-" {
        let mut text = String::new();
        let mut input = std::io::stdin().take(LARGEST_DATA);
        input
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        text
    } else if let Some(path) = given.strip_prefix('@') {
        fs::read_to_string(Path::new(path)).with_context(|| format!("{path} cannot be read"))?
    } else {
        given.to_owned()
    };
    serde_json::from_str(&text).context("the data is no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(html: bool, text: bool) -> Preview {
        Preview {
            name: "welcome".to_owned(),
            data: None,
            tenant: None,
            html,
            text,
        }
    }

    #[test]
    fn a_preview_shows_both_forms_or_the_one_that_was_asked_for() {
        let templates = Templates::default();
        let data = templates.sample("welcome").expect("a known template");
        let mail = templates.render("welcome", &data, &Look::default());
        let mail = mail.expect("the sample suits its template");

        let both = shown(&args(false, false), Some("jobs@example.com"), &mail);

        assert!(
            both.starts_with("From: jobs@example.com\nSubject: Welcome to "),
            "{both}"
        );
        assert!(
            both.contains(&mail.text) && both.contains(&mail.html),
            "{both}"
        );
        assert_eq!(
            shown(&args(true, false), None, &mail),
            format!("{}\n", mail.html)
        );
        assert_eq!(
            shown(&args(false, true), None, &mail),
            format!("{}\n", mail.text)
        );
    }

    #[test]
    fn data_is_read_as_it_stands() {
        let data = read_data(r#"{"name": "Ada"}"#).expect("JSON");

        assert_eq!(data, json!({ "name": "Ada" }));
        assert!(read_data("{").is_err());
        assert!(read_data("@/nowhere/at/all.json").is_err());
    }
}
