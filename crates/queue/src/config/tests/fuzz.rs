//! No text, however odd, does worse than being refused.

use proptest::prelude::{any, prop_assert, proptest};

use super::{FILE, REGISTERED, file_with_examples};
use crate::config::Config;

/// Whether a text is taken, or refused for reasons that have a place in it.
fn is_read_or_refused(text: &str) -> bool {
    let Err(problems) = Config::parse(text, &REGISTERED) else {
        return true;
    };
    let lines = text.matches('\n').count() + 1;
    let has_place = |line: usize, column: usize| (1..=lines).contains(&line) && column > 0;
    !problems.is_empty()
        && problems
            .iter()
            .all(|problem| has_place(problem.line, problem.column))
}

/// A text with what stands between two of its characters replaced.
fn mutated(text: &str, start: usize, len: usize, replacement: &str) -> String {
    let start = start % (text.chars().count() + 1);
    let before = text.chars().take(start);
    let after = text.chars().skip(start + len);
    before.chain(replacement.chars()).chain(after).collect()
}

proptest! {
    #[test]
    fn random_text_is_read_or_refused(text in any::<String>()) {
        prop_assert!(is_read_or_refused(&text));
    }

    #[test]
    fn text_of_toml_signs_is_read_or_refused(text in "[\\[\\]{}=.,\"'#a-z0-9 \\n]{0,200}") {
        prop_assert!(is_read_or_refused(&text));
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        start in any::<usize>(),
        len in 0..40_usize,
        replacement in "[\\[\\]{}=.,\"'#a-z0-9é \\n-]{0,20}",
    ) {
        let text = mutated(FILE, start, len, &replacement);

        prop_assert!(is_read_or_refused(&text));
    }

    #[test]
    fn a_damaged_example_is_read_or_refused(start in any::<usize>(), len in 0..40_usize) {
        let text = mutated(&file_with_examples(), start, len, "");

        prop_assert!(is_read_or_refused(&text));
    }
}

#[test]
fn tables_that_nest_as_deep_as_the_parser_allows_are_refused() {
    let inline = format!(
        "{}1{}",
        "{ a.b.c.d.e.f.g.h.i.j = ".repeat(79),
        " }".repeat(79)
    );
    let cases = [
        format!("a = {inline}"),
        format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{}a = 1", "a.".repeat(10_000)),
    ];

    for text in cases {
        assert!(Config::parse(&text, &REGISTERED).is_err());
    }
}
