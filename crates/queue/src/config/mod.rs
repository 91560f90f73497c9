//! `jobs.toml`: what operators tune. It is parsed, checked and explained here; what a value does is left to whoever
//! reads it. Every key is named once, where its section is read, and that place makes its check, its default, its line
//! in the listing of what holds, its warning and its JSON Schema.

mod backoff;
mod budgets;
mod changes;
mod cron;
mod dead_letters;
mod defaults;
mod document;
mod email;
mod field;
mod formula;
mod key;
mod kinds;
mod named;
mod names;
mod objectives;
mod overrides;
mod problem;
mod process;
mod queues;
mod rate;
mod reaction;
mod schedules;
mod section;
mod shape;
mod suggest;
mod target;
#[cfg(test)]
mod tests;
mod timetable;
mod unique;

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use serde_json::{Value, json};
use toml::de::DeTable;

pub use backoff::{Backoff, Jitter};
pub use budgets::{Budget, BudgetScope, Feedback};
pub use changes::changed_keys;
pub use dead_letters::{DeadLetters, Replay};
pub use defaults::Defaults;
pub use email::{Email, EmailBrand, TenantEmail};
pub use formula::{Figure, Formula, FormulaError};
pub use kinds::{Kind, Policy};
pub(crate) use names::is_provider;
pub use names::{METRIC_COLUMNS, default_queue};
pub use objectives::{Measured, Slo};
pub use overrides::{Ignored, Layered, Override, OverrideProblem, canonical_key, typed_value};
pub use problem::{Effective, Origin, Problem};
pub use process::{Http, Lease, Worker};
pub use queues::{FairBy, Queue};
pub use rate::Rate;
pub use reaction::{Action, ClassActions};
pub use schedules::{Misfire, Overlap, Schedule};
pub use target::Target;
pub use unique::UniqueRule;

use self::{
    defaults::Layer,
    document::Lines,
    kinds::Below,
    names::{BUDGETS, NameRule, Names, QUEUES},
    objectives::kpi,
    queues::QueueLayer,
    section::{Findings, Header, Reader, Section},
    shape::integer,
    timetable::BuiltIn,
};

/// The one version of the format.
const VERSION: u32 = 1;

/// A configuration that was found right.
#[derive(Debug, Clone)]
pub struct Config {
    /// What requests may ask for.
    pub http: Http,
    /// A worker's time-limited right to an attempt.
    pub lease: Lease,
    /// How a worker stops.
    pub worker: Worker,
    /// What holds for jobs where neither their queue nor their kind says otherwise.
    pub defaults: Defaults,
    /// Who mail comes from.
    pub email: Email,
    /// By name; the built-in queues are always among them.
    pub queues: BTreeMap<String, Queue>,
    /// By name; the product's kinds, and what was registered when the file was read, are always among them.
    pub kinds: BTreeMap<String, Kind>,
    /// By name; the providers' budgets are always among them.
    pub budgets: BTreeMap<String, Budget>,
    /// By name.
    pub schedules: BTreeMap<String, Schedule>,
    /// Formulas by the name of the metric that they make up, as [`Formula::parse`] takes them.
    pub kpis: BTreeMap<String, String>,
    /// By name.
    pub slos: BTreeMap<String, Slo>,
    /// What becomes of jobs that failed for good.
    pub dead_letters: DeadLetters,
    fallback: Arc<Policy>,
    effective: Arc<[Effective]>,
}

/// A configuration, and what is worth knowing about its file.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What holds.
    pub config: Config,
    /// Keys that are right but have no effect yet.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// What holds without a file, for the product's kinds alone.
    #[must_use]
    pub fn builtin() -> Self {
        let (config, _) = Self::read(Reader::new(Lines::of("")), None, &[]);
        config
    }

    /// Reads a file's text. `registered` are the kinds that the program has handlers for: a section for one of them is
    /// right without a `target`, and a section for one of the product's that is not among them has no effect yet.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file. When its syntax is wrong, nothing else is looked at.
    pub fn parse(text: &str, registered: &[&str]) -> Result<Parsed, Vec<Problem>> {
        let lines = Lines::of(text);
        let document = document::parse(text, &lines)?;
        let (config, findings) = Self::read(Reader::new(lines), Some(&document), registered);

        if findings.problems.is_empty() {
            Ok(Parsed {
                config,
                warnings: findings.warnings,
            })
        } else {
            Err(findings.problems)
        }
    }

    /// What holds for jobs of this kind; for one that nobody has declared, `[defaults]` on the queue `default`.
    #[must_use]
    pub fn policy(&self, kind: &str) -> Arc<Policy> {
        let policy = self.kinds.get(kind).map(|kind| &kind.policy);
        Arc::clone(policy.unwrap_or(&self.fallback))
    }

    /// The kinds that the file asks to have encrypted: no process can take or run their jobs without keys.
    pub fn kinds_that_need_keys(&self) -> impl Iterator<Item = &str> {
        let kinds = self.kinds.iter();
        let kinds = kinds.filter(|(_, kind)| kind.policy.needs_keys);
        kinds.map(|(name, _)| name.as_str())
    }

    /// The kinds whose payloads are encrypted wherever there are keys, and do not outlive their jobs anywhere.
    pub(crate) fn encrypted_kinds(&self) -> Vec<String> {
        let kinds = self.kinds.iter().filter(|(_, kind)| kind.policy.encrypt);
        kinds.map(|(name, _)| name.clone()).collect()
    }

    /// The kinds whose payloads lie encrypted where there are keys, and are taken without keys too.
    pub fn kinds_that_want_keys(&self) -> impl Iterator<Item = &str> {
        let kinds = self.kinds.iter();
        let kinds = kinds.filter(|(_, kind)| kind.policy.encrypt && !kind.policy.needs_keys);
        kinds.map(|(name, _)| name.as_str())
    }

    /// The kinds whose work upstream apps do at endpoints of their own.
    pub fn target_kinds(&self) -> impl Iterator<Item = (&str, &Target)> {
        self.kinds.iter().filter_map(|(name, kind)| {
            let target = kind.policy.target.as_ref()?;
            Some((name.as_str(), target))
        })
    }

    /// Every value that holds, with where it was set, section by section. Keys that are unset and have no default are
    /// left out.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        self.effective.to_vec()
    }

    /// The same, with the values of `start` where a change takes effect after a restart.
    pub(crate) fn until_restart(mut self, start: &Self) -> Self {
        self.http = Http {
            rate_per_key: self.http.rate_per_key,
            ..start.http.clone()
        };
        self.worker = start.worker.clone();
        self
    }

    /// The keys whose values differ from those of `start` and take effect after a restart.
    pub(crate) fn waiting_for_restart(&self, start: &Self) -> Vec<String> {
        let lasting = |config: &Self| -> BTreeMap<String, Value> {
            let effective = config.effective.iter().filter(|value| value.restart);
            effective
                .map(|value| (value.key.clone(), value.value.clone()))
                .collect()
        };
        let (now, then) = (lasting(self), lasting(start));
        let keys: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
        keys.into_iter()
            .filter(|key| now.get(*key) != then.get(*key))
            .cloned()
            .collect()
    }

    /// Reads a document as far as it goes: what is wrong holds its default, and is among the findings.
    fn read(
        mut reader: Reader,
        document: Option<&DeTable<'_>>,
        registered: &[&str],
    ) -> (Self, Findings) {
        let (mut config, _) = open(&mut reader, document, registered);
        let mut findings = reader.finish();
        config.effective = mem::take(&mut findings.effective).into();
        (config, findings)
    }
}

/// The JSON Schema of `jobs.toml`, for editors.
#[must_use]
pub fn json_schema() -> Value {
    let (_, mut schema) = open(&mut Reader::describing(), None, &[]);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Millpond's jobs.toml");
    schema
}

/// Reads the whole of a document, and gives its schema too.
fn open(
    reader: &mut Reader,
    document: Option<&DeTable<'_>>,
    registered: &[&str],
) -> (Config, Value) {
    let names = Names::of(document, registered);
    let root = Header {
        path: String::new(),
        at: 0..0,
        table: document,
        listed: true,
    };
    Section::open(reader, root, |root| read_root(root, &names))
}

fn read_root(root: &mut Section<'_>, names: &Names<'_>) -> Config {
    root.key("version", "The version of this format: 1.")
        .or(integer(1..=1), VERSION);
    let http = root
        .key("http", "What requests may ask for.")
        .table(Http::read);
    let lease = root
        .key("lease", "A worker's time-limited right to an attempt.")
        .table(Lease::read);
    let worker = root
        .key("worker", "How a worker stops.")
        .table(Worker::read);
    let defaults = root
        .key(
            "defaults",
            "What holds where neither a queue nor a kind says otherwise.",
        )
        .table(|section| Layer::read(section, &Layer::built_in()));
    let email = root.key("email", "Who mail comes from.").table(Email::read);
    let queues = read_queues(root, &defaults);
    let below = Below {
        defaults: &defaults,
        queues: &queues,
        names,
    };
    let kinds = read_kinds(root, &below);
    let fallback = Arc::new(Policy::fallback(&below));

    Config {
        http,
        lease,
        worker,
        defaults: defaults.values(),
        email,
        kinds,
        fallback,
        budgets: read_budgets(root, names),
        schedules: read_schedules(root, names),
        kpis: root
            .key("kpis", "Formulas of metrics that are made up of others.")
            .table(|section| section.each_value(NameRule::Metric, &kpi())),
        slos: read_slos(root),
        dead_letters: root
            .key("dead_letters", "What becomes of jobs that failed for good.")
            .table(DeadLetters::read),
        queues: queues
            .into_iter()
            .map(|(name, layer)| (name, layer.queue))
            .collect(),
        effective: Arc::default(),
    }
}

fn read_queues(root: &mut Section<'_>, defaults: &Layer) -> BTreeMap<String, QueueLayer> {
    root.key("queues", "Where jobs wait, and how many of them may run.")
        .table(|queues| {
            queues.each(NameRule::Word, &QUEUES, |_, section| {
                Some(QueueLayer::read(section, defaults))
            })
        })
}

fn read_kinds(root: &mut Section<'_>, below: &Below<'_>) -> BTreeMap<String, Kind> {
    root.key("kinds", "What holds for the jobs of one kind.")
        .table(|kinds| {
            kinds.each(NameRule::Kind, &below.names.built_in, |name, section| {
                Some(Kind::read(name, section, below))
            })
        })
}

fn read_budgets(root: &mut Section<'_>, names: &Names<'_>) -> BTreeMap<String, Budget> {
    root.key("budgets", "Quotas, shared by every worker of the fleet.")
        .table(|budgets| {
            budgets.each(NameRule::Word, &BUDGETS, |name, section| {
                Some(Budget::read(name, section, names))
            })
        })
}

fn read_schedules(root: &mut Section<'_>, names: &Names<'_>) -> BTreeMap<String, Schedule> {
    root.key("schedules", "Jobs that are enqueued by the clock.")
        .table(|schedules| {
            schedules.each(NameRule::Word, &BuiltIn::names(), |name, section| {
                Schedule::read(name, section, names)
            })
        })
}

fn read_slos(root: &mut Section<'_>) -> BTreeMap<String, Slo> {
    root.key("slo", "Freshness objectives.")
        .table(|slos| slos.each(NameRule::Word, &[], |_, section| Slo::read(section)))
}
