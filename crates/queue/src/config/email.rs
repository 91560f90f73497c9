//! `[email]`: who mail comes from and how it looks, for all and for single tenants. Only the form is checked here; sending is
//! left to others.

use std::collections::BTreeMap;

use super::{names::NameRule, problem::Refusal, section::Section, shape::Text};

/// Longest name, address of a page or postal address of a brand, in characters.
const LONGEST_LINE: usize = 200;

/// `[email]`: who mail comes from, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The sender, as `Name <address>` or the address alone; needed where mail is sent.
    pub from: Option<String>,
    /// Where answers go; `None`: to the sender.
    pub reply_to: Option<String>,
    /// How mails look.
    pub brand: EmailBrand,
    /// What tenants have in the place of it.
    pub tenants: BTreeMap<String, TenantEmail>,
}

/// `[email.tenants.NAME]`: who a tenant's mail comes from; what is `None` is as for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantEmail {
    /// The sender of its mails.
    pub from: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// How its mails look.
    pub brand: EmailBrand,
}

/// How mails look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailBrand {
    /// What stands at their head and in their foot; `None`: nothing.
    pub name: Option<String>,
    /// Of buttons and bars, as `#1f5fa8`; `None`: that one.
    pub color: Option<String>,
    /// An image at their head, at an https address; `None`: the name.
    pub logo_url: Option<String>,
    /// The sender's postal address, in one line.
    pub address: Option<String>,
    /// The https address of the page where owners connect their accounts again; `None`: mails name no page.
    pub connect_url: Option<String>,
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
            brand: EmailBrand::read(section),
            tenants: section
                .key(
                    "tenants",
                    "What holds for the mail of single tenants instead.",
                )
                .table(|tenants| {
                    tenants.each(NameRule::Tenant, &[], |_, section| {
                        Some(TenantEmail::read(section))
                    })
                }),
        }
    }

    /// What holds for mails of this tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: Option<&str>) -> TenantEmail {
        let own = tenant.and_then(|tenant| self.tenants.get(tenant));
        let either = |own: Option<&Option<String>>, all: &Option<String>| {
            own.cloned().flatten().or_else(|| all.clone())
        };
        // Answers to a tenant's own sender are not another one's to read.
        let has_sender = own.is_some_and(|own| own.from.is_some());
        let brand = own.map(|own| &own.brand);
        TenantEmail {
            from: either(own.map(|own| &own.from), &self.from),
            reply_to: match (own, has_sender) {
                (Some(own), true) => own.reply_to.clone(),
                (own, _) => either(own.map(|own| &own.reply_to), &self.reply_to),
            },
            brand: EmailBrand {
                name: either(brand.map(|it| &it.name), &self.brand.name),
                color: either(brand.map(|it| &it.color), &self.brand.color),
                logo_url: either(brand.map(|it| &it.logo_url), &self.brand.logo_url),
                address: either(brand.map(|it| &it.address), &self.brand.address),
                connect_url: either(brand.map(|it| &it.connect_url), &self.brand.connect_url),
            },
        }
    }
}

impl TenantEmail {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            from: section
                .key(
                    "from",
                    "The sender of the tenant's mail; [email] from unless set.",
                )
                .optional(mailbox()),
            reply_to: section
                .key(
                    "reply_to",
                    "Where answers go; as for all, or to the tenant's own sender, unless set.",
                )
                .optional(mailbox()),
            brand: EmailBrand::read(section),
        }
    }
}

impl EmailBrand {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            name: section
                .key("name", "What stands at the head of mails and in their foot.")
                .optional(line("a name such as \"Analytical Engines\"")),
            color: section
                .key("color", "The colour of buttons and bars; \"#1f5fa8\" unless set.")
                .optional(Text {
                    expected: "a colour such as \"#1f5fa8\"",
                    check: check_color,
                }),
            logo_url: section
                .key("logo_url", "An image at the head of mails, instead of the name.")
                .optional(page("an address such as \"https://www.example.com/logo.png\"")),
            address: section
                .key("address", "The sender's postal address, in the foot of mails.")
                .optional(line("an address such as \"1 Mill Lane, 89073 Ulm\"")),
            connect_url: section
                .key(
                    "connect_url",
                    "The page where owners connect their accounts again, for mails that ask them to.",
                )
                .optional(page("an address such as \"https://app.example.com/connections\"")),
        }
    }
}

fn line(expected: &'static str) -> Text {
    Text {
        expected,
        check: check_line,
    }
}

fn page(expected: &'static str) -> Text {
    Text {
        expected,
        check: check_page,
    }
}

fn check_line(text: &str) -> Result<(), Refusal> {
    let is_line = !text.trim().is_empty() && !text.contains(char::is_control);
    if is_line && text.chars().count() <= LONGEST_LINE {
        return Ok(());
    }
    Err(Refusal::new("must be one line of 1 to 200 characters"))
}

fn check_color(text: &str) -> Result<(), Refusal> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Refusal::new("must be # and six hexadecimal digits"))
}

/// Mails are read in browsers that show nothing from anywhere else.
fn check_page(text: &str) -> Result<(), Refusal> {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    if !host.is_empty() && !host.starts_with('/') && is_plain && text.len() <= LONGEST_LINE {
        return Ok(());
    }
    Err(Refusal::new(
        "must be an https address of at most 200 characters",
    ))
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

    fn email(text: &str) -> Email {
        let parsed = crate::config::Config::parse(text, &[]);
        parsed.expect("the text is right").config.email
    }

    #[test]
    fn a_tenant_has_its_own_and_all_else_is_as_for_all() {
        let email = email(
            "[email]\nfrom = \"jobs@example.com\"\nreply_to = \"team@example.com\"\nname = \"Mill\"\ncolor = \"#112233\"\n\
             [email.tenants.acme]\nfrom = \"news@acme.example\"\nname = \"Acme\"\n\
             [email.tenants.looms]\ncolor = \"#ffffff\"\n",
        );

        let of = |tenant| email.of_tenant(tenant);
        let (all, acme, looms) = (of(None), of(Some("acme")), of(Some("looms")));

        assert_eq!(of(Some("other")), all);
        assert_eq!(all.reply_to.as_deref(), Some("team@example.com"));
        assert_eq!(acme.from.as_deref(), Some("news@acme.example"));
        assert_eq!(acme.reply_to, None);
        assert_eq!(acme.brand.name.as_deref(), Some("Acme"));
        assert_eq!(acme.brand.color.as_deref(), Some("#112233"));
        assert_eq!(looms.reply_to.as_deref(), Some("team@example.com"));
        assert_eq!(looms.brand.color.as_deref(), Some("#ffffff"));
    }

    #[test]
    fn what_could_end_an_attribute_is_no_part_of_a_brand() {
        for wrong in ["red", "#12345", "#12345g", "#112233; x: y"] {
            assert!(check_color(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "http://x.example",
            "https://",
            "https:///x",
            "https://x/\"onload=",
            "https://x y",
        ] {
            assert!(check_page(wrong).is_err(), "{wrong}");
        }
        assert!(check_line("a\nb").is_err() && check_line(" ").is_err());
        assert_eq!(check_page("https://www.example.com/logo.png"), Ok(()));
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
