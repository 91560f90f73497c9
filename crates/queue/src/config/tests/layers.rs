//! Built-in, `[defaults]`, queue, kind: the last one that speaks is heard.

use std::{sync::Arc, time::Duration};

use super::accepted;
use crate::{
    config::{Action, Backoff, BudgetScope, Config, Feedback, Jitter, Rate, default_queue},
    job::{ErrorClass, JobState, OnConflict},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn without_a_file_the_documented_defaults_hold() {
    let config = Config::builtin();

    let policy = config.policy("email.send");
    assert_eq!(config.http.max_body_bytes, 1_048_576);
    assert_eq!(config.http.max_batch, 1_000);
    assert_eq!(config.http.idempotency_ttl, 24 * HOUR);
    assert_eq!(config.http.rate_per_key, None);
    assert_eq!(config.lease.ttl, 60 * SECOND);
    assert_eq!(config.lease.renew_every, 20 * SECOND);
    assert_eq!(config.lease.max_lost, 3);
    assert_eq!(config.lease.lost_window, 72 * HOUR);
    assert_eq!(config.worker.drain, 30 * SECOND);
    assert_eq!(config.email.from, None);
    assert_eq!(config.dead_letters.retain, 90 * 24 * HOUR);
    assert_eq!(config.dead_letters.replay.canary, 5);
    assert_eq!(config.dead_letters.replay.rate.to_string(), "10/s");
    assert_eq!((policy.priority, policy.max_attempts), (5, 8));
    assert_eq!(policy.timeout, 900 * SECOND);
    assert_eq!(policy.retain_succeeded, 24 * HOUR);
    assert_eq!(
        policy.backoff,
        Backoff::Exponential {
            base: 15 * SECOND,
            factor: 3.0,
            max: 2 * HOUR,
            jitter: Jitter::Full,
        }
    );
}

#[test]
fn every_built_in_queue_is_there_with_ten_slots() {
    let config = Config::builtin();

    let slots: Vec<(&str, u32)> = config
        .queues
        .iter()
        .map(|(name, queue)| (name.as_str(), queue.concurrency))
        .collect();

    let names = [
        "aggregate",
        "campaign",
        "conversions",
        "default",
        "email",
        "http",
        "maintenance",
        "sync",
        "token",
        "webhook",
    ];
    assert_eq!(slots, names.map(|name| (name, 10)));
}

#[test]
fn the_nearest_layer_that_speaks_holds() {
    let config = accepted(
        r#"
[defaults]
priority = 1
timeout = "1m"
max_attempts = 2

[queues.email]
timeout = "2m"
max_attempts = 3

[kinds."email.send"]
max_attempts = 4
"#,
    )
    .config;

    let email = config.policy("email.send");
    let sync = config.policy("sync.account");
    assert_eq!((email.priority, email.max_attempts), (1, 4));
    assert_eq!(email.timeout, 120 * SECOND);
    assert_eq!((sync.priority, sync.max_attempts), (1, 2));
    assert_eq!(sync.timeout, 60 * SECOND);
    assert_eq!(config.queues["email"].defaults.max_attempts, 3);
}

#[test]
fn a_kind_builds_on_the_queue_it_is_put_into() {
    let text = "[queues.slow]\ntimeout = \"3h\"\n[kinds.\"email.send\"]\nqueue = \"slow\"\n";

    let policy = accepted(text).config.policy("email.send");

    assert_eq!(policy.queue, "slow");
    assert_eq!(policy.timeout, 3 * HOUR);
}

#[test]
fn a_backoff_replaces_the_one_below_as_a_whole() {
    let text = "[defaults]\nbackoff = { strategy = \"fixed\", base = \"5s\" }\n\
                [kinds.\"email.send\"]\nbackoff = { delays = [\"1s\", \"1m\"] }\n";

    let config = accepted(text).config;

    assert_eq!(
        config.policy("sync.account").backoff,
        Backoff::Fixed {
            delay: 5 * SECOND,
            jitter: Jitter::Full,
        }
    );
    assert_eq!(
        config.policy("email.send").backoff,
        Backoff::Delays {
            delays: vec![SECOND, 60 * SECOND],
            jitter: Jitter::None,
        }
    );
}

#[test]
fn an_undeclared_kind_gets_the_defaults_on_the_default_queue() {
    let text = "[defaults]\nmax_attempts = 2\n[queues.default]\ntimeout = \"1m\"\n";

    let policy = accepted(text).config.policy("nobody.knows");

    assert_eq!(policy.queue, "default");
    assert_eq!((policy.max_attempts, policy.timeout), (2, 60 * SECOND));
    assert_eq!(policy.target, None);
}

#[test]
fn policies_are_shared_and_not_made_on_each_call() {
    let config = Config::builtin();

    let (first, second) = (config.policy("email.send"), config.policy("email.send"));

    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn each_class_leads_where_the_interface_says() {
    let policy = Config::builtin().policy("sync.account");

    let on = &policy.on;
    let wait = Action::Wait { max: 2 * HOUR };
    for class in [
        ErrorClass::Transient,
        ErrorClass::Timeout,
        ErrorClass::Panic,
        ErrorClass::Lost,
        ErrorClass::Internal,
    ] {
        assert_eq!(on.action(class), Action::Retry, "{class}");
    }
    for class in [
        ErrorClass::Permission,
        ErrorClass::Invalid,
        ErrorClass::TooLarge,
    ] {
        assert_eq!(on.action(class), Action::Dead, "{class}");
    }
    assert_eq!(on.action(ErrorClass::RateLimited), wait);
    assert_eq!(on.action(ErrorClass::Config), wait);
    assert_eq!(on.action(ErrorClass::AuthExpired), Action::HoldAccount);
}

#[test]
fn a_class_can_lead_elsewhere_for_one_kind() {
    let text = "[kinds.\"sync.account\".on]\ninvalid = { action = \"retry\" }\n\
                rate_limited = { action = \"wait\", max = \"5m\" }\n";

    let config = accepted(text).config;

    let policy = config.policy("sync.account");
    let on = &policy.on;
    assert_eq!(on.action(ErrorClass::Invalid), Action::Retry);
    assert_eq!(
        on.action(ErrorClass::RateLimited),
        Action::Wait { max: 300 * SECOND }
    );
    assert_eq!(on.action(ErrorClass::Permission), Action::Dead);
    assert_eq!(
        config.policy("email.send").on.action(ErrorClass::Invalid),
        Action::Dead
    );
}

#[test]
fn an_upstream_kind_has_its_target_and_pauses_nobody() {
    let text = "[kinds.\"billing.close_month\"]\ntarget = \"https://app.example.com/close\"\n\
                secret_env = \"BILLING_HOOK_SECRET\"\n";

    let config = accepted(text).config;

    let targets: Vec<_> = config.target_kinds().collect();
    assert_eq!(targets.len(), 1);
    assert_eq!(targets[0].0, "billing.close_month");
    assert_eq!(targets[0].1.url, "https://app.example.com/close");
    assert_eq!(
        targets[0].1.secret_env.as_deref(),
        Some("BILLING_HOOK_SECRET")
    );
    for kind in ["billing.close_month", "http.request"] {
        let action = config.policy(kind).on.action(ErrorClass::Config);
        assert_eq!(action, Action::Retry, "{kind}");
    }
    assert_eq!(
        config.policy("billing.close_month").queue,
        default_queue("billing.close_month")
    );
}

#[test]
fn conversions_are_grouped_by_data_set_and_keep_people_hidden() {
    let text =
        "[kinds.\"conversion.send\"]\nredact = [\"/event/user_data\", \"/event/custom_data\"]\n";

    let built_in = Config::builtin().policy("conversion.send");
    let policy = accepted(text).config.policy("conversion.send");

    assert_eq!(built_in.key.as_deref(), Some("/dataset_id"));
    assert_eq!(built_in.account.as_deref(), Some("account_id"));
    assert_eq!(built_in.redact, ["/event/user_data", "/events"]);
    assert_eq!(
        policy.redact,
        ["/event/user_data", "/events", "/event/custom_data"]
    );
}

#[test]
fn headers_of_requests_are_hidden_whatever_the_file_says() {
    let text = "[kinds.\"http.request\"]\nredact = [\"url\"]\n";

    let built_in = Config::builtin().policy("http.request");
    let policy = accepted(text).config.policy("http.request");

    assert_eq!(built_in.redact, ["/headers"]);
    assert_eq!(policy.redact, ["/headers", "url"]);
}

#[test]
fn a_unique_rule_holds_while_a_job_is_to_be_done_unless_told_otherwise() {
    let text = "[kinds.\"sync.account\"]\nunique = { fields = [\"account_id\", \"/a/b\"] }\n\
                [kinds.\"sync.watch\"]\nunique = { fields = [\"a\"], on_conflict = \"one_behind\", \
                while = [\"scheduled\", \"ready\", \"retrying\"] }\n";

    let config = accepted(text).config;

    let account = config
        .policy("sync.account")
        .unique
        .clone()
        .expect("the file has one");
    let watch = config
        .policy("sync.watch")
        .unique
        .clone()
        .expect("the file has one");
    assert_eq!(account.fields, ["account_id", "/a/b"]);
    assert_eq!(
        account.states,
        [
            JobState::Scheduled,
            JobState::Ready,
            JobState::Running,
            JobState::Retrying
        ]
    );
    assert_eq!(account.on_conflict, OnConflict::Keep);
    assert!(!watch.states.contains(&JobState::Running));
    assert_eq!(watch.on_conflict, OnConflict::OneBehind);
}

#[test]
fn work_that_a_second_job_would_only_repeat_is_unique_without_a_file() {
    let config = Config::builtin();
    let fields = |kind: &str| {
        config
            .policy(kind)
            .unique
            .as_ref()
            .map(|it| it.fields.clone())
    };

    assert_eq!(fields("token.refresh"), Some(vec!["account_id".to_owned()]));
    assert_eq!(
        fields("sync.account"),
        Some(vec!["account_id".to_owned(), "mode".to_owned()])
    );
    assert_eq!(fields("sync.insights").map(|fields| fields.len()), Some(5));
    assert_eq!(fields("email.send"), None);
}

#[test]
fn leases_are_renewed_three_times_within_their_life_unless_told_otherwise() {
    let lease = accepted("[lease]\nttl = \"2s\"\n").config.lease;

    assert_eq!(lease.renew_every, Duration::from_millis(666));
}

#[test]
fn a_rate_per_key_is_taken_over() {
    let config = accepted("[http]\nrate_per_key = \"500/m\"\n").config;

    let expected = Rate {
        count: 500,
        per: 60 * SECOND,
    };
    assert_eq!(config.http.rate_per_key, Some(expected));
}

#[test]
fn the_providers_quotas_hold_without_a_file() {
    let budgets = Config::builtin().budgets;

    let limits = |name: &str| {
        let budget = &budgets[name];
        let rate = budget.rate.map(|rate| rate.to_string());
        (budget.concurrent, rate, budget.daily, budget.per)
    };
    let rate = |text: &str| Some(text.to_owned());
    let (account, provider) = (BudgetScope::Account, BudgetScope::Provider);
    assert_eq!(limits("meta"), (Some(10), rate("10/s"), None, account));
    assert_eq!(
        limits("google_ads"),
        (Some(5), rate("5/s"), Some(15_000), provider)
    );
    assert_eq!(limits("linkedin"), (Some(5), rate("3/s"), None, provider));
    assert_eq!(limits("tiktok"), (Some(5), rate("8/s"), None, provider));
    assert_eq!(limits("x"), (Some(5), rate("5/s"), None, account));
    let feedback = |name: &str| budgets[name].feedback;
    assert_eq!(feedback("meta"), Some(Feedback::MetaUsage));
    assert_eq!(feedback("x"), Some(Feedback::XLimits));
    for silent in ["google_ads", "linkedin", "tiktok"] {
        assert_eq!(feedback(silent), None, "{silent}");
    }
}

#[test]
fn a_budget_of_ones_own_has_no_limits_but_those_of_the_file() {
    let text = "[budgets.crm]\nrate = \"2/s\"\n[kinds.\"email.send\"]\nbudget = \"crm\"\n";

    let config = accepted(text).config;

    let crm = &config.budgets["crm"];
    assert_eq!(
        (crm.concurrent, crm.daily, crm.feedback),
        (None, None, None)
    );
    assert_eq!(config.kinds["email.send"].budget.as_deref(), Some("crm"));
    assert_eq!(
        config.kinds["conversion.send"].budget, None,
        "its calls draw on the budget of the account's platform"
    );
}

// Fails when a message is given up before the three days that receivers count on, or when what a file says of its queue, or of
// all jobs, does not hold for messages.
#[test]
fn messages_are_sent_again_for_three_days_unless_the_file_says_otherwise() {
    let built_in = Config::builtin().policy("webhook.deliver");
    let of = |text: &str| accepted(text).config.policy("webhook.deliver");

    let shipped = of(
        "[defaults]\nmax_attempts = 8\nbackoff = { strategy = \"exponential\", base = \"15s\", factor = 3.0, \
         max = \"2h\", jitter = \"full\" }\n",
    );
    let fewer = of("[queues.webhook]\nmax_attempts = 2\n");
    let evenly = of("[defaults]\nbackoff = { strategy = \"fixed\", base = \"1s\" }\n");
    let by_kind = of("[queues.webhook]\nmax_attempts = 2\n\
         [kinds.\"webhook.deliver\"]\nmax_attempts = 4\nbackoff = { delays = [\"1s\"], jitter = \"late\" }\n");

    let waits = |random: f64| -> Duration {
        let failures = 1..built_in.max_attempts;
        let waits = failures.map(|count| built_in.backoff.delay(count, random));
        waits.sum()
    };
    let (shortest, longest) = (waits(0.0), waits(1.0));
    assert_eq!(built_in.max_attempts, 10);
    assert_eq!(shortest, 75 * HOUR + (35 * 60 + 5) * SECOND);
    assert_eq!(longest.as_secs_f64().round(), 326_526.0);
    for (policy, attempts) in [(&shipped, 10), (&fewer, 2)] {
        assert_eq!(policy.max_attempts, attempts);
        assert_eq!(policy.backoff, built_in.backoff);
    }
    let (delay, jitter) = (SECOND, Jitter::Full);
    assert_eq!(evenly.max_attempts, 10);
    assert_eq!(evenly.backoff, Backoff::Fixed { delay, jitter });
    let (delays, jitter) = (vec![SECOND], Jitter::Late);
    assert_eq!(by_kind.max_attempts, 4);
    assert_eq!(by_kind.backoff, Backoff::Delays { delays, jitter });
}

// Fails when a slow endpoint takes every place of the queue, or messages to customers hold up the events of platforms.
#[test]
fn messages_to_an_endpoint_leave_room_for_everything_else() {
    let built_in = Config::builtin();
    let set = |text: &str| accepted(text).config.kinds["webhook.deliver"].per_key_concurrency;

    let messages = &built_in.kinds["webhook.deliver"];
    assert_eq!(messages.per_key_concurrency, Some(5));
    assert!(messages.policy.priority > built_in.policy("webhook.process").priority);
    assert!(messages.policy.priority > built_in.policy("webhook.fanout").priority);
    assert_eq!(
        set("[kinds.\"webhook.deliver\"]\nper_key_concurrency = 2\n"),
        Some(2)
    );
}
