//! How a mail looks: whose it is, and where its recipient ends what it is one of.

use serde::Serialize;

/// The colour of buttons and bars where a brand names none.
const USUAL_COLOR: &str = "#1f5fa8";
/// Of text on what is light.
const INK: &str = "#1c232b";
/// Of text on what is dark.
const PAPER: &str = "#ffffff";
/// From which brightness on, of 255, a colour is light: white on it is hard to read, and it is on white.
const LIGHT: u32 = 150;

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

    /// Of text on that colour.
    pub(super) fn color_on_it(&self) -> &str {
        if is_light(self.color()) { INK } else { PAPER }
    }

    /// Of the name at the head: that colour, where it can be read.
    pub(super) fn name_color(&self) -> &str {
        let color = self.color();
        if is_light(color) { INK } else { color }
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

/// Whether people see `#rrggbb` as light: green counts most, blue least.
fn is_light(color: &str) -> bool {
    let digits = color.trim_start_matches('#');
    let rgb = u32::from_str_radix(digits, 16).unwrap_or_default();
    let part = |shift: u32| (rgb >> shift) & 0xff;
    (part(16) * 299 + part(8) * 587 + part(0) * 114) / 1_000 >= LIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fails when a brand's colour makes a button, or a name, that nobody can read.
    #[test]
    fn text_can_be_read_beside_every_colour() {
        let colors = |color: &str| {
            let brand = Brand {
                color: Some(color.to_owned()),
                ..Brand::default()
            };
            let look = Look {
                brand,
                unsubscribe_url: None,
            };
            (look.color_on_it().to_owned(), look.name_color().to_owned())
        };
        let told = |on_it: &str, name: &str| (on_it.to_owned(), name.to_owned());

        assert_eq!(colors("#ffffff"), told(INK, INK));
        assert_eq!(colors("#ffd54f"), told(INK, INK));
        assert_eq!(colors("#1f5fa8"), told(PAPER, "#1f5fa8"));
        assert_eq!(colors("#000000"), told(PAPER, "#000000"));
    }
}
