//! The engine against a real PostgreSQL: what it promises, each test failing when the mechanism behind it is removed.

mod accept;
mod blocking;
mod budgets;
mod bulk;
mod crowded;
mod dead;
mod drain;
mod elsewhere;
pub(crate) mod fixture;
mod history;
mod keys;
mod late;
mod leading;
mod leases;
mod limits;
mod model;
mod people;
mod plans;
mod races;
mod refused;
mod run;
mod schedules;
mod sealed;
mod settling;
mod tenants;
