//! Every metric of this crate. Labels have few values known beforehand: never an id, a tenant or a name.

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Accounts by platform and status; the leader alone shows it.
pub(crate) const ACCOUNTS: &str = "millpond_accounts";
/// For which share of the accounts an objective is met; the leader alone shows it.
pub(crate) const SLO_GOOD_RATIO: &str = "millpond_slo_good_ratio";
/// Questions for answers that may be used again, by `outcome`: `hit`, `miss`, `coalesced`.
const CACHE_REQUESTS: &str = "millpond_cache_requests_total";

/// Gives the exporter units and help texts; call once, before it answers.
pub fn describe() {
    describe_gauge!(
        ACCOUNTS,
        "Connected accounts, by how their grants stand. Fleet."
    );
    describe_gauge!(
        SLO_GOOD_RATIO,
        "Share of the accounts that are as fresh as the objective asks for; absent without any. Fleet."
    );
    describe_counter!(
        CACHE_REQUESTS,
        "Platform answers that may be used again: found, asked for, or shared with whoever asked at the same time."
    );
}

/// Shows how many accounts of a platform stand like this.
pub(crate) fn accounts(provider: &'static str, status: &'static str, count: i64) {
    gauge!(ACCOUNTS, "provider" => provider, "status" => status).set(count as f64);
}

/// Shows for which share of the accounts an objective is met; NaN: there are none.
pub(crate) fn slo_good_ratio(slo: &str, ratio: f64) {
    gauge!(SLO_GOOD_RATIO, "slo" => slo.to_owned()).set(ratio);
}

/// Counts a question for an answer that may be used again.
pub(crate) fn cache_request(outcome: &'static str) {
    counter!(CACHE_REQUESTS, "outcome" => outcome).increment(1);
}
