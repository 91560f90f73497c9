//! The program from outside: real processes, a real PostgreSQL, real HTTP and SMTP against the sandbox. And `tidy`, which
//! reads the tree and holds the house's walls.

mod accounts;
mod budgets;
mod chaos;
mod config;
mod conversions;
mod crash;
mod dev;
mod enqueue;
mod fleet;
mod harness;
mod hooks;
mod inbound;
mod letters;
mod limits;
mod live_changes;
mod load;
mod mail;
mod metrics;
mod outbound;
mod paths;
mod people;
mod plan;
mod pooler;
mod refusals;
mod replay;
mod rules;
mod schedules;
mod sync;
mod tidy;
