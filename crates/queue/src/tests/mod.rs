//! The engine against a real PostgreSQL: what it promises, each test failing when the mechanism behind it is removed.

mod accept;
mod dead;
pub(crate) mod fixture;
mod leases;
mod people;
mod run;
