//! Every statement on schema `millpond`. One statement a function, its guard explained; whoever calls owns the
//! transaction. Nothing here decides: what follows from what is the business of the callers.

pub(crate) mod account_budgets;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod budgets;
pub(crate) mod claim;
pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod enqueue;
pub(crate) mod gates;
pub(crate) mod history;
pub(crate) mod holds;
pub(crate) mod hot;
pub(crate) mod idempotency;
pub(crate) mod insert;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod leader;
pub(crate) mod lease;
pub(crate) mod logs;
pub(crate) mod payload_keys;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod poll;
pub(crate) mod pooler;
pub(crate) mod queues;
pub(crate) mod replays;
pub(crate) mod rows;
pub(crate) mod schedules;
pub(crate) mod schema;
pub(crate) mod settle;
pub(crate) mod stats;
pub(crate) mod unique;
pub(crate) mod workers;
