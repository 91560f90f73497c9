//! Every metric of this crate. Labels have few values known beforehand: never an id, a tenant or a name.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Accounts by platform and status; the leader alone shows it.
pub(crate) const ACCOUNTS: &str = "millpond_accounts";
/// For which share of the accounts an objective is met; the leader alone shows it.
pub(crate) const SLO_GOOD_RATIO: &str = "millpond_slo_good_ratio";
/// Customers' endpoints, by how they stand; the leader alone shows it.
pub(crate) const WEBHOOK_ENDPOINTS: &str = "millpond_webhook_endpoints";
/// For how long figures have waited to be rolled up; the leader alone shows it.
pub(crate) const ROLLUP_OLDEST_DUE: &str = "millpond_rollup_oldest_due_seconds";
/// Questions for answers that may be used again, by `outcome`: `hit`, `miss`, `coalesced`.
const CACHE_REQUESTS: &str = "millpond_cache_requests_total";

/// Events that platforms sent, by `outcome`: `stored`, `duplicate`; and requests with them: `refused`, `failed`, and
/// `unreadable`, each of which is kept as an event and counts as one beside.
const WEBHOOKS_RECEIVED: &str = "millpond_webhooks_received_total";
/// Conversions of which it is known what became of them, by `outcome`: `sent`, `rejected`, `expired`. Tests do not count.
const CONVERSION_EVENTS: &str = "millpond_conversion_events_total";

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
    describe_gauge!(
        WEBHOOK_ENDPOINTS,
        "Customers' endpoints: enabled, failing, switched off by request (disabled) or for what they did (given_up). Fleet."
    );
    describe_gauge!(
        ROLLUP_OLDEST_DUE,
        Unit::Seconds,
        "For how long the figures have waited that wait longest to be rolled up; 0 where none wait. Fleet."
    );
    describe_counter!(
        CACHE_REQUESTS,
        "Platform answers that may be used again: found, asked for, or shared with whoever asked at the same time."
    );
    describe_counter!(
        WEBHOOKS_RECEIVED,
        "Events that platforms sent: stored, or duplicates of others; and requests that were refused, failed or could not be read."
    );
    describe_counter!(
        CONVERSION_EVENTS,
        "Conversions of which it is known what became of them: sent, rejected, or expired on their way."
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

/// Counts events that a platform sent, or a request of its that came to nothing.
pub(crate) fn webhooks_received(provider: &'static str, outcome: &'static str, count: u64) {
    counter!(WEBHOOKS_RECEIVED, "provider" => provider, "outcome" => outcome).increment(count);
}

/// Counts a conversion of which it is known now what became of it.
pub(crate) fn conversion_event(destination: &'static str, outcome: &'static str) {
    counter!(CONVERSION_EVENTS, "destination" => destination, "outcome" => outcome).increment(1);
}

/// Shows how many endpoints stand like this.
pub(crate) fn webhook_endpoints(status: &'static str, count: i64) {
    gauge!(WEBHOOK_ENDPOINTS, "status" => status).set(count as f64);
}

/// Shows for how long figures have waited to be rolled up.
pub(crate) fn rollup_oldest_due(grain: &'static str, waited_s: f64) {
    gauge!(ROLLUP_OLDEST_DUE, "grain" => grain).set(waited_s);
}
