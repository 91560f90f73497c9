//! Stand-ins for the servers of other companies, for `millpond dev`, `millpond sandbox` and tests:
//! ad platforms that show one made-up world, an upstream app that receives signed calls, and a mail
//! server. Written from the providers' documents and never from our clients, so that one cannot
//! repeat the other's mistakes; a real SDK pointed at it works. What arrived stands in the
//! [`Ledger`], [`Faults`] make the servers misbehave, and every credential is made up. It depends
//! on nothing of ours.

mod clock;
mod config;
mod control;
mod door;
mod error;
mod faults;
mod google;
mod http;
mod leads;
mod ledger;
mod limits;
mod linkedin;
mod listen;
mod meta;
mod oauth;
mod receiver;
mod reports;
mod resend;
mod server;
mod shared;
mod signature;
mod smtp;
#[cfg(test)]
mod testing;
mod tiktok;
mod world;
mod x;

pub use config::{
    AppConfig, DEV_APP_ID, DEV_APP_SECRET, DEV_GOOGLE_REFRESH_TOKEN, DEV_LINKEDIN_REFRESH_TOKEN,
    DEV_LINKEDIN_TOKEN, DEV_META_APP_ID, DEV_META_APP_SECRET, DEV_META_DATASET, DEV_META_TOKEN,
    DEV_META_VERIFY_TOKEN, DEV_RESEND_KEY, DEV_TIKTOK_TOKEN, DEV_X_TOKEN, DEV_X_TOKEN_SECRET,
    MetaConfig, SandboxConfig,
};
pub use error::SandboxError;
pub use faults::{Fault, FaultError, Faults, HttpFault, RetryAfter, SmtpFault, SmtpStep};
pub use ledger::{
    Conversion, HookCall, Ledger, LedgerSnapshot, Mail, MetaEvent, MetaRequest, ProviderCall,
    Totals,
};
pub use oauth::{KnownToken, TokenRole, TokenState};
pub use server::Sandbox;
pub use signature::SecretError;
pub use world::{Platform, TooFar, WorldClock, WorldConfig};
