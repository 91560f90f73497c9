//! Countries and the states of the USA by every name that is known for them. The names stand in two files beside this
//! one: a line a place, its code first.

use std::{collections::HashMap, sync::LazyLock};

/// ISO 3166-1: two-letter code, three-letter code, names.
static COUNTRIES: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| codes_by_name(include_str!("countries.txt")));

/// Two-letter code, names; territories and the military's post offices included.
static US_STATES: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| codes_by_name(include_str!("us_states.txt")));

/// The two-letter code of a country, by a code or a name in lower case without anything but letters.
pub(super) fn country_code(letters: &str) -> Option<&'static str> {
    COUNTRIES.get(letters).copied()
}

/// The two-letter code of a state of the USA, by its code or its name in lower case without anything but letters.
pub(super) fn us_state_code(letters: &str) -> Option<&'static str> {
    US_STATES.get(letters).copied()
}

fn codes_by_name(table: &'static str) -> HashMap<&'static str, &'static str> {
    table
        .lines()
        .filter_map(|line| Some((line.split(' ').next()?, line)))
        .flat_map(|(code, line)| line.split(' ').map(move |name| (name, code)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_known_by_codes_and_names() {
        for letters in ["us", "usa", "unitedstates", "unitedstatesofamerica"] {
            assert_eq!(country_code(letters), Some("us"));
        }
        assert_eq!(country_code("uk"), Some("gb"));
        assert_eq!(country_code("türkiye"), Some("tr"));
        assert_eq!(country_code("cotedivoire"), Some("ci"));
        assert_eq!(country_code("zz"), None);
        assert_eq!(country_code(""), None);
    }

    #[test]
    fn each_name_stands_for_one_place() {
        for table in [include_str!("countries.txt"), include_str!("us_states.txt")] {
            let names = table.split_whitespace().count();

            assert_eq!(codes_by_name(table).len(), names);
        }
    }

    #[test]
    fn states_are_known_by_codes_and_names() {
        assert_eq!(us_state_code("california"), Some("ca"));
        assert_eq!(us_state_code("ca"), Some("ca"));
        assert_eq!(us_state_code("districtofcolumbia"), Some("dc"));
        assert_eq!(us_state_code("bavaria"), None);
    }
}
