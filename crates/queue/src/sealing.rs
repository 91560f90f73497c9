//! Payloads that lie encrypted. A sealed one is a JSON document of its own in the place of the payload, bound to its job: it
//! opens in no other. What is sealed and when is its owners' matter.

use std::{borrow::Cow, fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cipher::{Cipher, CipherError, SealedPlace};

/// The one member of a sealed payload; no payload that comes in may have it.
pub(crate) const MEMBER: &str = "$sealed";
/// What a sealed payload begins with. As raw JSON it is kept as it was written, so nothing else begins like that.
const HEAD: &str = r#"{"$sealed":"#;
/// What stands in the place of a sealed payload that nobody needs any more; the statements that end jobs write it too.
const WIPED: &str = r#"{"$sealed":null}"#;

/// Why a sealed payload does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unopened {
    /// This process has no keys.
    #[error("the payload is encrypted, and MILLPOND_ENCRYPTION_KEYS is not set here")]
    NoKeys,
    /// Its job is done with.
    #[error("the payload was encrypted, and is wiped since its job is done")]
    Wiped,
    /// Its key is missing, or it is not what was sealed for this job.
    #[error("the encrypted payload does not open")]
    Cipher(#[from] CipherError),
}

impl Unopened {
    /// Whether the environment of this process is to blame, and not the payload.
    pub(crate) fn is_of_setup(&self) -> bool {
        matches!(
            self,
            Self::NoKeys | Self::Cipher(CipherError::UnknownKey { .. })
        )
    }
}

/// Seals and opens payloads. Cheap to clone; shows no key.
#[derive(Clone)]
pub(crate) struct Sealer(Arc<Cipher>);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    pub(crate) fn new(cipher: Arc<Cipher>) -> Self {
        Self(cipher)
    }

    /// The id of the key that it seals under.
    pub(crate) fn key_id(&self) -> &str {
        self.0.key_ids().next().unwrap_or_default()
    }

    /// Whether it has a key of this id.
    pub(crate) fn has_key(&self, id: &str) -> bool {
        self.0.key_ids().any(|known| known == id)
    }

    /// A payload as it is stored with its job.
    pub(crate) fn seal(&self, job: Uuid, plain: &str) -> String {
        sealed_text(&self.0.seal(plain.as_bytes(), &place_of_payload(job)))
    }

    /// A patch of payloads as it is stored with its replay run.
    pub(crate) fn seal_patch(&self, replay: Uuid, patch: &Value) -> Value {
        let sealed = self
            .0
            .seal(patch.to_string().as_bytes(), &place_of_patch(replay));
        json!({ MEMBER: STANDARD.encode(sealed) })
    }

    /// Whether a payload is sealed under the newest key.
    pub(crate) fn is_newest(&self, stored: &str) -> bool {
        envelope(stored).is_some_and(|sealed| self.0.is_newest(&sealed))
    }

    /// A payload as it is stored under the newest key.
    pub(crate) fn resealed(&self, job: Uuid, stored: &str) -> Result<String, Unopened> {
        let plain = opened(Some(self), job, stored)?;
        Ok(self.seal(job, &plain))
    }

    fn open(&self, stored: &str, place: &SealedPlace) -> Result<String, Unopened> {
        if is_wiped(stored) {
            return Err(Unopened::Wiped);
        }
        let sealed = envelope(stored).ok_or(CipherError::NotSealed)?;
        let plain = self.0.open(&sealed, place)?;
        let text = String::from_utf8(plain.to_vec());
        Ok(text.map_err(|_| CipherError::NotSealed)?)
    }
}

/// A payload as its handler gets it: opened where it is sealed.
pub(crate) fn opened<'a>(
    sealer: Option<&Sealer>,
    job: Uuid,
    stored: &'a str,
) -> Result<Cow<'a, str>, Unopened> {
    if !is_sealed(stored) {
        return Ok(Cow::Borrowed(stored));
    }
    match sealer {
        Some(sealer) => sealer.open(stored, &place_of_payload(job)).map(Cow::Owned),
        None if is_wiped(stored) => Err(Unopened::Wiped),
        None => Err(Unopened::NoKeys),
    }
}

/// A patch as a replay run applies it.
pub(crate) fn opened_patch(
    sealer: Option<&Sealer>,
    replay: Uuid,
    stored: Value,
) -> Result<Value, Unopened> {
    if stored.get(MEMBER).is_none() {
        return Ok(stored);
    }
    let sealer = sealer.ok_or(Unopened::NoKeys)?;
    let text = sealer.open(&stored.to_string(), &place_of_patch(replay))?;
    Ok(serde_json::from_str(&text).map_err(|_| CipherError::NotSealed)?)
}

/// Whether a stored payload is sealed, or was.
pub(crate) fn is_sealed(stored: &str) -> bool {
    stored.starts_with(HEAD)
}

/// Whether a stored payload was sealed and is gone.
pub(crate) fn is_wiped(stored: &str) -> bool {
    stored == WIPED
}

/// The key that a stored payload is sealed under; `None` where it is not, or in no form that this release knows.
pub(crate) fn key_id_of(stored: &str) -> Option<String> {
    let sealed = envelope(stored)?;
    Cipher::key_id_of(&sealed).ok().map(str::to_owned)
}

/// Where the payload of a job lies: the same in all tables that a job goes through.
pub(crate) fn place_of_payload(job: Uuid) -> SealedPlace {
    SealedPlace::new("millpond.jobs", job, "payload")
}

pub(crate) fn place_of_patch(replay: Uuid) -> SealedPlace {
    SealedPlace::new("millpond.replays", replay, "patch")
}

fn sealed_text(sealed: &[u8]) -> String {
    format!("{HEAD}\"{}\"}}", STANDARD.encode(sealed))
}

fn envelope(stored: &str) -> Option<Vec<u8>> {
    let quoted = stored.strip_prefix(HEAD)?.strip_suffix('}')?;
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    const PLAIN: &str = r#"{"em": "a@example.com", "n": 1.0}"#;

    fn sealer(id: &str) -> Sealer {
        let list = SecretString::from(format!("{id}:{}", "5a".repeat(32)));
        Sealer::new(Arc::new(Cipher::read(&list).expect("a key")))
    }

    #[test]
    fn a_sealed_payload_is_a_document_that_opens_for_its_own_job_alone() {
        let (sealer, job) = (sealer("a"), Uuid::now_v7());

        let stored = sealer.seal(job, PLAIN);

        assert!(serde_json::from_str::<Value>(&stored).is_ok());
        assert!(!stored.contains("example"));
        assert_eq!(opened(Some(&sealer), job, &stored).as_deref(), Ok(PLAIN));
        let elsewhere = opened(Some(&sealer), Uuid::now_v7(), &stored);
        assert!(matches!(
            elsewhere,
            Err(Unopened::Cipher(CipherError::Tampered { .. }))
        ));
    }

    #[test]
    fn what_is_missing_is_told_from_what_is_wrong() {
        let (job, here) = (Uuid::now_v7(), sealer("a"));
        let stored = here.seal(job, PLAIN);

        let without = opened(None, job, &stored);
        let other = opened(Some(&sealer("b")), job, &stored);
        let wiped = opened(Some(&here), job, WIPED);

        assert_eq!(without, Err(Unopened::NoKeys));
        assert!(other.is_err_and(|why| why.is_of_setup()));
        assert_eq!(wiped, Err(Unopened::Wiped));
        assert!(!Unopened::Wiped.is_of_setup());
    }

    #[test]
    fn what_is_not_sealed_stays_as_it_is() {
        let job = Uuid::now_v7();

        assert_eq!(opened(None, job, PLAIN).as_deref(), Ok(PLAIN));
        assert_eq!(key_id_of(PLAIN), None);
        assert_eq!(
            key_id_of(&sealer("a").seal(job, PLAIN)).as_deref(),
            Some("a")
        );
    }

    #[test]
    fn a_patch_opens_for_its_own_run_alone() {
        let (sealer, run) = (sealer("a"), Uuid::now_v7());
        let patch = json!({"em": "b@example.com"});

        let stored = sealer.seal_patch(run, &patch);

        assert!(!stored.to_string().contains("example"));
        assert_eq!(
            opened_patch(Some(&sealer), run, stored.clone()),
            Ok(patch.clone())
        );
        assert!(opened_patch(Some(&sealer), Uuid::now_v7(), stored).is_err());
        assert_eq!(opened_patch(None, run, patch.clone()), Ok(patch));
    }
}
