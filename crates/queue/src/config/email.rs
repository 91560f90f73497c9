//! `[email]`: who mail comes from. Only the form is checked here; sending is left to others.

use super::{problem::Refusal, section::Section, shape::Text};

/// `[email]`: who mail comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The sender, as `Name <address>` or the address alone; needed where mail is sent.
    pub from: Option<String>,
    /// Where answers go; `None`: to the sender.
    pub reply_to: Option<String>,
}

impl Email {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            from: section
                .key(
                    "from",
                    "The sender of all mail; required where email.send is used.",
                )
                .optional(mailbox()),
            reply_to: section
                .key("reply_to", "Where answers go; to the sender unless set.")
                .optional(mailbox()),
        }
    }
}

fn mailbox() -> Text {
    Text {
        expected: "a mailbox such as \"Millpond <jobs@example.com>\"",
        check: check_mailbox,
    }
}

/// One mailbox in one line: a line break in it would start a header of its own.
fn check_mailbox(text: &str) -> Result<(), Refusal> {
    if text.contains(char::is_control) {
        return Err(Refusal::new("must be one line without control characters"));
    }
    let (name, address) = match text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
    {
        Some((name, address)) => (name.trim(), address),
        None => ("", text),
    };
    if !is_display_name(name) {
        return Err(Refusal::new(format!(
            "the name {name:?} must stand in double quotes, written \\\" in TOML"
        )));
    }
    if !is_address(address) {
        return Err(Refusal::new(format!(
            "{address:?} is no address such as \"jobs@example.com\""
        )));
    }
    Ok(())
}

/// Words without the characters that mean something in a header, or anything in quotes.
fn is_display_name(name: &str) -> bool {
    let quoted = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    match quoted {
        Some(inner) => !inner.contains(['"', '\\']),
        None => !name.contains(['"', '\\', '(', ')', '<', '>', '[', ']', ':', ';', '@', ',']),
    }
}

fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return false;
    };
    let is_atom = |atom: &str| {
        let is_text = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        !atom.is_empty() && atom.chars().all(is_text)
    };
    let is_label = |label: &str| {
        let is_text = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_edged = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && label.chars().all(is_text) && !is_edged
    };
    local.len() <= 64
        && domain.len() <= 253
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        let right = [
            "jobs@example.com",
            "Millpond <jobs@example.com>",
            "Müller & Söhne <a.b+c@mail.example.com>",
            "\"Mill, Pond\" <jobs@localhost>",
        ];

        for text in right {
            assert_eq!(check_mailbox(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_could_become_another_header_or_recipient_is_refused() {
        let wrong = [
            "",
            "Millpond",
            "Millpond <>",
            "Millpond <jobs@>",
            "a@example.com, b@example.com",
            "Mill, Pond <jobs@example.com>",
            "Millpond <jobs@example.com>\r\nBcc: x@example.com",
            "jobs@exa mple.com",
            "jobs@-example.com",
            "jobs@example..com",
            ".jobs@example.com",
            "\"a\" <b@example.com> <c@example.com>",
        ];

        for text in wrong {
            assert!(check_mailbox(text).is_err(), "{text}");
        }
    }
}
