//! A name as a mail tells it: it is whatever somebody typed at a platform.

use providers::mail::is_out_of_line;

/// Most characters of a name in a mail.
const LONGEST_NAME: usize = 80;

/// The name in one short line. Nothing in it ends that line, turns round what stands behind it, or is decoded by whoever
/// shows it.
pub(crate) fn one_line(name: &str) -> String {
    let line = name
        .chars()
        .map(|c| if is_out_of_line(c) { ' ' } else { c });
    let line: String = line.take(LONGEST_NAME).collect();
    line.replace("=?", "= ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use providers::mail::is_header_text;

    use super::*;

    // Fails when a name that somebody typed keeps a mail that tells it from being sent, or says what it does not show.
    #[test]
    fn whatever_somebody_typed_as_a_name_may_stand_in_a_header() {
        for (typed, told) in [
            ("Shop\r\nBcc: eve@example.com", "Shop  Bcc: eve@example.com"),
            ("Shop \u{202e}gnp.exe\u{2029}", "Shop  gnp.exe"),
            ("=?utf-8?q?Shop?=", "= utf-8?q?Shop?="),
            ("متجر & Söhne", "متجر & Söhne"),
            (" \n", ""),
        ] {
            let line = one_line(typed);

            assert_eq!(line, told);
            assert!(is_header_text(&line), "{line}");
        }
        assert_eq!(one_line(&"Ü".repeat(300)).chars().count(), LONGEST_NAME);
    }
}
