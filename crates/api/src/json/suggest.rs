//! "Did you mean …?"

/// How alike two words must be, from 0 to 1.
const ALIKE: f64 = 0.8;
/// Longer words are not compared.
const LONGEST: usize = 64;

/// The end of a message about an unknown word: `; did you mean "priority"?`, or nothing when no known word is like it.
pub(crate) fn suggestion(unknown: &str, known: &[&str]) -> String {
    if unknown.len() > LONGEST {
        return String::new();
    }
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(unknown, word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| format!("; did you mean \"{word}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_suggested_only_when_it_is_alike() {
        let known = ["kind", "payload", "priority"];

        assert_eq!(
            suggestion("priorty", &known),
            "; did you mean \"priority\"?"
        );
        assert_eq!(suggestion("tenant", &known), "");
        assert_eq!(suggestion(&"p".repeat(100_000), &known), "");
    }
}
