//! The names a file may use: built-in kinds, queues and budgets, those the file declares, and how a name is spelt.

use toml::de::{DeTable, DeValue};

/// The product's kinds, of this release and of later ones, which a file may name already. What else is registered, or has
/// a `target` in the file, need not stand here.
pub(super) const KINDS: [&str; 26] = [
    "sync.fanout",
    "sync.account",
    "sync.insights",
    "sync.watch",
    "token.check",
    "token.expire",
    "token.refresh",
    "token.validate",
    "aggregate.daily",
    "aggregate.monthly",
    "aggregate.cross_platform",
    "webhook.process",
    "webhook.catch_up",
    "webhook.deliver",
    "webhook.fanout",
    "email.digest",
    "email.send",
    "email.sync_errors",
    "conversion.send",
    "campaign.update",
    "strategy.evaluate",
    "alert.evaluate",
    "http.request",
    "maintenance.cache",
    "maintenance.limits",
    "maintenance.retention",
];

/// The queues that are there without being named in a file.
pub(super) const QUEUES: [&str; 10] = [
    "default",
    "sync",
    "token",
    "aggregate",
    "webhook",
    "email",
    "conversions",
    "campaign",
    "http",
    "maintenance",
];

/// The providers' budgets.
pub(super) const BUDGETS: [&str; 5] = ["meta", "google_ads", "linkedin", "tiktok", "x"];

/// The columns of a table of figures before those of `[kpis]`, in their order. No formula has the name of one: no two columns may
/// have one name.
pub const METRIC_COLUMNS: [&str; 29] = [
    "period",
    "tenant",
    "platform",
    "account_id",
    "account_name",
    "entity_id",
    "entity_name",
    "currency",
    "impressions",
    "reach",
    "clicks",
    "link_clicks",
    "views",
    "likes",
    "comments",
    "shares",
    "conversions",
    "leads",
    "spend",
    "revenue",
    "reporting_spend",
    "reporting_revenue",
    "ctr_pct",
    "cpc",
    "cpm",
    "roas",
    "conversion_rate_pct",
    "cost_per_conversion",
    "engagement_rate_pct",
];

/// Whether a budget is a provider's own.
pub(crate) fn is_provider(budget: &str) -> bool {
    BUDGETS.contains(&budget)
}

/// The queue of a kind that no file puts elsewhere: that of its family, or `default`.
#[must_use]
pub fn default_queue(kind: &str) -> &'static str {
    let family = kind.split_once('.').map_or(kind, |(family, _)| family);
    match family {
        "sync" => "sync",
        "token" => "token",
        "aggregate" => "aggregate",
        "webhook" => "webhook",
        "email" => "email",
        "conversion" => "conversions",
        "campaign" | "strategy" | "alert" => "campaign",
        "http" => "http",
        "maintenance" => "maintenance",
        _ => "default",
    }
}

/// Every name that a value of the file may refer to.
pub(super) struct Names<'d> {
    pub(super) queues: Vec<&'d str>,
    /// Those of `built_in`, and those with a `target`.
    pub(super) kinds: Vec<&'d str>,
    /// Kinds that Millpond does the work of, now or in a later release.
    pub(super) built_in: Vec<&'d str>,
    /// Kinds that this program has a handler for.
    pub(super) registered: &'d [&'d str],
    pub(super) budgets: Vec<&'d str>,
    /// Budgets that a kind of the file asks for.
    pub(super) used_budgets: Vec<&'d str>,
}

impl<'d> Names<'d> {
    /// What is built in and what the document declares, rightly or wrongly.
    pub(super) fn of(document: Option<&'d DeTable<'d>>, registered: &'d [&'d str]) -> Self {
        let mut built_in: Vec<&'d str> = KINDS.to_vec();
        let others = registered.iter().filter(|kind| !KINDS.contains(*kind));
        built_in.extend(others.copied());

        let mut names = Self {
            queues: QUEUES.to_vec(),
            kinds: built_in.clone(),
            built_in,
            registered,
            budgets: BUDGETS.to_vec(),
            used_budgets: Vec::new(),
        };
        names
            .queues
            .extend(children(document, "queues").map(|(name, _)| name));
        names
            .budgets
            .extend(children(document, "budgets").map(|(name, _)| name));
        for (name, kind) in children(document, "kinds") {
            if kind.get("target").is_some() {
                names.kinds.push(name);
            }
            let budget = kind
                .get("budget")
                .and_then(|budget| budget.get_ref().as_str());
            names.used_budgets.extend(budget);
        }
        names
    }
}

impl Names<'_> {
    /// Whether a known kind has a handler in this program, or a `target`.
    pub(super) fn acts_on(&self, kind: &str) -> bool {
        self.registered.contains(&kind) || !self.built_in.contains(&kind)
    }
}

/// The entries of a section of the document.
fn children<'d>(
    document: Option<&'d DeTable<'d>>,
    section: &str,
) -> impl Iterator<Item = (&'d str, &'d DeValue<'d>)> {
    let section = document.and_then(|document| document.get(section));
    let table = section.and_then(|section| section.get_ref().as_table());
    table.into_iter().flatten().map(|(key, value)| {
        let name: &'d str = key.get_ref();
        (name, value.get_ref())
    })
}

/// How a name that people choose is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameRule {
    /// Of a queue, a budget, a schedule, an objective: `meta-freshness`.
    Word,
    /// Of a kind: `family.action`.
    Kind,
    /// Of a metric: `cost_per_lead`.
    Metric,
    /// Of a tenant: whatever upstream apps call it.
    Tenant,
}

impl NameRule {
    pub(super) fn allows(self, name: &str) -> bool {
        match self {
            Self::Word => name.len() <= 60 && is_word(name, "_-"),
            Self::Kind => {
                name.len() <= 100
                    && name.contains('.')
                    && name.split('.').all(|part| is_word(part, "_"))
            }
            Self::Metric => {
                name.len() <= 60 && is_word(name, "_") && !METRIC_COLUMNS.contains(&name)
            }
            Self::Tenant => {
                (1..=200).contains(&name.chars().count()) && !name.contains(char::is_control)
            }
        }
    }

    pub(super) fn pattern(self) -> &'static str {
        match self {
            Self::Word => "^[a-z][a-z0-9_-]{0,59}$",
            Self::Kind => "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)+$",
            Self::Metric => "^[a-z][a-z0-9_]{0,59}$",
            Self::Tenant => "^[^\\x00-\\x1f\\x7f]{1,200}$",
        }
    }

    /// The rule in words.
    pub(super) fn doc(self) -> &'static str {
        match self {
            Self::Word => {
                "a letter, then letters, digits, \"_\" and \"-\", all lower case, at most 60"
            }
            Self::Kind => {
                "\"family.action\" in lower-case letters, digits and \"_\", at most 100 characters, in quotes"
            }
            Self::Metric => {
                "a letter, then letters, digits and \"_\", all lower case, at most 60, and no name that metrics have already"
            }
            Self::Tenant => "one line of at most 200 characters",
        }
    }
}

/// A lower-case letter, then such letters, digits and these others.
fn is_word(name: &str, others: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || others.contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_kind_goes_to_a_built_in_queue() {
        for kind in KINDS {
            assert!(QUEUES.contains(&default_queue(kind)), "{kind}");
            assert!(NameRule::Kind.allows(kind), "{kind}");
        }
    }

    #[test]
    fn a_family_that_is_not_known_goes_to_the_default_queue() {
        let queue = default_queue("billing.close_month");

        assert_eq!(queue, "default");
    }

    #[test]
    fn names_are_spelt_as_their_rule_says() {
        let kinds = [
            ("a.b", true),
            ("a.b_2.c", true),
            ("a", false),
            ("a.", false),
            ("A.b", false),
        ];
        let words = [
            ("a-b_2", true),
            ("2a", false),
            ("", false),
            ("a.b", false),
            ("ä", false),
        ];

        for (name, allowed) in kinds {
            assert_eq!(NameRule::Kind.allows(name), allowed, "{name}");
        }
        for (name, allowed) in words {
            assert_eq!(NameRule::Word.allows(name), allowed, "{name}");
        }
    }

    #[test]
    fn names_have_a_longest_form() {
        assert!(NameRule::Word.allows(&"a".repeat(60)));
        assert!(!NameRule::Word.allows(&"a".repeat(61)));
        assert!(!NameRule::Kind.allows(&format!("a.{}", "b".repeat(99))));
    }
}
