//! "Did you mean …": the known word nearest to one that is not known.

/// Longer words are not compared: the distance takes time with the product of both lengths.
const MAX_COMPARED_CHARS: usize = 100;

/// The candidate that differs least from `word`, case aside; `None` when none is near enough.
pub(super) fn closest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    if word.chars().count() > MAX_COMPARED_CHARS {
        return None;
    }
    let word = word.to_lowercase();

    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= tolerance(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// A third of the letters may differ; in the shortest words, one.
fn tolerance(candidate: &str) -> usize {
    (candidate.chars().count() / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        let known = ["timeout", "concurrency", "global_concurrency"];

        let suggestion = closest("Concurency", known);

        assert_eq!(suggestion.as_deref(), Some("concurrency"));
    }

    #[test]
    fn a_word_that_resembles_nothing_gets_no_suggestion() {
        let suggestion = closest("zebra", ["timeout", "queue"]);

        assert_eq!(suggestion, None);
    }

    #[test]
    fn an_endless_word_is_not_compared() {
        let suggestion = closest(&"timeout".repeat(1_000), ["timeout"]);

        assert_eq!(suggestion, None);
    }
}
