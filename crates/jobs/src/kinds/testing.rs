//! What the tests of several kinds need.

use std::{iter, sync::Arc, time::Duration};

use chrono::Utc;
use marketing::{
    PgPool, Platforms,
    accounts::{Accounts, AccountsSettings},
    email::Templates,
    outbound::Outbound,
    sync::Syncs,
};
use providers::{
    meta::{Meta, MetaConfig},
    platform::{Door, OpenDoor},
    webhook::{Caller, OutboundPolicy},
};
use queue::{Cipher, Database, JobId, JobInfo, Queue, config::Config};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde_json::Value;

use crate::{App, Doors, EmailSettings, EmailSource, Signers, registry};

/// Longest call of a test.
const TIMEOUT: Duration = Duration::from_secs(5);
const KEY: &str = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A job of this kind, at this attempt.
pub(crate) fn job_info(kind: &str, attempt: u32) -> JobInfo {
    JobInfo {
        id: JobId::new(),
        kind: kind.into(),
        queue: "default".into(),
        attempt,
        tenant: None,
        replay_of: None,
        created_at: Utc::now(),
        run_at: Utc::now(),
    }
}

/// Handlers' needs: Meta at this address, a token for it, endpoints on this machine, no mail server, no secrets, no platform.
pub(crate) fn app(db: PgPool, meta_url: &str) -> App {
    app_with(db, meta_url, Platforms::default())
}

/// The same with platforms.
pub(crate) fn app_with(db: PgPool, meta_url: &str, platforms: Platforms) -> App {
    let base_url = meta_url.parse().expect("a URL");
    let meta = MetaConfig {
        base_url,
        timeout: TIMEOUT,
        ..MetaConfig::default()
    };
    let loopback = "127.0.0.0/8".parse().expect("a network");
    let policy = OutboundPolicy {
        allow: vec![loopback],
        ..OutboundPolicy::default()
    };
    let db = Database::from_pool(db);
    let kinds = registry(iter::empty());
    let kinds: Vec<_> = kinds.kinds().cloned().collect();
    let queue = Queue::new(db.clone(), Arc::new(Config::builtin()), kinds);
    let queue = queue.expect("the schemas are sound");
    let cipher = Cipher::read(&SecretString::from(KEY)).expect("a key");
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    let syncs = Syncs::new(queue.clone());
    let settings = AccountsSettings {
        outbound: policy.clone(),
        public_url: Some("https://jobs.example.com".parse().expect("a URL")),
        ..AccountsSettings::default()
    };
    let parts = (platforms, door);
    let accounts = Accounts::new(queue.clone(), Some(Arc::new(cipher)), parts, settings);
    App {
        db,
        outbound: Outbound::new(&accounts),
        accounts,
        doors: Doors::start(syncs.clone()),
        syncs,
        queue,
        meta: Meta::new(meta).expect("loopback may be plain http"),
        meta_token: Some(SecretString::from("fake-token")),
        mailer: None,
        templates: Templates::default(),
        email: EmailSource::new(|_| EmailSettings::default()),
        caller: Caller::new(policy, TIMEOUT).expect("this machine can make a client"),
        signers: Signers::default(),
        target_signers: Signers::default(),
    }
}

/// A database that is not there, for tests that must not ask it.
pub(crate) fn no_database() -> PgPool {
    PgPool::connect_lazy("postgres://127.0.0.1:9/none").expect("the address is one")
}

/// Whether a kind's schema takes this payload.
pub(crate) fn schema_accepts<T: JsonSchema>(payload: &Value) -> bool {
    let schema: Value = schemars::schema_for!(T).into();
    jsonschema::validator_for(&schema)
        .expect("a schema")
        .is_valid(payload)
}
