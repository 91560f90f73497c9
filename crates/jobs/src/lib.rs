//! The handlers, a file a kind in `kinds/`, and the one translation from a failure to its class in `error.rs`. SQL and
//! rules of the domain stand in `marketing`, other companies' APIs in `providers`.

mod account;
mod app;
mod budget;
mod call;
mod door;
mod effect;
mod endpoint_mail;
mod error;
mod kinds;
mod one_line;
mod owner_mail;
mod page_access;
mod rollup;
mod round;
mod setback;

pub use app::{App, EmailSettings, EmailSource, Signers};
pub use door::Doors;
pub use kinds::{registry, registry_with_demo};
