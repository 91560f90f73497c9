//! `[kinds."family.action"]`: what holds for jobs of one kind, all layers applied.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use toml::{Spanned, de::DeValue};

use super::{
    backoff::Backoff,
    defaults::{Defaults, Layer},
    field::field,
    names::{Names, default_queue},
    problem::Refusal,
    queues::QueueLayer,
    reaction::ClassActions,
    section::Section,
    shape::{Place, Shape, flag, integer, list, named},
    suggest::closest,
    target::Target,
    unique::{UniqueRule, UniqueShape},
};

/// The queue of kinds that nobody has declared.
const FALLBACK_QUEUE: &str = "default";

/// The field that names a job's account where a kind says nothing else.
const DEFAULT_ACCOUNT: &str = "account_id";

/// Most fields of one kind that are never shown.
const MAX_REDACTED: usize = 100;

/// Whose payloads statements write or read: the database has no keys.
const READ_BY_STATEMENTS: [&str; 4] = [
    "sync.account",
    "sync.insights",
    "webhook.deliver",
    "webhook.process",
];

/// Messages that one endpoint gets at a time: however slow it is, and however many wait for it, others get theirs.
const DELIVERIES_AT_ONCE: u32 = 5;

/// When a message is sent again, as Standard Webhooks advise: for about three days.
const DELIVERY_PLAN: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(14 * 60 * 60),
    Duration::from_secs(20 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// What holds for jobs of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Where its jobs wait.
    pub queue: String,
    /// 0 (first) to 9.
    pub priority: i16,
    /// Longest single attempt.
    pub timeout: Duration,
    /// Attempts before a job is dead.
    pub max_attempts: u32,
    /// How long a job waits after a failed attempt.
    pub backoff: Backoff,
    /// How long succeeded jobs are kept; zero keeps none.
    pub retain_succeeded: Duration,
    /// What a failure of each class leads to.
    pub on: ClassActions,
    /// The payload field that groups jobs; like every field, a name at the top level or a JSON Pointer.
    pub key: Option<String>,
    /// The payload field that names the account a job works for.
    pub account: Option<String>,
    /// At most one job with the same values in some fields.
    pub unique: Option<UniqueRule>,
    /// Payload fields that are never shown.
    pub redact: Vec<String>,
    /// Whether payloads are encrypted at rest.
    pub encrypt: bool,
    /// Whether jobs are refused where there are no keys to encrypt with: the file asks for it by name.
    pub needs_keys: bool,
    /// The endpoint that does the work, for an upstream app's own kinds.
    pub target: Option<Target>,
}

/// A kind and its share of its queue's capacity.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// What holds for its jobs.
    pub policy: Arc<Policy>,
    /// Attempts with the same key that the whole fleet runs at a time; `None`: no limit.
    pub per_key_concurrency: Option<u32>,
    /// The budget that its calls draw on; `None`: that of the account's provider.
    pub budget: Option<String>,
}

/// What kinds are read against: the layers below them and the names they may use.
pub(super) struct Below<'a> {
    pub(super) defaults: &'a Layer,
    pub(super) queues: &'a BTreeMap<String, QueueLayer>,
    pub(super) names: &'a Names<'a>,
}

impl Below<'_> {
    fn layer_of(&self, queue: &str) -> &Layer {
        self.queues
            .get(queue)
            .map_or(self.defaults, |queue| &queue.layer)
    }
}

impl Policy {
    /// What the layers say, and of the rest what holds for a kind that nobody has declared.
    fn plain(queue: String, values: Defaults) -> Self {
        Self {
            queue,
            priority: values.priority,
            timeout: values.timeout,
            max_attempts: values.max_attempts,
            backoff: values.backoff,
            retain_succeeded: values.retain_succeeded,
            on: ClassActions::built_in(),
            key: None,
            account: Some(DEFAULT_ACCOUNT.to_owned()),
            unique: None,
            redact: Vec::new(),
            encrypt: false,
            needs_keys: false,
            target: None,
        }
    }

    /// For kinds that nobody has declared.
    pub(super) fn fallback(below: &Below<'_>) -> Self {
        let values = below.layer_of(FALLBACK_QUEUE).values();
        Self::plain(FALLBACK_QUEUE.to_owned(), values)
    }

    fn read(name: &str, section: &mut Section<'_>, below: &Below<'_>) -> Self {
        let built_in = BuiltIn::of(name);
        let queue = section.key("queue", "Where its jobs wait.").or(
            named("queue", &below.names.queues),
            default_queue(name).to_owned(),
        );
        let layer = built_in.layer(below.layer_of(&queue));
        let values = Layer::read(section, &layer).values();
        let target = Target::read(section);
        let actions = if built_in.calls_endpoint || target.is_some() {
            ClassActions::of_endpoint()
        } else {
            ClassActions::built_in()
        };

        let policy = Self {
            on: section
                .key("on", "What a failure of each class leads to.")
                .table(|section| ClassActions::read(section, &actions)),
            key: built_in.read_key(section),
            account: Some(
                section
                    .key(
                        "account",
                        "The payload field that names the account a job works for.",
                    )
                    .or(field(), DEFAULT_ACCOUNT.to_owned()),
            ),
            unique: built_in.read_unique(section),
            redact: section
                .key(
                    "redact",
                    "Payload fields that are never shown, beside the built-in ones.",
                )
                .or(Redacted(built_in.redact), owned(built_in.redact)),
            encrypt: section
                .key("encrypt", "Whether payloads are encrypted at rest.")
                .or(flag(), built_in.holds_people),
            target,
            ..Self::plain(queue, values)
        };
        if policy.encrypt && READ_BY_STATEMENTS.contains(&name) {
            section.refuse(
                "encrypt",
                "payloads of this kind name rows and no people, and the database reads them itself",
            );
        }
        Self {
            needs_keys: policy.encrypt && section.has("encrypt"),
            ..policy
        }
    }
}

impl Kind {
    /// Whether a claim has more to look at than the job itself: what else runs with its key, or what is left of a budget.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.per_key_concurrency.is_some() || self.budget.is_some()
    }

    pub(super) fn read(name: &str, section: &mut Section<'_>, below: &Below<'_>) -> Self {
        refuse_unknown(name, section, below.names);
        warn_of_later(name, section, below.names);
        let policy = Policy::read(name, section, below);
        let built_in = BuiltIn::of(name);
        let per_key_concurrency = built_in.read_per_key(section);
        let budget = built_in.read_budget(section, below.names);

        let has_key =
            policy.key.is_some() || section.has("key") || built_in.per_key_concurrency.is_some();
        if per_key_concurrency.is_some() && !has_key {
            section.refuse(
                "per_key_concurrency",
                "needs key, the field that groups jobs",
            );
        }
        Self {
            policy: Arc::new(policy),
            per_key_concurrency,
            budget,
        }
    }
}

/// A kind is Millpond's own, or an upstream app does its work at an endpoint of its own.
fn refuse_unknown(name: &str, section: &mut Section<'_>, names: &Names<'_>) {
    match (names.built_in.contains(&name), section.has("target")) {
        (true, true) => section.refuse("target", "a built-in kind does its work itself"),
        (false, false) => {
            let refusal = Refusal::new(format!(
                "unknown kind {name:?}: a kind of your own needs a target = \"https://…\""
            ));
            section.refuse_whole(refusal.suggesting(closest(name, names.kinds.iter().copied())));
        }
        (true, false) | (false, true) => {}
    }
}

/// A section for a kind of a later release is taken already, and changes nothing.
fn warn_of_later(name: &str, section: &mut Section<'_>, names: &Names<'_>) {
    let comes_later = names.built_in.contains(&name) && !names.registered.contains(&name);
    if comes_later && section.is_given() {
        section.warn_of_no_effect();
    }
}

/// What Millpond says of a kind beside its queue.
struct BuiltIn {
    calls_endpoint: bool,
    key: Option<&'static str>,
    /// Of jobs that bear keys without a field that says so, the attempts with one key at a time.
    per_key_concurrency: Option<u32>,
    budget: Option<&'static str>,
    redact: &'static [&'static str],
    /// Its payloads hold personal data, which is encrypted wherever there are keys.
    holds_people: bool,
    /// The fields of which no two jobs that are not done have the same values; empty: any may.
    unique: &'static [&'static str],
    /// The waits between its attempts, of which it has one more; empty: those of its queue.
    plan: &'static [Duration],
}

impl BuiltIn {
    const NOTHING: Self = Self {
        calls_endpoint: false,
        key: None,
        per_key_concurrency: None,
        budget: None,
        redact: &[],
        holds_people: false,
        unique: &[],
        plan: &[],
    };

    fn of(name: &str) -> Self {
        match name {
            "conversion.send" => Self {
                key: Some("/dataset_id"),
                redact: &["/event/user_data", "/events"],
                holds_people: true,
                ..Self::NOTHING
            },
            // An upstream app's Authorization and its like stand there.
            "http.request" => Self {
                calls_endpoint: true,
                redact: &["/headers"],
                ..Self::NOTHING
            },
            // Their key is the endpoint.
            "webhook.deliver" => Self {
                per_key_concurrency: Some(DELIVERIES_AT_ONCE),
                unique: &["delivery_id"],
                plan: &DELIVERY_PLAN,
                ..Self::NOTHING
            },
            // What one of them finds another one would find too.
            "token.refresh" | "token.validate" | "webhook.catch_up" => Self {
                unique: &["account_id"],
                ..Self::NOTHING
            },
            // Not one an account: a new watch is not followed by the job of one that is just ending.
            "sync.watch" => Self {
                unique: &["account_id", "watch_id"],
                ..Self::NOTHING
            },
            "sync.fanout" => Self {
                unique: &["mode"],
                ..Self::NOTHING
            },
            "sync.account" => Self {
                unique: &["account_id", "mode"],
                ..Self::NOTHING
            },
            "sync.insights" => Self {
                unique: &["account_id", "level", "granularity", "from", "to"],
                ..Self::NOTHING
            },
            _ => Self::NOTHING,
        }
    }

    /// What holds for the kind where its section says nothing.
    fn layer<'l>(&self, below: &'l Layer) -> Cow<'l, Layer> {
        if self.plan.is_empty() {
            Cow::Borrowed(below)
        } else {
            Cow::Owned(below.with_plan(self.plan))
        }
    }

    fn read_unique(&self, section: &mut Section<'_>) -> Option<UniqueRule> {
        let unique = section.key(
            "unique",
            "At most one job with the same values in some fields.",
        );
        if self.unique.is_empty() {
            return unique.optional(UniqueShape);
        }
        Some(unique.or(UniqueShape, UniqueRule::until_done(self.unique)))
    }

    fn read_key(&self, section: &mut Section<'_>) -> Option<String> {
        let key = section.key("key", "The payload field that groups jobs.");
        match self.key {
            Some(built_in) => Some(key.or(field(), built_in.to_owned())),
            None => key.optional(field()),
        }
    }

    fn read_per_key(&self, section: &mut Section<'_>) -> Option<u32> {
        let key = section.key(
            "per_key_concurrency",
            "Attempts with one key that the fleet runs at a time.",
        );
        let most = integer(1..=10_000);
        match self.per_key_concurrency {
            Some(built_in) => Some(key.or(most, built_in)),
            None => key.optional(most),
        }
    }

    fn read_budget(&self, section: &mut Section<'_>, names: &Names<'_>) -> Option<String> {
        let key = section.key(
            "budget",
            "The budget of its calls; unset: that of the account's provider.",
        );
        let budget = named("budget", &names.budgets);
        match self.budget {
            Some(built_in) => Some(key.or(budget, built_in.to_owned())),
            None => key.optional(budget),
        }
    }
}

/// Fields that are never shown: a file adds to the built-in ones and cannot show them again.
struct Redacted(&'static [&'static str]);

impl Redacted {
    fn own_fields() -> impl Shape<Value = Vec<String>> {
        list(field(), 0..=MAX_REDACTED)
    }
}

impl Shape for Redacted {
    type Value = Vec<String>;

    fn read(&self, found: &Spanned<DeValue<'_>>, place: &mut Place<'_>) -> Option<Vec<String>> {
        let own = Self::own_fields().read(found, place)?;
        let mut fields = owned(self.0);
        fields.extend(
            own.into_iter()
                .filter(|field| !self.0.contains(&field.as_str())),
        );
        Some(fields)
    }

    fn show(&self, value: &Vec<String>) -> Value {
        Self::own_fields().show(value)
    }

    fn schema(&self) -> Value {
        Self::own_fields().schema()
    }
}

fn owned(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|field| (*field).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn people_are_encrypted_where_there_are_keys_and_keys_are_demanded_by_name_alone() {
        let of = |text: &str| {
            let config = Config::parse(text, &["conversion.send"]).expect("the text is right");
            let policy = config.config.policy("conversion.send");
            (policy.encrypt, policy.needs_keys)
        };

        assert_eq!(of(""), (true, false));
        assert_eq!(
            of("[kinds.\"conversion.send\"]\nencrypt = true"),
            (true, true)
        );
        assert_eq!(
            of("[kinds.\"conversion.send\"]\nencrypt = false"),
            (false, false)
        );
    }

    // Fails when webhooks or syncs stop as somebody has what they say of themselves encrypted.
    #[test]
    fn what_the_database_reads_itself_cannot_be_encrypted() {
        let is_taken = |kind: &str, encrypt: bool| {
            let text = format!("[kinds.\"{kind}\"]\nencrypt = {encrypt}");
            Config::parse(&text, &[kind]).is_ok()
        };

        for kind in super::READ_BY_STATEMENTS {
            assert!(is_taken(kind, false), "{kind}");
            assert!(!is_taken(kind, true), "{kind}");
        }
        assert!(is_taken("http.request", true));
    }
}
