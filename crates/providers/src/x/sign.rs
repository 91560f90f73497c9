//! Signatures of OAuth 1.0a (RFC 5849, HMAC-SHA1). What is signed and what is sent are encoded by the same function: a query
//! that is encoded in another way than it was signed is refused.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use url::Url;

/// Random bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// Names and values of a query, not encoded.
pub(super) type Params = Vec<(&'static str, String)>;

/// What requests are signed with.
pub(super) struct Keys<'a> {
    pub(super) consumer_key: &'a SecretString,
    pub(super) consumer_secret: &'a SecretString,
    /// `None`: nobody has given access yet.
    pub(super) token: Option<Token<'a>>,
    /// What a step of giving access says beside what every request says: `oauth_callback`, `oauth_verifier`.
    pub(super) step: Option<(&'static str, &'a str)>,
}

/// A token with its second half.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) token: &'a SecretString,
    pub(super) secret: &'a SecretString,
}

/// What makes each signature another one: every request, a repeated one as well, needs its own.
pub(super) struct Stamp {
    nonce: String,
    /// Seconds since 1970.
    timestamp: i64,
}

impl Stamp {
    /// A stamp that nobody has used.
    pub(super) fn new(timestamp: i64) -> Self {
        Self {
            nonce: hex::encode(rand::random::<[u8; NONCE_BYTES]>()),
            timestamp,
        }
    }
}

impl Keys<'_> {
    /// The `Authorization` header of a request. `params` are those of its query and of a form in its body; another body is
    /// not signed.
    pub(super) fn authorization(
        &self,
        method: &Method,
        url: &Url,
        params: &[(&str, String)],
        stamp: &Stamp,
    ) -> String {
        let protocol = self.protocol(stamp);
        let signed = protocol
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(params.iter().map(|(name, value)| (*name, value.as_str())));
        let signature = self.signature(&base_string(method, url, signed));

        let mut header = String::from("OAuth ");
        for (name, value) in &protocol {
            let value = encoded(value);
            write!(header, "{name}=\"{value}\", ").expect("a String takes every text");
        }
        let signature = encoded(&signature);
        write!(header, "oauth_signature=\"{signature}\"").expect("a String takes every text");
        header
    }

    fn protocol(&self, stamp: &Stamp) -> Params {
        let mut protocol = vec![
            (
                "oauth_consumer_key",
                self.consumer_key.expose_secret().to_owned(),
            ),
            ("oauth_nonce", stamp.nonce.clone()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", stamp.timestamp.to_string()),
        ];
        if let Some(Token { token, .. }) = self.token {
            protocol.push(("oauth_token", token.expose_secret().to_owned()));
        }
        protocol.push(("oauth_version", "1.0".to_owned()));
        let step = self.step.map(|(name, value)| (name, value.to_owned()));
        protocol.extend(step);
        protocol
    }

    fn signature(&self, base_string: &str) -> String {
        let token_secret = self.token.map(|token| token.secret.expose_secret());
        let key = SecretString::from(format!(
            "{}&{}",
            encoded(self.consumer_secret.expose_secret()),
            encoded(token_secret.unwrap_or_default())
        ));
        let mut mac = Hmac::<Sha1>::new_from_slice(key.expose_secret().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(base_string.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

/// A query as it stands behind the question mark.
pub(super) fn query(params: &[(&str, String)]) -> String {
    let pairs = params
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// What is signed: the method, the address without its query, and all parameters, sorted as they are encoded.
fn base_string<'p>(
    method: &Method,
    url: &Url,
    params: impl Iterator<Item = (&'p str, &'p str)>,
) -> String {
    let mut params: Vec<(String, String)> = params
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    params.sort_unstable();
    let params: Vec<String> = params
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // `Url` has the host in small letters and leaves a default port out.
    let mut address = url.clone();
    address.set_query(None);
    address.set_fragment(None);
    format!(
        "{method}&{}&{}",
        encoded(address.as_str()),
        encoded(&params.join("&"))
    )
}

/// A text in which only letters, digits and `-._~` stand for themselves.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes every text");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
