//! What this process makes of a text: what it means, and whether the process can run with it. What it cannot run with
//! does not come into force here, whoever put it in force for the fleet.

use std::sync::Arc;

use super::CheckConfig;
use crate::config::{Config, Ignored, Layered, Override, Problem};

/// Reads texts as this process reads them.
#[derive(Clone)]
pub(crate) struct Judge {
    /// Kinds that a text may have sections for.
    kinds: Arc<[Arc<str>]>,
    /// What this process says against a configuration that is right in itself.
    check: Option<CheckConfig>,
}

impl Judge {
    pub(crate) fn new(kinds: Arc<[Arc<str>]>, check: Option<CheckConfig>) -> Self {
        Self { kinds, check }
    }

    /// The kinds that a text may have sections for.
    pub(crate) fn known_kinds(&self) -> Vec<&str> {
        self.kinds.iter().map(AsRef::as_ref).collect()
    }

    /// Reads a text with overrides over it, as this program reads its file.
    pub(crate) fn read(&self, text: &str, overrides: &[Override]) -> Result<Layered, Vec<Problem>> {
        Config::layered(text, overrides, &self.known_kinds())
    }

    /// What this process says against a configuration that is right in itself, a line each.
    pub(crate) fn check(&self, config: &Config) -> Vec<String> {
        let check = self.check.as_ref();
        check.map_or_else(Vec::new, |check| check(config))
    }

    /// Reads a text that this process can run with. Overrides that it could not run with are left out, as are those that
    /// do not fit. Else a line for each reason, which begins with where the text comes from.
    pub(crate) fn admit(
        &self,
        source: &str,
        text: &str,
        overrides: &[Override],
    ) -> Result<Layered, Vec<String>> {
        let lines = |problems: Vec<Problem>| {
            let lines = problems.iter().map(|problem| format!("{source}:{problem}"));
            lines.collect::<Vec<_>>()
        };
        let bare = self.read(text, &[]).map_err(lines)?;
        let against = self.check(&bare.config);
        if !against.is_empty() {
            let lines = against.iter().map(|line| format!("{source}: {line}"));
            return Err(lines.collect());
        }
        if overrides.is_empty() {
            return Ok(bare);
        }
        let layered = self.read(text, overrides).map_err(lines)?;
        if self.check(&layered.config).is_empty() {
            return Ok(layered);
        }
        self.under_some(text, overrides, bare).map_err(lines)
    }

    /// Lays those overrides over a text that leave it one to run with. Which ones is found out one by one, those that were
    /// set first before the others.
    fn under_some(
        &self,
        text: &str,
        overrides: &[Override],
        bare: Layered,
    ) -> Result<Layered, Vec<Problem>> {
        let mut layered = bare;
        let mut kept = Vec::new();
        let mut refused = Vec::new();
        for setting in overrides {
            kept.push(setting.clone());
            let tried = self.read(text, &kept)?;
            let against = self.check(&tried.config);
            if against.is_empty() {
                layered = tried;
                continue;
            }
            kept.pop();
            refused.push(Ignored {
                setting: setting.clone(),
                problem: against.join("; "),
            });
        }
        layered.ignored.extend(refused);
        Ok(layered)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    /// Of a process that has room for ten slots a queue.
    fn judge() -> Judge {
        let check: CheckConfig = Arc::new(|config: &Config| {
            let crowded = config.queues.iter().filter(|(_, q)| q.concurrency > 10);
            crowded
                .map(|(name, _)| format!("{name} is too much"))
                .collect()
        });
        Judge::new(Arc::from([]), Some(check))
    }

    fn slots(queue: &str, slots: u32) -> Override {
        Override {
            key: format!("queues.{queue}.concurrency"),
            value: json!(slots),
            author: "ada".to_owned(),
            reason: None,
            created_at: DateTime::UNIX_EPOCH,
            until: DateTime::UNIX_EPOCH,
        }
    }

    const TEXT: &str = "[queues.sync]\nconcurrency = 2\n[queues.email]\nconcurrency = 2\n";

    #[test]
    fn a_text_is_refused_with_where_it_comes_from_and_all_that_is_said_against_it() {
        let refused = |text: &str| judge().admit("revision 7", text, &[]).err();

        let wrong = refused("[queues.sync]\nconcurency = 2\n").expect("it is wrong");
        let unsuitable = TEXT.replace('2', "11");

        assert!(
            wrong[0].starts_with("revision 7:2:1: unknown key"),
            "{wrong:?}"
        );
        let told = [
            "revision 7: email is too much",
            "revision 7: sync is too much",
        ];
        assert_eq!(refused(&unsuitable), Some(told.map(str::to_owned).to_vec()));
        assert_eq!(refused(TEXT), None);
    }

    #[test]
    fn an_override_that_the_process_cannot_run_with_is_left_out_and_the_others_hold() {
        let overrides = [slots("sync", 11), slots("email", 3), slots("emale", 3)];

        let layered = judge().admit("revision 7", TEXT, &overrides);

        let layered = layered.expect("the text is right");
        let held = |name: &str| layered.config.queues[name].concurrency;
        assert_eq!((held("sync"), held("email")), (2, 3));
        assert_eq!(layered.overrides, [slots("email", 3)]);
        let mut ignored: Vec<_> = layered
            .ignored
            .iter()
            .map(|ignored| ignored.setting.key.as_str())
            .collect();
        ignored.sort_unstable();
        assert_eq!(
            ignored,
            ["queues.emale.concurrency", "queues.sync.concurrency"]
        );
    }
}
