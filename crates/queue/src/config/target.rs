//! `target = "https://…"`: a kind whose work an upstream app does at its own endpoint.
//! Only what the text says is checked here; what its host resolves to is checked by whoever calls it.

use url::{Host, Url};

use super::{problem::Refusal, section::Section, shape::Text};

/// Longest name of an environment variable.
const MAX_NAME_CHARS: usize = 100;

/// The endpoint that does the work of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An `https` address, or an `http` one of this machine; no user info.
    pub url: String,
    /// The environment variable with the secret that signs the calls; `None`: they are not signed.
    pub secret_env: Option<String>,
}

impl Target {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let url = section
            .key(
                "target",
                "The endpoint that does the work: https, or http on this machine.",
            )
            .restart()
            .optional(Text {
                expected: "an address such as \"https://app.example.com/jobs\"",
                check: check_url,
            });
        let secret_env = section
            .key(
                "secret_env",
                "The environment variable with the secret that signs the calls.",
            )
            .restart()
            .optional(Text {
                expected: "the name of an environment variable such as \"BILLING_HOOK_SECRET\"",
                check: check_variable,
            });

        if section.has("secret_env") && !section.has("target") {
            section.refuse("secret_env", "has a meaning with target alone");
        }
        url.map(|url| Self { url, secret_env })
    }
}

fn check_url(text: &str) -> Result<(), Refusal> {
    // The parser drops tabs and line breaks, and trims blanks: what is called must be what is written.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Refusal::new("must not contain blanks"));
    }
    let url = Url::parse(text).map_err(|error| Refusal::new(format!("is no address ({error})")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::new("must not contain a user name or password"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => {
            let secure = format!("https{}", &url.as_str()["http".len()..]);
            let refusal = Refusal::new("must be https; plain http is for loopback addresses alone");
            Err(refusal.suggesting(Some(secure)))
        }
        _ => Err(Refusal::new("must begin with \"https://\"")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_variable(text: &str) -> Result<(), Refusal> {
    let is_allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_name = !text.is_empty()
        && text.len() <= MAX_NAME_CHARS
        && text.chars().all(is_allowed)
        && !text.starts_with(|c: char| c.is_ascii_digit());
    if is_name {
        Ok(())
    } else {
        Err(Refusal::new(
            "must be the name of an environment variable: A to Z, 0 to 9 and \"_\"",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_taken_everywhere_and_http_on_this_machine() {
        let right = [
            "https://app.example.com/jobs/close-month?x=1",
            "https://app.example.com:8443",
            "http://localhost:3000/hook",
            "http://127.0.0.1/hook",
            "http://[::1]:8080/",
        ];

        for text in right {
            assert_eq!(check_url(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn an_address_that_must_not_be_called_is_refused() {
        let wrong = [
            "",
            "app.example.com",
            "ftp://example.com/",
            "https://",
            "https://user:secret@example.com/",
            "https://user@example.com/",
            "https://exa mple.com/",
            "http://10.0.0.1/",
            "http://localhost.example.com/",
            "javascript:alert(1)",
        ];

        for text in wrong {
            assert!(check_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_http_is_refused_with_its_https_address() {
        let refusal = check_url("HTTP://app.example.com/jobs").expect_err("it is plain http");

        assert_eq!(
            refusal.suggestion.as_deref(),
            Some("https://app.example.com/jobs")
        );
    }

    #[test]
    fn a_variable_is_written_in_capitals() {
        assert_eq!(check_variable("BILLING_HOOK_SECRET_2"), Ok(()));
        for text in ["", "2X", "secret", "A B", "A=B"] {
            assert!(check_variable(text).is_err(), "{text}");
        }
    }
}
