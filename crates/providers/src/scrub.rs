//! What is taken out of other people's texts before they reach an error, a log or a page: secrets, queries of URLs, mail
//! addresses and characters that forge lines. Texts are scrubbed here once, where they enter, never where they are shown.

use url::form_urlencoded::byte_serialize;

/// What stands in a secret's place.
const REDACTED: &str = "***";

/// What stands in a mail address's place.
const ADDRESS: &str = "[address]";

/// Anything shorter says too little to be a secret and would tear holes into ordinary words.
const SHORTEST_SECRET: usize = 6;

/// Characters of a text that are looked at. More than any limit here, so a secret cut in two at its end is never shown.
const LONGEST_TEXT: usize = 16 * 1024;

/// Names whose value is a secret, wherever they stand.
const SECRET_NAMES: [&str; 12] = [
    "access_token",
    "refresh_token",
    "id_token",
    "appsecret_proof",
    "app_secret",
    "client_secret",
    "authorization",
    "bearer",
    "password",
    "api_key",
    "x-api-key",
    "set-cookie",
];

/// The text on one line, without what must not be shown, at most `limit` characters long.
///
/// `secrets` are cut out wherever they stand; shapes that are known to be secrets go without being named.
pub(crate) fn scrub(text: &str, secrets: &[&str], limit: usize) -> String {
    let mut text: String = text.chars().take(LONGEST_TEXT).collect();
    for secret in secrets {
        if secret.len() >= SHORTEST_SECRET {
            text = text.replace(secret, REDACTED);
            // As it was sent in an address or a form.
            let encoded: String = byte_serialize(secret.as_bytes()).collect();
            text = text.replace(&encoded, REDACTED);
        }
    }

    let mut shown = String::with_capacity(text.len());
    let mut hide_next = false;
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        shown.push_str(&scrub_word(word, &mut hide_next));
        shown.push_str(&piece[word.len()..]);
    }

    shown.chars().map(on_one_line).take(limit).collect()
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>(){}[],;".contains(c)
}

/// `hide_next` is set by a secret's name and cleared by its value.
fn scrub_word(word: &str, hide_next: &mut bool) -> String {
    if word.chars().all(|c| matches!(c, ':' | '=')) {
        return word.to_owned();
    }
    let lower = word.to_ascii_lowercase();
    if std::mem::take(hide_next) {
        // The scheme of an `Authorization` header stands between its name and the secret.
        *hide_next = matches!(lower.as_str(), "basic" | "bearer");
        return if *hide_next { word } else { REDACTED }.to_owned();
    }
    if SECRET_NAMES.contains(&lower.trim_end_matches([':', '='])) {
        *hide_next = true;
        return word.to_owned();
    }
    for name in SECRET_NAMES {
        if let Some(at) = lower.find(&format!("{name}=")) {
            return format!("{}{REDACTED}", &word[..=at + name.len()]);
        }
    }
    if let (Some(_), Some(query)) = (word.find("://"), word.find('?')) {
        return format!("{}{REDACTED}", &word[..=query]);
    }
    if is_token(word) {
        return REDACTED.to_owned();
    }
    match word.find('@') {
        Some(at) if at > 0 && at + 1 < word.len() => ADDRESS.to_owned(),
        _ => word.to_owned(),
    }
}

/// Shapes of secrets that are known: Meta's tokens, Standard Webhooks' secrets, our own API keys.
fn is_token(word: &str) -> bool {
    (word.starts_with("EAA") && word.len() >= 30)
        || word.starts_with("whsec_")
        || (word.starts_with("mp_") && word.len() >= 20)
}

/// Line breaks become blanks; what moves the cursor or the reading direction becomes visible.
fn on_one_line(c: char) -> char {
    match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_cut_out_wherever_it_stands() {
        let text = scrub(
            "token s3cr3t-value was s3cr3t-value",
            &["s3cr3t-value"],
            100,
        );

        assert_eq!(text, "token *** was ***");
    }

    #[test]
    fn a_known_secret_is_cut_out_as_it_stands_in_a_form_too() {
        let text = scrub(
            "code=4%2F0Af-s3cr3t%2B, 4/0Af-s3cr3t+",
            &["4/0Af-s3cr3t+"],
            100,
        );

        assert_eq!(text, "code=***, ***");
    }

    #[test]
    fn secrets_that_nobody_named_are_cut_out_by_their_shape_or_name() {
        let cases = [
            (
                "https://graph.example/v26.0/me?access_token=abc&limit=1",
                "https://graph.example/v26.0/me?access_token=***",
            ),
            (
                "see https://example.com/a?code=1 now",
                "see https://example.com/a?*** now",
            ),
            (
                r#"{"access_token": "abc", "x": 1}"#,
                r#"{"access_token": "***", "x": 1}"#,
            ),
            ("Authorization: Basic dXNlcjpw", "Authorization: Basic ***"),
            ("got EAAfakeTokenNotReal000000000000000001", "got ***"),
            ("whsec_abc", "***"),
            ("550 <ada@example.com> unknown", "550 <[address]> unknown"),
        ];

        for (text, expected) in cases {
            assert_eq!(scrub(text, &[], 200), expected, "{text}");
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "Error validating access token: Session has expired on Friday, 20-Nov-26";

        assert_eq!(scrub(text, &[""], 200), text);
    }

    #[test]
    fn forged_lines_and_directions_become_harmless() {
        assert_eq!(
            scrub("a\r\nb\u{1b}[31mc\u{202e}d", &[], 100),
            "a  b\u{fffd}[31mc\u{fffd}d"
        );
    }

    #[test]
    fn a_long_text_is_cut_by_characters() {
        assert_eq!(scrub(&"é".repeat(100_000), &[], 500), "é".repeat(500));
    }
}
