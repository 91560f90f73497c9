//! Signatures against vectors that another program made, and what is sent against what is signed.

use serde::Deserialize;
use sha1::Digest as _;

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
    fn method(&self) -> Method {
        self.method.parse().expect("a method")
    }

    fn url(&self) -> Url {
        self.url.parse().expect("a URL")
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            nonce: self.nonce.clone(),
            timestamp: self.timestamp.parse().expect("seconds"),
        }
    }

    /// The parameters of the query and of a form; of another body only its hash, which whoever made the vectors signs
    /// beyond what X asks for.
    fn params(&self) -> Vec<(String, String)> {
        let url = self.url();
        let mut params: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let body = self.body.as_deref().unwrap_or_default();
        match self.content_type.as_deref() {
            Some("application/x-www-form-urlencoded") => {
                let form = url::form_urlencoded::parse(body.as_bytes());
                params.extend(form.into_owned());
            }
            Some(_) => {
                let hash = STANDARD.encode(Sha1::digest(body.as_bytes()));
                params.push(("oauth_body_hash".to_owned(), hash));
            }
            None => {}
        }
        params
    }
}

fn vectors() -> Vec<Vector> {
    let file = include_str!("../../../vectors/x_oauth1.json");
    let vectors: Vectors = serde_json::from_str(file).expect("the vectors are JSON");
    vectors.vectors
}

fn with_keys<T>(vector: &Vector, then: impl FnOnce(&Keys<'_>) -> T) -> T {
    then(&Keys {
        consumer_key: &vector.consumer_key.as_str().into(),
        consumer_secret: &vector.consumer_secret.as_str().into(),
        token: Some(Token {
            token: &vector.token.as_str().into(),
            secret: &vector.token_secret.as_str().into(),
        }),
        step: None,
    })
}

#[test]
fn every_base_string_and_signature_of_the_vectors_is_met() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 8);

    for vector in &vectors {
        let params = vector.params();

        let (base, signature) = with_keys(vector, |keys| {
            let protocol = keys.protocol(&vector.stamp());
            let protocol = protocol.iter().map(|(name, value)| (*name, value.as_str()));
            let params = params
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let base = base_string(&vector.method(), &vector.url(), protocol.chain(params));
            let signature = keys.signature(&base);
            (base, signature)
        });

        assert_eq!(base, vector.signature_base_string, "{}", vector.id);
        assert_eq!(signature, vector.signature, "{}", vector.id);
    }
}

#[test]
fn a_header_holds_the_signature_of_exactly_the_query_that_is_sent() {
    let vectors = vectors();
    let vector = vectors
        .iter()
        .find(|vector| vector.id == "xo-02")
        .expect("a vector");
    let params = [
        ("entity", "CAMPAIGN"),
        ("entity_ids", "a1,b2"),
        ("start_time", "2026-11-01T00:00:00Z"),
        ("end_time", "2026-11-02T00:00:00Z"),
        ("granularity", "HOUR"),
        ("placement", "ALL_ON_TWITTER"),
        ("metric_groups", "ENGAGEMENT,BILLING"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let mut url: Url = "https://ads-api.x.com/12/stats/accounts/fake1"
        .parse()
        .expect("a URL");

    let header = with_keys(vector, |keys| {
        keys.authorization(&Method::GET, &url, &params, &vector.stamp())
    });
    url.set_query(Some(&query(&params)));

    assert_eq!(url.as_str(), vector.url);
    assert_eq!(
        header,
        "OAuth oauth_consumer_key=\"fakeConsumerKeyNotReal\", oauth_nonce=\"fakenonce000001\", \
         oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1762000000\", \
         oauth_token=\"1-fakeTokenNotReal\", oauth_version=\"1.0\", \
         oauth_signature=\"c7ufsG7RQudE5qyiogME53B%2B8iA%3D\""
    );
}

// As oauthlib 3.2.2 signs both steps, with the keys and the stamp of the vectors.
#[test]
fn the_steps_by_which_access_is_given_are_signed_with_what_there_is_by_then() {
    let vectors = vectors();
    let vector = &vectors[0];
    let (token, secret) = ("fakeRequestTokenNotReal", "fakeRequestSecretNotReal");
    let signed = |last: &str, has_token: bool, step: (&'static str, &str)| {
        let url: Url = format!("https://api.x.com/oauth/{last}")
            .parse()
            .expect("a URL");
        with_keys(vector, |keys| {
            let token = Token {
                token: &token.into(),
                secret: &secret.into(),
            };
            let keys = Keys {
                token: has_token.then_some(token),
                step: Some(step),
                ..*keys
            };
            keys.authorization(&Method::POST, &url, &[], &vector.stamp())
        })
    };

    let back = "https://jobs.example.com/v1/oauth/x/callback";
    let first = signed("request_token", false, ("oauth_callback", back));
    let last = signed(
        "access_token",
        true,
        ("oauth_verifier", "fakeVerifierNotReal"),
    );

    let ends = "oauth_callback=\"https%3A%2F%2Fjobs.example.com%2Fv1%2Foauth%2Fx%2Fcallback\", \
                oauth_signature=\"0k51X9nLvGM%2Fy4ZdVA5UtdlfEVI%3D\"";
    assert!(
        first.ends_with(ends) && !first.contains("oauth_token="),
        "{first}"
    );
    assert!(
        last.contains("oauth_token=\"fakeRequestTokenNotReal\""),
        "{last}"
    );
    assert!(
        last.ends_with("oauth_signature=\"N3l94%2BaQK9%2BqcuzDrxwlaMmDGAc%3D\""),
        "{last}"
    );
}

#[test]
fn the_query_is_sent_as_it_was_signed_whatever_is_in_it() {
    let params = [("q", "a b+c*~é'\"<>#".to_owned()), ("x", "/d==".to_owned())];
    let mut url: Url = "https://ads-api.x.com/12/accounts".parse().expect("a URL");

    url.set_query(Some(&query(&params)));

    assert_eq!(
        url.query(),
        Some("q=a%20b%2Bc%2A~%C3%A9%27%22%3C%3E%23&x=%2Fd%3D%3D")
    );
}

#[test]
fn the_address_is_signed_without_a_default_port_and_with_another_one() {
    let signed = |text: &str| {
        let url: Url = text.parse().expect("a URL");
        base_string(&Method::GET, &url, std::iter::empty())
    };

    assert_eq!(
        signed("https://ADS-API.x.com:443/12/accounts?x=1#y"),
        "GET&https%3A%2F%2Fads-api.x.com%2F12%2Faccounts&"
    );
    assert_eq!(
        signed("http://127.0.0.1:4000/x/12/accounts"),
        "GET&http%3A%2F%2F127.0.0.1%3A4000%2Fx%2F12%2Faccounts&"
    );
}

#[test]
fn no_two_stamps_are_alike() {
    let (first, second) = (Stamp::new(1), Stamp::new(1));

    assert_ne!(first.nonce, second.nonce);
    assert_eq!(first.nonce.len(), 32);
}
