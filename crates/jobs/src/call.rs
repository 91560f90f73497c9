//! Calls to endpoints that upstream apps chose, signed where there is a secret, with a key that is the same on every
//! attempt and replay.

use std::{collections::BTreeMap, slice};

use bytes::Bytes;
use providers::webhook::{CallRequest, Signer};
use queue::{JobInfo, Outcome};
use serde_json::json;

use crate::{App, effect::effect_key, error::Error};

/// The header that endpoints without a secret find the key in; signed calls carry it as `webhook-id` too.
const KEY_HEADER: &str = "idempotency-key";
/// The header of the body's form.
const FORM_HEADER: &str = "content-type";

/// What is called, and with what.
pub(crate) struct Call {
    /// Where: checked against the outbound rules when it is called.
    pub(crate) url: String,
    /// An HTTP method.
    pub(crate) method: &'static str,
    /// The job's own headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// JSON, the same bytes on every attempt; `None`: no body.
    pub(crate) body: Option<Bytes>,
    /// The name of the secret to sign with.
    pub(crate) secret: Option<String>,
}
