//! What becomes of grants, quotas and secrets, each on its own path: real processes, the production clients, and stand-ins
//! for all five platforms over HTTP.

mod browser;
mod discovery;
mod encoding;
mod endings;
mod grants;
mod keys;
mod leak;
mod leaving;
mod outage;
mod own_secret;
mod quotas;
mod renewal;
mod scene;
mod signed;
