//! Everything wrong is told at once, in the order of the file.

use super::{accepted, refused, shown};
use crate::config::Config;

#[test]
fn problems_of_all_sections_are_told_together() {
    let text = r#"
[http]
max_batch = "many"
max_bdy = "1MiB"

[queues.sync]
  concurency = 3
  concurrency = 0

[kinds."email.send"]
queue = "emial"
backoff = { base = "3h", jitter = "some" }

[schedules.nightly]
cron = "0 25 * * *"
timezone = "Europe/Berln"
"#;

    let problems = refused(text);

    assert_eq!(
        problems,
        [
            "3:13: max_batch in [http]: expected a whole number (1 to 10000), found a string",
            "4:1: unknown key \"max_bdy\" in [http]; did you mean \"max_body\"?",
            "7:3: unknown key \"concurency\" in [queues.sync]; did you mean \"concurrency\"?",
            "8:17: concurrency in [queues.sync]: must be 1 to 10000",
            "11:9: queue in [kinds.\"email.send\"]: unknown queue \"emial\"; did you mean \"email\"?",
            "12:20: base in [kinds.\"email.send\".backoff]: must be at most max (2h)",
            "12:35: jitter in [kinds.\"email.send\".backoff]: must be one of \"none\", \"full\", \"late\"",
            "14:1: [schedules.nightly] needs the key \"kind\"",
            "15:8: cron in [schedules.nightly]: \"25\" is no hour (0 to 23)",
            "16:12: timezone in [schedules.nightly]: unknown time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?",
        ]
    );
}

#[test]
fn every_entry_of_a_list_is_checked() {
    let text = "[kinds.\"email.send\"]\nredact = [\"a.b\", \"ok\", 3]\n";

    let problems = refused(text);

    assert_eq!(
        problems,
        [
            "2:11: redact in [kinds.\"email.send\"]: a field below the top level is named by JSON Pointer; did you mean \"/a/b\"?",
            "2:24: redact in [kinds.\"email.send\"]: expected a payload field such as \"account_id\" or \"/event/event_time\", found an integer",
        ]
    );
}

#[test]
fn columns_count_characters_not_bytes() {
    let text = "[kinds.\"email.send\"]\nredact = [\"/ü\", \"a.b\"]\n";

    let problems = refused(text);

    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("2:17: redact in "), "{problems:?}");
}

#[test]
fn keys_without_effect_are_warnings_at_their_place() {
    let text = r#"
[queues.sync]
global_concurrency = 32
rate = "20/s"
fair_by = "tenant"
max_ready = 10

[kinds."sync.account"]
key = "account_id"
per_key_concurrency = 1
budget = "meta"
encrypt = false

[budgets.meta]
rate = "10/s"

[schedules.nightly]
kind = "token.check"
cron = "0 9 * * *"

[kpis]
cost = "spend"

[slo.fresh]
kind = "sync.account"
within = "1h"
target = 0.99

[dead_letters.replay]
canary = 9
"#;

    let warnings = shown(&accepted(text).warnings);

    let later = "has no effect yet in this release";
    assert_eq!(
        warnings,
        [
            format!("8:1: [kinds.\"sync.account\"] {later}"),
            format!("17:1: [schedules.nightly] {later}"),
            format!("29:15: [dead_letters.replay] {later}"),
        ]
    );
}

#[test]
fn a_kind_of_a_later_release_is_taken_with_a_warning_until_it_is_registered() {
    let text = "[kinds.\"sync.account\"]\ntimeout = \"5m\"\n";

    let now = Config::parse(text, &["email.send"]).expect("the text is right");
    let later = Config::parse(text, &["sync.account"]).expect("the text is right");

    assert_eq!(
        shown(&now.warnings),
        ["1:1: [kinds.\"sync.account\"] has no effect yet in this release"]
    );
    assert!(later.warnings.is_empty(), "{:?}", later.warnings);
}

#[test]
fn a_kind_that_is_registered_needs_no_other_list() {
    let text = "[kinds.\"demo.work\"]\nmax_attempts = 3\n";

    let known = Config::parse(text, &["demo.work"]).expect("the kind is registered");
    let unknown = Config::parse(text, &[]).expect_err("nobody knows the kind");
    let without_section = Config::parse("", &["sync.orders"]).expect("nothing can be wrong");

    assert_eq!(known.config.policy("demo.work").max_attempts, 3);
    assert!(known.warnings.is_empty(), "{:?}", known.warnings);
    assert!(unknown[0].message.starts_with("unknown kind \"demo.work\""));
    assert_eq!(without_section.config.policy("sync.orders").queue, "sync");
}
