//! How personal data is written before it is hashed, where Meta has rules of its own. Where its own libraries disagree with each
//! other, its Python SDK is followed. `None` means that the value cannot be used.

use chrono::{Datelike, NaiveDate};

use super::places;

/// Digits of an international phone number.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Nobody older than this is on record.
const FIRST_YEAR: i32 = 1900;

/// Digits with the country code. Nothing is guessed: a number in national form stays one.
pub(super) fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    // Words, marks of an extension, digits of other scripts: what is left without them would be another number.
    let is_foreign = |c: char| {
        c.is_alphabetic() || "#*,;".contains(c) || (c.is_numeric() && !c.is_ascii_digit())
    };
    if text.contains(is_foreign) {
        return None;
    }
    // Two numbers in one text.
    if text.chars().skip(1).any(|c| c == '+') {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    PHONE_DIGITS
        .contains(&digits.len())
        .then(|| digits.to_owned())
}

/// `YYYYMMDD` of a date that exists.
pub(super) fn date_of_birth(text: &str, today: NaiveDate) -> Option<String> {
    let date = read_date(text.trim())?;
    let is_possible = date.year() >= FIRST_YEAR && date <= today;
    is_possible.then(|| date.format("%Y%m%d").to_string())
}

/// Four digits.
pub(super) fn year(text: &str, today: NaiveDate) -> Option<String> {
    let year = i32::try_from(number(text.trim())?).ok()?;
    (FIRST_YEAR..=today.year())
        .contains(&year)
        .then(|| year.to_string())
}

/// Two digits from 01 to `last`: a month or a day.
pub(super) fn two_digits(text: &str, last: u32) -> Option<String> {
    let number = number(text.trim())?;
    (1..=last).contains(&number).then(|| format!("{number:02}"))
}

/// `f` or `m`.
pub(super) fn gender(text: &str) -> Option<String> {
    match text.trim().to_lowercase().as_str() {
        "f" | "female" | "woman" | "girl" => Some("f".to_owned()),
        "m" | "male" | "man" | "boy" => Some("m".to_owned()),
        _ => None,
    }
}

/// Letters of any script in lower case, nothing else.
pub(super) fn city(text: &str) -> Option<String> {
    not_empty(letters(text))
}

/// In the USA, or where the country is not known, the two-letter code; elsewhere the name's letters.
pub(super) fn state(text: &str, country: Option<&str>) -> Option<String> {
    let letters = letters(text);
    match (country, places::us_state_code(&letters)) {
        (None | Some("us"), Some(code)) => Some(code.to_owned()),
        (Some("us"), None) => None,
        (_, _) => not_empty(letters),
    }
}

/// Lower case without blanks, up to the first hyphen; five digits in the USA.
pub(super) fn postal_code(text: &str, country: Option<&str>) -> Option<String> {
    let code: String = text
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace())
        .take_while(|&c| c != '-')
        .collect();
    let code = if country == Some("us") {
        code.chars().take(5).collect()
    } else {
        code
    };
    not_empty(code)
}

/// ISO 3166-1 alpha-2 in lower case.
pub(super) fn country(text: &str) -> Option<String> {
    places::country_code(&letters(text)).map(str::to_owned)
}

/// ISO 4217 in lower case, as Meta's libraries send it. Never hashed.
pub(super) fn currency(text: &str) -> Option<String> {
    let code = text.trim().to_ascii_lowercase();
    let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_lowercase());
    is_code.then_some(code)
}

/// A value that was hashed before it came to us, in lower case: SHA-256, or MD5 of old.
pub(super) fn hashed_already(text: &str) -> Option<String> {
    let text = text.trim();
    let is_hash = matches!(text.len(), 32 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn letters(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter(|&c| !(c.is_whitespace() || c.is_numeric() || c.is_control() || is_punctuation(c)))
        .collect()
}

/// Punctuation and symbols of ASCII, Latin-1, general punctuation, East Asian and full-width forms. Marks that belong to
/// letters are none of these.
fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c, '\u{a1}'..='\u{a9}' | '\u{ab}'..='\u{b9}' | '\u{bb}'..='\u{bf}')
        || matches!(c, '\u{2000}'..='\u{206f}')
        || matches!(c, '\u{3001}'..='\u{3004}' | '\u{3008}'..='\u{303f}')
        || matches!(c, '\u{ff01}'..='\u{ff0f}')
}

/// Digits alone: no sign, no blank.
fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// `YYYYMMDD`, ISO with `-` or `/` (a time after it is dropped), US `M/D/YYYY`, dotted `D.M.YYYY` or `YYYY.M.D`.
fn read_date(text: &str) -> Option<NaiveDate> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return NaiveDate::from_ymd_opt(
            text[..4].parse().ok()?,
            text[4..6].parse().ok()?,
            text[6..].parse().ok()?,
        );
    }
    let text = text.split(['T', ' ']).next()?;
    let separator = ['-', '/', '.'].into_iter().find(|&c| text.contains(c))?;
    let parts: Vec<&str> = text.split(separator).collect();
    let &[first, second, third] = parts.as_slice() else {
        return None;
    };
    let (year, month, day) = match (separator, first.len(), third.len()) {
        (_, 4, 1 | 2) => (first, second, third),
        ('/', 1 | 2, 4) => (third, first, second),
        ('.', 1 | 2, 4) => (third, second, first),
        _ => return None,
    };
    NaiveDate::from_ymd_opt(
        i32::try_from(number(year)?).ok()?,
        number(month)?,
        number(day)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 20).expect("a date")
    }

    #[test]
    fn phone_numbers_are_digits_and_extensions_are_refused() {
        assert_eq!(phone("+49 (0)30 1234-567").as_deref(), Some("490301234567"));
        assert_eq!(phone("0044 844 412 4653").as_deref(), Some("448444124653"));
        for bad in [
            "",
            "000",
            "12345",
            "1234567890123456",
            "+1 650 555 1212 x9",
            "6505551212#9",
            "+1650+1651",
        ] {
            assert_eq!(phone(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn dates_are_read_in_every_form_and_impossible_ones_left_out() {
        for good in [
            "19970216",
            "1997-02-16",
            "1997-02-16T00:00:00Z",
            "1997/2/16",
            "2/16/1997",
            "02/16/1997",
            "16.02.1997",
            "1997.2.16",
        ] {
            assert_eq!(
                date_of_birth(good, today()).as_deref(),
                Some("19970216"),
                "{good}"
            );
        }
        for bad in [
            "",
            "1997-02-30",
            "16/2/1997",
            "2-16-1997",
            "2/16/97",
            "18990101",
            "20261121",
            "-/-/-",
            "１９９７０２１６",
        ] {
            assert_eq!(date_of_birth(bad, today()), None, "{bad}");
        }
    }

    #[test]
    fn parts_of_a_date_have_their_width_and_range() {
        assert_eq!(year("1999", today()).as_deref(), Some("1999"));
        assert_eq!(year("99", today()), None);
        assert_eq!(two_digits("2", 12).as_deref(), Some("02"));
        assert_eq!(two_digits("13", 12), None);
        assert_eq!(two_digits("+1", 12), None);
    }

    #[test]
    fn states_are_codes_in_the_usa_and_names_elsewhere() {
        assert_eq!(state("New York", Some("us")).as_deref(), Some("ny"));
        assert_eq!(state("D.C.", None).as_deref(), Some("dc"));
        assert_eq!(state("Kalifornien", Some("us")), None);
        assert_eq!(
            state("Nordrhein-Westfalen", Some("de")).as_deref(),
            Some("nordrheinwestfalen")
        );
        assert_eq!(
            state("Washington", Some("gb")).as_deref(),
            Some("washington")
        );
    }

    #[test]
    fn postal_codes_end_at_the_hyphen_and_in_the_usa_after_five_digits() {
        assert_eq!(postal_code("94103-1234", None).as_deref(), Some("94103"));
        assert_eq!(
            postal_code("941031234", Some("us")).as_deref(),
            Some("94103")
        );
        assert_eq!(
            postal_code("SW1A 1AA", Some("gb")).as_deref(),
            Some("sw1a1aa")
        );
        assert_eq!(postal_code(" - ", None), None);
    }

    #[test]
    fn marks_that_belong_to_letters_stay() {
        assert_eq!(city("Zo\u{308}rbig").as_deref(), Some("zo\u{308}rbig"));
        assert_eq!(city("L’Aquila · 1"), Some("laquila".to_owned()));
        assert_eq!(city("12 345"), None);
    }

    #[test]
    fn hashes_are_known_by_their_shape() {
        assert_eq!(hashed_already(&"AB".repeat(32)), Some("ab".repeat(32)));
        assert_eq!(hashed_already(&"ab".repeat(16)), Some("ab".repeat(16)));
        assert_eq!(hashed_already(&"xy".repeat(32)), None);
        assert_eq!(hashed_already(&"ab".repeat(20)), None);
    }
}
