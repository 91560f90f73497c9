//! `millpond doctor`: what is wrong, why it matters, what to do. A database that is away is a finding, not a crash.

use std::{fs, process::ExitCode, sync::Arc};

use queue::{Finding, Queue, Severity, Surroundings, config::Config};

use super::Context;
use crate::{
    api_versions,
    compose::{self, Connections},
    failure::FAILED,
    needed_keys, openings,
    output::{LONGEST_TEXT, one_line},
    settings::{DATABASE_URL, SettingsProblems},
};

pub(super) async fn run(ctx: &Context) -> anyhow::Result<ExitCode> {
    let (config, mut findings) = configuration(ctx);
    findings.extend(environment(ctx));
    findings.extend(api_versions_and_openings(ctx));
    match ctx.database_url() {
        Ok(url) => {
            let database = compose::connect_lazily(url, Connections::Few).await?;
            findings.extend(keys_to_encrypt(ctx, &config));
            let queue = compose::queue(database, config, false)?;
            let queue = match ctx.cipher() {
                Ok(Some(cipher)) => queue.with_cipher(cipher),
                Ok(None) | Err(_) => queue, // what is wrong with it was found above
            };
            let surroundings = Surroundings {
                connections_per_process: compose::connections_per_process(),
                file: fs::read_to_string(ctx.config_file.path()).ok(),
            };
            findings.extend(queue::diagnose(&queue, &surroundings).await);
            findings.extend(keys(ctx, &queue).await);
            queue.close().await;
        }
        Err(error) if error.is::<SettingsProblems>() => {} // found above
        Err(error) => findings.push(wrong_variable(
            format!("{error:#}"),
            "nothing can run without a database",
        )),
    }
    ctx.output.answer(&findings, |findings| told(findings))?;
    let has_error = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(if has_error {
        ExitCode::from(FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Whether the keys of stored secrets are there. What keeps accounts from being looked at was found above.
async fn keys(ctx: &Context, queue: &Queue) -> Vec<Finding> {
    let is_up_to_date = queue.database().pending_migrations().await;
    match (is_up_to_date, ctx.accounts_on(queue)) {
        (Ok(pending), Ok(accounts)) if pending.is_empty() => {
            let mut findings = needed_keys::look(&accounts).await;
            findings.extend(needed_keys::look_at_payloads(queue).await);
            findings
        }
        _ => Vec::new(),
    }
}

/// Whether there are keys for the kinds whose payloads are to be encrypted.
fn keys_to_encrypt(ctx: &Context, config: &Config) -> Vec<Finding> {
    let Ok(None) = ctx.cipher() else {
        return Vec::new();
    };
    let found = |severity, detail, why| Finding {
        severity,
        check: "payloads",
        detail,
        why,
        remedy: "set MILLPOND_ENCRYPTION_KEYS for every process".to_owned(),
    };
    let refused = "its jobs are refused, and those that wait fail";
    let read = "whoever reads the database or a backup of it reads what they say of people";
    let needed = compose::keys_needed(config).map(|line| found(Severity::Error, line, refused));
    let wanted = needed_keys::in_the_clear(config).map(|line| found(Severity::Warning, line, read));
    needed.chain(wanted).collect()
}

/// What the environment means, where it means anything: what is wrong with it was found above. Without `DATABASE_URL`
/// the database is that of `millpond dev`, which is not production.
fn api_versions_and_openings(ctx: &Context) -> Vec<Finding> {
    let Ok(settings) = ctx.settings() else {
        return Vec::new();
    };
    let mut findings = api_versions::look(&settings);
    if settings.database_url.is_some() {
        findings.extend(openings::look(&settings));
    }
    findings
}

/// A finding for each variable that is wrong, so that one of them does not hide what the database has to say.
fn environment(ctx: &Context) -> Vec<Finding> {
    let Err(problems) = ctx.settings() else {
        return Vec::new();
    };
    let findings = problems.each().map(|(name, problem)| match name {
        DATABASE_URL => wrong_variable(problem, "nothing can run without a database"),
        _ => wrong_variable(problem, "no process starts with it"),
    });
    findings.collect()
}

fn wrong_variable(detail: String, why: &'static str) -> Finding {
    Finding {
        severity: Severity::Error,
        check: "environment",
        detail,
        why,
        remedy: "correct the environment of this process".to_owned(),
    }
}

/// The configuration, or the defaults with a finding that says why.
fn configuration(ctx: &Context) -> (Arc<Config>, Vec<Finding>) {
    let found = |severity, detail: String, why, remedy: &str| Finding {
        severity,
        check: "configuration",
        detail,
        why,
        remedy: remedy.to_owned(),
    };
    match ctx.config() {
        Ok(loaded) if loaded.warnings.is_empty() => {
            let file = loaded.path.map_or_else(
                || "no jobs.toml: the built-in defaults hold".to_owned(),
                |path| format!("{} is valid", path.display()),
            );
            (loaded.config, vec![found(Severity::Ok, file, "", "")])
        }
        Ok(loaded) => {
            let count = loaded.warnings.len();
            let finding = found(
                Severity::Warning,
                format!("{count} keys have no effect in this release"),
                "what they ask for does not happen",
                "run `millpond config check` to see them",
            );
            (loaded.config, vec![finding])
        }
        Err(error) => {
            let finding = found(
                Severity::Error,
                format!("{:#}", anyhow::Error::from(error)),
                "no process starts with it; what follows was looked at with the defaults",
                "correct the file, then run `millpond config check`",
            );
            (Arc::new(Config::builtin()), vec![finding])
        }
    }
}

fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Ok => "ok     ",
            Severity::Warning => "warning",
            Severity::Error => "ERROR  ",
        };
        let detail = one_line(&finding.detail, LONGEST_TEXT);
        text.push_str(&format!("{word}  {}: {detail}\n", finding.check));
        if !finding.why.is_empty() {
            text.push_str(&format!("         why: {}\n", finding.why));
        }
        if !finding.remedy.is_empty() {
            text.push_str(&format!(
                "         do:  {}\n",
                one_line(&finding.remedy, LONGEST_TEXT)
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::GlobalArgs, environment::Environment};

    #[test]
    fn a_wrong_variable_is_no_want_of_a_database() {
        let global = GlobalArgs {
            config: None,
            json: false,
        };
        let variables = Environment::from([
            ("DATABASE_URL", "postgres://db/x"),
            ("MILLPOND_HTTP_ADDR", "somewhere"),
            ("MILLPOND_SMTP_URL", "smtp://mail.example.com/path"),
        ]);
        let ctx = Context::new(global, variables);

        let findings = environment(&ctx);

        assert!(ctx.database_url().is_ok());
        assert_eq!(findings.len(), 2);
        for (finding, name) in findings
            .iter()
            .zip(["MILLPOND_HTTP_ADDR", "MILLPOND_SMTP_URL"])
        {
            assert!(finding.detail.starts_with(name), "{}", finding.detail);
            assert_eq!(finding.why, "no process starts with it");
        }
    }

    // Fails when nobody is told that people's data lies in the clear for want of keys.
    #[test]
    fn without_keys_the_kinds_that_are_about_people_are_named() {
        let database = ("DATABASE_URL", "postgres://db/x");
        let keys = format!("a:{}", "5a".repeat(32));
        let keys = ("MILLPOND_ENCRYPTION_KEYS", keys.as_str());
        let found = |variables| {
            let global = GlobalArgs {
                config: None,
                json: false,
            };
            let ctx = Context::new(global, variables);
            keys_to_encrypt(&ctx, &Config::builtin())
        };

        let without = found(Environment::from([database]));
        let with = found(Environment::from([database, keys]));

        assert_eq!(without.len(), 1);
        assert_eq!(without[0].severity, Severity::Warning);
        assert!(without[0].detail.contains("conversion.send"));
        assert!(with.is_empty());
    }

    #[test]
    fn a_sandbox_is_told_of_where_a_database_is_named() {
        let global = || GlobalArgs {
            config: None,
            json: false,
        };
        let sandbox = ("MILLPOND_META_URL", "http://127.0.0.1:9000/v26.0");
        let dev = Context::new(global(), Environment::from([sandbox]));
        let database = ("DATABASE_URL", "postgres://db/x");
        let production = Context::new(global(), Environment::from([sandbox, database]));

        let [dev, production] = [&dev, &production].map(api_versions_and_openings);

        let of = |findings: &[Finding], check: &str| {
            let mut findings = findings.iter();
            findings.any(|finding| finding.check == check)
        };
        assert!(of(&dev, "api versions") && of(&production, "api versions"));
        assert!(!of(&dev, "production") && of(&production, "production"));
    }

    #[test]
    fn a_finding_says_what_why_and_what_to_do() {
        let finding = Finding {
            severity: Severity::Error,
            check: "schema",
            detail: "2 migrations are pending".to_owned(),
            why: "this release cannot work on an older schema",
            remedy: "run `millpond migrate`".to_owned(),
        };

        assert_eq!(
            told(&[finding]),
            "ERROR    schema: 2 migrations are pending\n         \
             why: this release cannot work on an older schema\n         do:  run `millpond migrate`\n"
        );
    }
}
