//! Signatures that somebody else's library made.

use serde::Deserialize;
use url::form_urlencoded;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    method: String,
    url: String,
    content_type: Option<String>,
    body: Option<String>,
    consumer_key: String,
    consumer_secret: String,
    token: String,
    token_secret: String,
    nonce: String,
    timestamp: String,
    signature_base_string: String,
    signature: String,
}

impl Vector {
    /// The header that the call is sent with.
    fn header(&self) -> String {
        let mut params = vec![
            ("oauth_consumer_key", self.consumer_key.clone()),
            ("oauth_nonce", self.nonce.clone()),
            ("oauth_signature", self.signature.clone()),
            ("oauth_signature_method", "HMAC-SHA1".to_owned()),
            ("oauth_timestamp", self.timestamp.clone()),
            ("oauth_token", self.token.clone()),
            ("oauth_version", "1.0".to_owned()),
        ];
        if self.content_type.as_deref() == Some("application/json") {
            let body = self.body.as_deref().unwrap_or_default();
            let hash = STANDARD.encode(Sha1::digest(body));
            params.push(("oauth_body_hash", hash));
        }
        let params: Vec<_> = params
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", base::encode(value)))
            .collect();
        format!("OAuth {}", params.join(", "))
    }

    fn base_string(&self) -> String {
        let (url, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let mut params = base::sent_as_signed(query).expect("a query that is encoded well");
        if self.content_type.as_deref() == Some("application/x-www-form-urlencoded") {
            let body = self.body.as_deref().unwrap_or_default();
            params.extend(form_urlencoded::parse(body.as_bytes()).into_owned());
        }
        let header = Header::read(&self.header()).expect("a header");
        params.extend(header.signed());
        base::string(&self.method, url, &params)
    }
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../vectors/x_oauth1.json");
    let read: Vectors = serde_json::from_str(text).expect("vectors");
    read.vectors
}

#[test]
fn the_signatures_of_another_library_fit() {
    let vectors = vectors();
    assert!(vectors.len() >= 8);
    for vector in &vectors {
        let secrets = (
            vector.consumer_secret.as_str(),
            vector.token_secret.as_str(),
        );

        let base = vector.base_string();

        assert_eq!(base, vector.signature_base_string, "{}", vector.id);
        assert!(fits(&base, secrets, &vector.signature), "{}", vector.id);
    }
}

#[test]
fn a_signature_fits_nothing_else() {
    let vectors = vectors();
    let vector = &vectors[0];
    let base = vector.base_string();
    let secrets = (
        vector.consumer_secret.as_str(),
        vector.token_secret.as_str(),
    );

    assert!(!fits(&base, (secrets.0, "another"), &vector.signature));
    assert!(!fits(&base, (secrets.1, secrets.0), &vector.signature));
    assert!(!fits(&format!("{base} "), secrets, &vector.signature));
    assert!(!fits(&base, secrets, &vectors[1].signature));
    assert!(!fits(&base, secrets, "no base64"));
}

#[test]
fn a_query_that_is_sent_in_another_way_than_it_is_signed_is_refused() {
    for query in [
        "start_time=2026-11-01T00:00:00Z",
        "entity_ids=a,b",
        "q=a+b",
        "start_time=2026-11-01T00%3a00",
        "q=%41",
        "q=%",
        "q=%zz",
        "q=%ff",
    ] {
        assert_eq!(base::sent_as_signed(query), None, "{query}");
    }
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        base::sent_as_signed("a=1%2C2&b&c=%20"),
        Some(vec![pair("a", "1,2"), pair("b", ""), pair("c", " ")])
    );
}

#[test]
fn a_header_that_names_something_twice_is_none() {
    let read = |text| Header::read(text).is_some();

    assert!(read("OAuth a=\"1\", b=\"2\""));
    assert!(!read("OAuth a=\"1\", a=\"2\""));
    assert!(!read("OAuth a=1"));
    assert!(!read("Bearer a"));
    assert!(!read("OAuth "));
}
