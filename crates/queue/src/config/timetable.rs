//! The schedules that are there without being named in a file, in UTC. Those whose kinds this release has no handler for
//! make no ticks until a release has.

use serde_json::{Value, json};

/// A schedule that is built in; what it leaves out holds as for any other.
#[derive(Debug, Clone, Copy)]
pub(super) struct BuiltIn {
    name: &'static str,
    pub(super) kind: &'static str,
    pub(super) cron: &'static str,
    /// The one member of its payload, if it has one.
    member: Option<(&'static str, &'static str)>,
}

const SCHEDULES: [BuiltIn; 16] = [
    BuiltIn {
        name: "aggregate-cross-platform",
        kind: "aggregate.cross_platform",
        cron: "10 * * * *",
        member: None,
    },
    BuiltIn {
        name: "aggregate-daily",
        kind: "aggregate.daily",
        cron: "5 * * * *",
        member: None,
    },
    BuiltIn {
        name: "aggregate-monthly",
        kind: "aggregate.monthly",
        cron: "0 2 * * *",
        member: None,
    },
    BuiltIn {
        name: "email-digest",
        kind: "email.digest",
        cron: "0 8 * * 1",
        member: None,
    },
    BuiltIn {
        name: "email-sync-errors",
        kind: "email.sync_errors",
        cron: "30 8 * * *",
        member: None,
    },
    BuiltIn {
        name: "alert-evaluate",
        kind: "alert.evaluate",
        cron: "*/15 * * * *",
        member: None,
    },
    BuiltIn {
        name: "maintenance-cache",
        kind: "maintenance.cache",
        cron: "0 */6 * * *",
        member: None,
    },
    BuiltIn {
        name: "maintenance-limits",
        kind: "maintenance.limits",
        cron: "0 3 * * *",
        member: None,
    },
    BuiltIn {
        name: "maintenance-retention",
        kind: "maintenance.retention",
        cron: "20 * * * *",
        member: None,
    },
    BuiltIn {
        name: "strategy-evaluate",
        kind: "strategy.evaluate",
        cron: "30 * * * *",
        member: None,
    },
    BuiltIn {
        name: "sync-full",
        kind: "sync.fanout",
        cron: "0 1 * * *",
        member: Some(("mode", "full")),
    },
    BuiltIn {
        name: "sync-incremental",
        kind: "sync.fanout",
        cron: "0 * * * *",
        member: Some(("mode", "incremental")),
    },
    BuiltIn {
        name: "token-check",
        kind: "token.check",
        cron: "0 9 * * *",
        member: Some(("warn_within", "7d")),
    },
    BuiltIn {
        name: "token-expire",
        kind: "token.expire",
        cron: "0 * * * *",
        member: None,
    },
    BuiltIn {
        name: "webhook-catch-up",
        kind: "webhook.catch_up",
        cron: "40 4 * * *",
        member: None,
    },
    // What happened is told within seconds.
    BuiltIn {
        name: "webhook-fanout",
        kind: "webhook.fanout",
        cron: "*/10 * * * * *",
        member: None,
    },
];

impl BuiltIn {
    /// The names of all of them.
    pub(super) fn names() -> [&'static str; SCHEDULES.len()] {
        SCHEDULES.map(|schedule| schedule.name)
    }

    /// The one of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        SCHEDULES.into_iter().find(|schedule| schedule.name == name)
    }

    /// The payload of its jobs.
    pub(super) fn payload(self) -> Value {
        match self.member {
            Some((name, value)) => json!({ name: value }),
            None => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_built_in_schedule_holds_without_a_file_and_ticks_in_utc() {
        let config = Config::builtin();

        for name in BuiltIn::names() {
            let schedule = &config.schedules[name];
            let tick = schedule.next_tick(chrono::DateTime::UNIX_EPOCH);

            assert_eq!(schedule.timezone, chrono_tz::Tz::UTC, "{name}");
            assert!(tick.is_some(), "{name}");
        }
    }

    #[test]
    fn what_a_section_leaves_out_stays_as_it_is_built_in() {
        let text = "[schedules.token-check]\ncron = \"0 7 * * 1\"\n";

        let config = Config::parse(text, &[]).expect("the schedule is right");

        let schedule = &config.config.schedules["token-check"];
        assert_eq!(
            (&*schedule.kind, &*schedule.cron),
            ("token.check", "0 7 * * 1")
        );
        assert_eq!(schedule.payload, json!({"warn_within": "7d"}));
    }

    #[test]
    fn the_schema_asks_of_a_built_in_schedule_for_nothing() {
        let validator =
            jsonschema::validator_for(&crate::config::json_schema()).expect("the schema is right");

        assert!(validator.is_valid(&json!({"schedules": {"token-check": {"cron": "0 7 * * 1"}}})));
        assert!(!validator.is_valid(&json!({"schedules": {"other": {"cron": "0 7 * * 1"}}})));
        assert!(!validator.is_valid(&json!({"schedules": {"token-check": {"corn": "x"}}})));
    }
}
