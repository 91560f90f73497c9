//! How a mail looks: whose it is, and where its recipient ends what it is one of.

use serde::Serialize;

/// The colour of buttons and bars where a brand names none.
const USUAL_COLOR: &str = "#1f5fa8";

/// Whose mails look like this; what is `None` is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Brand {
    /// What stands at the head of each mail, and in its foot.
    pub name: Option<String>,
    /// The colour of buttons and bars: `#` and six hexadecimal digits.
    pub color: Option<String>,
    /// An image instead of the name at the head: an https address. Its alternative text is the name.
    pub logo_url: Option<String>,
    /// The sender's postal address, in one line: some countries ask for it.
    pub address: Option<String>,
}

/// How one mail looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whose it is.
    pub brand: Brand,
    /// Where its recipient ends what it is one of; `None`: it cannot be ended.
    pub unsubscribe_url: Option<String>,
}

impl Look {
    pub(super) fn name(&self) -> Option<&str> {
        self.brand.name.as_deref()
    }

    pub(super) fn alternative(&self) -> &str {
        self.name().unwrap_or_default()
    }

    pub(super) fn color(&self) -> &str {
        self.brand.color.as_deref().unwrap_or(USUAL_COLOR)
    }

    pub(super) fn logo_url(&self) -> Option<&str> {
        self.brand.logo_url.as_deref()
    }

    pub(super) fn address(&self) -> Option<&str> {
        self.brand.address.as_deref()
    }

    pub(super) fn unsubscribe_url(&self) -> Option<&str> {
        self.unsubscribe_url.as_deref()
    }
}
