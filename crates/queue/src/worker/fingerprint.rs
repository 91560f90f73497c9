//! What makes two failures the same failure: kind, class, and the provider's code or the error's text without what
//! differs from job to job.

use sha2::{Digest, Sha256};

use crate::job::ErrorClass;

/// Hex digits of a fingerprint.
const DIGITS: usize = 16;

/// The fingerprint of a failure.
pub(crate) fn fingerprint(
    kind: &str,
    class: ErrorClass,
    code: Option<&str>,
    error: &str,
) -> String {
    let cause = code.map_or_else(|| without_particulars(error), str::to_owned);
    let digest = Sha256::digest(format!("{kind}\u{1f}{class}\u{1f}{cause}").as_bytes());
    let mut text = hex::encode(digest);
    text.truncate(DIGITS);
    text
}

/// The text with numbers, ids and quoted parts replaced, since they differ from job to job.
fn without_particulars(error: &str) -> String {
    let mut text = String::with_capacity(error.len());
    let mut quoted = false;
    for word in error.split_whitespace() {
        let opens = word.starts_with(['"', '\'', '`']);
        if !(quoted || opens) {
            text.push_str(if word.chars().any(|c| c.is_ascii_digit()) {
                "#"
            } else {
                word
            });
            text.push(' ');
        }
        let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
        quoted = (quoted || opens) && !(bare.len() > 1 && bare.ends_with(['"', '\'', '`']));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: &str) -> String {
        fingerprint("email.send", ErrorClass::Transient, None, error)
    }

    #[test]
    fn failures_that_differ_in_particulars_are_the_same() {
        assert_eq!(
            of("job 17 timed out after 30s"),
            of("job 18 timed out after 31s")
        );
        assert_eq!(
            of("no host \"a.example\" found"),
            of("no host \"b c.example\" found")
        );
    }

    #[test]
    fn failures_of_other_causes_kinds_and_classes_differ() {
        assert_ne!(of("refused"), of("timed out"));
        assert_ne!(
            of("refused"),
            fingerprint("http.request", ErrorClass::Transient, None, "refused")
        );
        assert_ne!(
            of("refused"),
            fingerprint("email.send", ErrorClass::Invalid, None, "refused")
        );
        assert_ne!(
            fingerprint("a.b", ErrorClass::Invalid, Some("100/33"), "x"),
            fingerprint("a.b", ErrorClass::Invalid, Some("100/34"), "x")
        );
    }
}
