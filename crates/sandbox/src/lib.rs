//! Stand-ins for the servers of other companies, for `millpond dev`, `millpond sandbox` and tests:
//! Meta's Graph API, an upstream app that receives signed calls, and a mail server. Written from
//! the providers' documents and never from our clients, so that one cannot repeat the other's
//! mistakes; a real SDK pointed at it works. What arrived stands in the [`Ledger`], [`Faults`] make
//! the servers misbehave, and every credential is made up. It depends on nothing of ours.

mod clock;
mod config;
mod control;
mod error;
mod faults;
mod http;
mod ledger;
mod listen;
mod meta;
mod receiver;
mod server;
mod shared;
mod signature;
mod smtp;
#[cfg(test)]
mod testing;

pub use config::{
    DEV_META_APP_ID, DEV_META_APP_SECRET, DEV_META_DATASET, DEV_META_TOKEN, MetaConfig,
    SandboxConfig, TokenState,
};
pub use error::SandboxError;
pub use faults::{Fault, FaultError, Faults, HttpFault, RetryAfter, SmtpFault, SmtpStep};
pub use ledger::{HookCall, Ledger, LedgerSnapshot, Mail, MetaEvent, MetaRequest, Totals};
pub use server::Sandbox;
pub use signature::SecretError;
