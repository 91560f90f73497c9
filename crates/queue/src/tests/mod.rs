//! The engine against a real PostgreSQL: what it promises, each test failing when the mechanism behind it is removed.

mod accept;
mod blocking;
mod crowded;
mod dead;
mod elsewhere;
pub(crate) mod fixture;
mod keys;
mod leading;
mod leases;
mod model;
mod people;
mod plans;
mod run;
mod settling;
