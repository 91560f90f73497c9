//! What the ledger writes down of each thing that arrived.

use std::{collections::BTreeMap, path::PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::world::Platform;

/// A call that reached the stand-in for Meta, written down when it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct MetaRequest {
    /// When it arrived, whole.
    pub at: DateTime<Utc>,
    /// Its method.
    pub method: String,
    /// Its path without the query, which may hold a token.
    pub path: String,
    /// How long its body was.
    pub body_bytes: usize,
    /// The fault that it met, by its `kind`.
    pub fault: Option<&'static str>,
}

/// A call that reached the stand-in for any platform, written down when it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderCall {
    /// When it arrived, whole, by the world's clock.
    pub at: DateTime<Utc>,
    /// Which platform's.
    pub platform: Platform,
    /// Its method.
    pub method: String,
    /// The platform's own path.
    pub path: String,
    /// Its query without tokens, codes and secrets.
    pub query: String,
    /// How long its body was.
    pub body_bytes: usize,
    /// The fault that it met, by its `kind`.
    pub fault: Option<&'static str>,
}

/// A conversion event that Meta took.
#[derive(Debug, Clone, Serialize)]
pub struct MetaEvent {
    /// The dataset it was sent to.
    pub dataset: String,
    /// What the sender calls it; without one it is never recognised when it is sent again.
    pub event_id: Option<String>,
    /// Its name, `Purchase` for one.
    pub event_name: String,
    /// How often it was sent within 48 hours of the first time.
    pub count: u64,
    /// The number of the call that brought it first, counted as [`MetaRequest`]s are, from 0.
    pub request: u64,
    /// When it arrived first.
    pub received_at: DateTime<Utc>,
    /// Set when it went to the test tool and counts for nothing.
    pub test_event_code: Option<String>,
    /// The event as it was sent first.
    pub event: Value,
}

/// A conversion event that a platform but Meta took.
#[derive(Debug, Clone, Serialize)]
pub struct Conversion {
    /// Which platform.
    pub platform: Platform,
    /// What it is counted under: a conversion action, an event source, a rule, a pixel.
    pub dataset: String,
    /// What the sender calls it; without one it is never recognised when it is sent again.
    pub id: Option<String>,
    /// How often it was sent.
    pub count: u64,
    /// The number of the call that brought it first among all calls, from 0.
    pub request: u64,
    /// When it arrived first.
    pub received_at: DateTime<Utc>,
    /// It was only tried out and counts for nothing.
    pub is_test: bool,
    /// The event as it was sent first.
    pub event: Value,
}

/// A call to a receiver.
#[derive(Debug, Clone, Serialize)]
pub struct HookCall {
    /// When it arrived, whole.
    pub at: DateTime<Utc>,
    /// The receiver's name.
    pub name: String,
    /// Its method.
    pub method: String,
    /// `webhook-id`: the same on every attempt.
    pub webhook_id: Option<String>,
    /// Whether the signature is right; `None` where the receiver has no secret to check with.
    pub signature_valid: Option<bool>,
    /// Its headers by lower-case name, long values cut.
    pub headers: BTreeMap<String, String>,
    /// The first 64 KiB of its body, as text.
    pub body: String,
    /// How long its body was.
    pub body_bytes: usize,
}

/// A mail that was kept.
#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    /// When its last line arrived.
    pub at: DateTime<Utc>,
    /// The file that has it.
    pub file: PathBuf,
    /// The envelope's sender; empty for a bounce.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Its `Message-ID`, with its angle brackets.
    pub message_id: Option<String>,
    /// How long it is.
    pub size_bytes: usize,
    /// Whether it came through TLS.
    pub tls: bool,
    /// Who signed in to send it.
    pub user: Option<String>,
}

/// How many of each sort arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Calls to Meta.
    pub meta_requests: u64,
    /// Calls to all platforms, Meta among them.
    pub calls: u64,
    /// Different events that Meta took; one that was sent again counts once.
    pub meta_events: u64,
    /// Different events that the other platforms took.
    pub conversions: u64,
    /// Calls to receivers.
    pub hooks: u64,
    /// Mails kept.
    pub mails: u64,
}

/// The ledger at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerSnapshot {
    /// Everything counted, also what is not listed here.
    pub totals: Totals,
    /// Calls to Meta, oldest first.
    pub meta_requests: Vec<MetaRequest>,
    /// Calls to all platforms, Meta among them, oldest first.
    pub calls: Vec<ProviderCall>,
    /// Events that Meta took, oldest first.
    pub meta_events: Vec<MetaEvent>,
    /// Events that the other platforms took, oldest first.
    pub conversions: Vec<Conversion>,
    /// Calls to receivers, oldest first.
    pub hooks: Vec<HookCall>,
    /// Mails, oldest first.
    pub mails: Vec<Mail>,
}
