//! Each rule of the file, broken once, and what is told about it.

use super::refused;

/// Reads each text and compares all that is told about it.
fn assert_refused(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(refused(text), [*expected], "{text}");
    }
}

#[test]
fn values_of_another_type_are_refused_with_an_example() {
    assert_refused(&[
        (
            "[defaults]\ntimeout = 30",
            "2:11: timeout in [defaults]: expected a duration in words such as \"30s\", \"5m\" or \"1h30m\", found an integer",
        ),
        (
            "[http]\nmax_body = true",
            "2:12: max_body in [http]: expected a size such as \"1MiB\", \"512KiB\" or a number of bytes, found a boolean",
        ),
        (
            "[http]\nrate_per_key = 5",
            "2:16: rate_per_key in [http]: expected a rate such as \"20/s\", \"500/m\", \"100/h\" or \"15000/d\", found an integer",
        ),
        (
            "[kinds.\"email.send\"]\nencrypt = \"yes\"",
            "2:11: encrypt in [kinds.\"email.send\"]: expected true or false, found a string",
        ),
        (
            "[email]\nfrom = 2026-01-31",
            "2:8: from in [email]: expected a mailbox such as \"Millpond <jobs@example.com>\", found a date or time",
        ),
        (
            "[dead_letters.replay]\ncanary_success = \"all\"",
            "2:18: canary_success in [dead_letters.replay]: expected a number (0 to 1), found a string",
        ),
        ("http = 1.5", "1:8: [http]: expected a table, found a float"),
        (
            "[[queues]]",
            "1:1: [queues]: expected a table, found an array",
        ),
        (
            "[kinds.\"email.send\"]\nredact = \"a\"",
            "2:10: redact in [kinds.\"email.send\"]: expected a list in [ ], found a string",
        ),
        (
            "[defaults]\nbackoff = \"5s\"",
            "2:11: backoff in [defaults]: expected a table such as { strategy = \"fixed\", base = \"30s\" }, found a string",
        ),
    ]);
}

#[test]
fn values_out_of_bounds_are_refused_with_the_bounds() {
    assert_refused(&[
        ("version = 2", "1:11: version: must be 1"),
        (
            "[http]\nmax_batch = 10001",
            "2:13: max_batch in [http]: must be 1 to 10000",
        ),
        (
            "[http]\nmax_batch = 99999999999999999999",
            "2:13: max_batch in [http]: must be 1 to 10000",
        ),
        (
            "[http]\nmax_body = \"65MiB\"",
            "2:12: max_body in [http]: must be 1KiB to 64MiB",
        ),
        (
            "[http]\nmax_body = -1",
            "2:12: max_body in [http]: must be 1KiB to 64MiB",
        ),
        (
            "[lease]\nttl = \"999ms\"",
            "2:7: ttl in [lease]: must be 1s to 1h",
        ),
        (
            "[defaults]\ntimeout = \"25h\"",
            "2:11: timeout in [defaults]: must be 1s to 24h",
        ),
        (
            "[defaults]\npriority = 10",
            "2:12: priority in [defaults]: must be 0 to 9",
        ),
        (
            "[dead_letters.replay]\ncanary_success = nan",
            "2:18: canary_success in [dead_letters.replay]: must be 0 to 1",
        ),
        (
            "[dead_letters.replay]\nrate = \"0/s\"",
            "2:8: rate in [dead_letters.replay]: expected a rate such as \"20/s\", \"500/m\", \"100/h\" or \"15000/d\" (1 to 1000000)",
        ),
    ]);
}

#[test]
fn words_that_are_not_understood_are_refused() {
    assert_refused(&[
        (
            "[defaults]\ntimeout = \"5min\"",
            "2:11: timeout in [defaults]: expected a duration in words such as \"30s\", \"5m\" or \"1h30m\" (units: d, h, m, s, ms)",
        ),
        (
            "[http]\nmax_body = \"1 MiB\"",
            "2:12: max_body in [http]: expected a size such as \"1MiB\", \"512KiB\" or a number of bytes",
        ),
        (
            "[queues.sync]\nfair_by = \"tennant\"",
            "2:11: fair_by in [queues.sync]: must be \"tenant\"; did you mean \"tenant\"?",
        ),
        (
            "[email]\nfrom = \"a@example.com\\r\\nBcc: b@example.com\"",
            "2:8: from in [email]: must be one line without control characters",
        ),
        (
            "[kpis]\ncost = \" \"",
            "2:8: cost in [kpis]: must not be empty",
        ),
        (
            "[kpis]\ncost = \"spent / 2\"",
            "2:8: cost in [kpis]: \"spent\" is no figure that may be added up; did you mean \"spend\"?",
        ),
        (
            "[kpis]\ncost = \"spend / 0\"",
            "2:8: cost in [kpis]: divides by zero",
        ),
    ]);
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    assert_refused(&[
        (
            "[htp]",
            "1:2: unknown key \"htp\" at the top level; did you mean \"http\"?",
        ),
        ("zebra = 1", "1:1: unknown key \"zebra\" at the top level"),
        (
            "[kinds.\"sync.acount\"]\ntimeout = \"5m\"",
            "1:1: unknown kind \"sync.acount\": a kind of your own needs a target = \"https://…\"; did you mean \"sync.account\"?",
        ),
        (
            "[kinds.\"email.send\".on]\nrate_limitd = { action = \"dead\" }",
            "2:1: unknown key \"rate_limitd\" in [kinds.\"email.send\".on]; did you mean \"rate_limited\"?",
        ),
        (
            "[kinds.\"email.send\"]\nbudget = \"metta\"",
            "2:10: budget in [kinds.\"email.send\"]: unknown budget \"metta\"; did you mean \"meta\"?",
        ),
        (
            "[budgets.metta]\ndaily = 5",
            "1:1: unknown budget \"metta\": it is no provider's, and no kind names it; did you mean \"meta\"?",
        ),
        (
            "[slo.fresh]\nkind = \"sync.acount\"\nwithin = \"1h\"\ntarget = 0.9",
            "2:8: kind in [slo.fresh]: must be one of \"sync.account\", \"sync.insights\"; did you mean \"sync.account\"?",
        ),
        (
            "[slo.fresh]\nkind = \"sync.account\"\nbudget = \"metta\"\nwithin = \"1h\"\ntarget = 0.9",
            "3:10: budget in [slo.fresh]: unknown provider's budget \"metta\"; did you mean \"meta\"?",
        ),
        (
            "[slo.fresh]\nkind = \"sync.account\"\nwithn = \"2h\"\nwithin = \"1h\"\ntarget = 0.9",
            "3:1: unknown key \"withn\" in [slo.fresh]; did you mean \"within\"?",
        ),
    ]);
}

#[test]
fn names_are_spelt_in_one_way() {
    assert_refused(&[
        (
            "[queues.Sync]",
            "1:9: \"Sync\" is no name for an entry of [queues]: a letter, then letters, digits, \"_\" and \"-\", all lower case, at most 60",
        ),
        (
            "[kinds.billing]\ntarget = \"https://example.com/\"",
            "1:8: \"billing\" is no name for an entry of [kinds]: \"family.action\" in lower-case letters, digits and \"_\", at most 100 characters, in quotes",
        ),
        (
            "[kinds.\"email.send\"]\naccount = \"data.account_id\"",
            "2:11: account in [kinds.\"email.send\"]: a field below the top level is named by JSON Pointer; did you mean \"/data/account_id\"?",
        ),
        (
            "[kpis]\ncpc = \"spend / link_clicks\"",
            "2:1: \"cpc\" is no name for an entry of [kpis]: a letter, then letters, digits and \"_\", all lower case, at most 60, and no name that metrics have already",
        ),
    ]);
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    assert_refused(&[
        (
            "[lease]\nttl = \"30s\"\nrenew_every = \"11s\"",
            "3:15: renew_every in [lease]: must be at most a third of ttl (10s), so that two renewals may fail",
        ),
        (
            "[kinds.\"email.send\"]\ntarget = \"https://example.com/\"",
            "2:10: target in [kinds.\"email.send\"]: a built-in kind does its work itself",
        ),
        (
            "[kinds.\"email.send\"]\nsecret_env = \"SECRET\"",
            "2:14: secret_env in [kinds.\"email.send\"]: has a meaning with target alone",
        ),
        (
            "[kinds.\"email.send\"]\nper_key_concurrency = 1",
            "2:23: per_key_concurrency in [kinds.\"email.send\"]: needs key, the field that groups jobs",
        ),
        (
            "[kinds.\"email.send\".on]\ninvalid = { action = \"dead\", max = \"5m\" }",
            "2:36: max in [kinds.\"email.send\".on.invalid]: has a meaning with action = \"wait\" alone",
        ),
        (
            "[defaults]\nbackoff = { strategy = \"fixed\", factor = 2 }",
            "2:42: factor in [defaults.backoff]: has no meaning with this strategy",
        ),
        (
            "[defaults]\nbackoff = { delays = [\"5s\"], base = \"5s\" }",
            "2:37: base in [defaults.backoff]: has no meaning beside delays",
        ),
        (
            "[budgets.meta]\nslow_down_at = 0.9\nstop_at = 0.8",
            "2:16: slow_down_at in [budgets.meta]: must be at most stop_at (0.8)",
        ),
    ]);
}

#[test]
fn what_a_section_needs_must_be_there() {
    assert_refused(&[
        (
            "[schedules.s]\nkind = \"token.check\"",
            "1:1: [schedules.s] needs the key \"cron\"",
        ),
        (
            "[slo.s]\nkind = \"sync.account\"\nwithin = \"1h\"",
            "1:1: [slo.s] needs the key \"target\"",
        ),
        (
            "[kinds.\"email.send\".on]\ninvalid = {}",
            "2:11: [kinds.\"email.send\".on.invalid] needs the key \"action\"",
        ),
    ]);
}

#[test]
fn a_unique_job_holds_its_key_in_every_state_in_which_it_waits() {
    assert_refused(&[
        (
            "[kinds.\"email.send\"]\nunique = { fields = [\"to\"], while = [\"scheduled\", \"running\"] }",
            "2:37: while in [kinds.\"email.send\".unique]: lacks ready, retrying: a job in such a state could not take its key back",
        ),
        (
            "[kinds.\"email.send\"]\nunique = { fields = [\"to\"], while = [\"dead\"] }",
            "2:38: while in [kinds.\"email.send\".unique]: must be one of \"scheduled\", \"ready\", \"running\", \"retrying\"",
        ),
        (
            "[kinds.\"email.send\"]\nunique = { while = [\"scheduled\", \"ready\", \"retrying\"] }",
            "2:10: [kinds.\"email.send\".unique] needs the key \"fields\"",
        ),
        (
            "[kinds.\"email.send\"]\nunique = { fields = [] }",
            "2:21: fields in [kinds.\"email.send\".unique]: must have 1 to 16 entries",
        ),
    ]);
}

#[test]
fn a_target_is_https_or_on_this_machine() {
    assert_refused(&[
        (
            "[kinds.\"a.b\"]\ntarget = \"http://app.example.com/\"",
            "2:10: target in [kinds.\"a.b\"]: must be https; plain http is for loopback addresses alone; did you mean \"https://app.example.com/\"?",
        ),
        (
            "[kinds.\"a.b\"]\ntarget = \"https://user:pw@app.example.com/\"",
            "2:10: target in [kinds.\"a.b\"]: must not contain a user name or password",
        ),
    ]);
}
