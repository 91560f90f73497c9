//! From text to a TOML document whose every value knows where it stands. What the values mean is left to the sections.

use std::iter;

use toml::de::DeTable;

use super::problem::{Position, Problem, Refusal, in_order};

/// Largest file that is read: many times what a fleet needs, and quick to walk.
const MAX_BYTES: usize = 256 * 1024;

/// Most parts of one dotted key. The parser lets tables stand 80 deep in one another, each with a key of 80 parts, and
/// taking such a document down again would need more stack than a thread has.
const MAX_KEY_PARTS: usize = 10;

/// Where the lines of a text begin, to turn byte offsets into positions.
#[derive(Debug)]
pub(super) struct Lines {
    text: String,
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text: text.to_owned(),
            starts: iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// The position of a byte; of the end, where the offset lies beyond it.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[..line].last().copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        Position {
            line,
            column: before.chars().count() + 1,
        }
    }
}

/// Parses the text, or tells every error of its syntax.
pub(super) fn parse<'t>(text: &'t str, lines: &Lines) -> Result<DeTable<'t>, Vec<Problem>> {
    if text.len() > MAX_BYTES {
        let refusal = Refusal::new(format!(
            "the file has {} bytes, at most {MAX_BYTES} are read",
            text.len()
        ));
        return Err(vec![Problem::new(lines.position(0), refusal)]);
    }
    syntax(text, lines)
}

/// The same for a text of any length: the caller knows how long it can be.
pub(super) fn syntax<'t>(text: &'t str, lines: &Lines) -> Result<DeTable<'t>, Vec<Problem>> {
    if let Some(offset) = overlong_key(text) {
        let refusal = Refusal::new(format!("a key has at most {MAX_KEY_PARTS} parts"));
        return Err(vec![Problem::new(lines.position(offset), refusal)]);
    }

    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(document.into_inner());
    }
    let problems = errors.iter().map(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let refusal = Refusal::new(format!("not valid TOML: {}", error.message()));
        Problem::new(lines.position(offset), refusal)
    });
    Err(in_order(problems.collect()))
}

/// Where a dotted key grows beyond [`MAX_KEY_PARTS`].
fn overlong_key(text: &str) -> Option<usize> {
    let mut parts = 1;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with('.') {
            parts += 1;
        } else if rest.starts_with(['=', ',', '{', '[', '\n']) {
            parts = 1;
        }
        if parts > MAX_KEY_PARTS {
            return Some(at);
        }
        at += opaque_len(rest);
    }
    None
}

/// Bytes of the comment or string that a text begins with, where dots divide nothing; else of one character.
fn opaque_len(rest: &str) -> usize {
    let until = |opening: usize, closing: &str| {
        let end = rest[opening..].find(closing);
        end.map_or(rest.len(), |end| opening + end + closing.len())
    };
    if rest.starts_with('#') {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("\"\"\"") {
        until(3, "\"\"\"")
    } else if rest.starts_with("'''") {
        until(3, "'''")
    } else if rest.starts_with('\'') {
        until(1, "'")
    } else if rest.starts_with('"') {
        basic_string_len(rest)
    } else {
        rest.chars().next().map_or(1, char::len_utf8)
    }
}

/// Bytes of a basic string with its quotes, minding escapes; a line break ends it too, as a mistake.
fn basic_string_len(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return at,
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<Problem> {
        parse(text, &Lines::of(text)).expect_err("the text is not valid")
    }

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let lines = Lines::of("a\nü = é!\n");

        let first = lines.position(0);
        let exclamation = lines.position(9);

        assert_eq!(first, Position { line: 1, column: 1 });
        assert_eq!(exclamation, Position { line: 2, column: 6 });
    }

    #[test]
    fn an_offset_beyond_the_text_is_its_end() {
        let lines = Lines::of("ab\n");

        let end = lines.position(1_000);

        assert_eq!(end, Position { line: 2, column: 1 });
    }

    #[test]
    fn every_syntax_error_is_told_with_its_line() {
        let told = problems("[http]\nmax_batch = \n[lease]\nttl = \"60s\nmax_lost = 3\n");

        let lines: Vec<usize> = told.iter().map(|problem| problem.line).collect();

        assert!(lines.contains(&2), "{told:?}");
        assert!(lines.contains(&4), "{told:?}");
        assert!(told[0].message.starts_with("not valid TOML: "));
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error_at_the_second() {
        let told = problems("[http]\nmax_batch = 1\nmax_batch = 2\n");

        assert_eq!((told[0].line, told[0].column), (3, 1));
        assert_eq!(told[0].message, "not valid TOML: duplicate key");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_parsed() {
        let told = problems(&"# padding\n".repeat(30_000));

        assert_eq!(
            told[0].message,
            "the file has 300000 bytes, at most 262144 are read"
        );
    }

    #[test]
    fn a_key_with_too_many_parts_is_refused_before_it_nests_too_deep() {
        let told = problems(&format!("x = 1\n{} = 1\n", ["a"; 11].join(".")));

        assert_eq!((told[0].line, told[0].column), (2, 20));
        assert_eq!(told[0].message, "a key has at most 10 parts");
    }

    #[test]
    fn dots_in_strings_and_comments_divide_no_key() {
        let dots = ".".repeat(40);
        let text = format!(
            "# {dots}\na = \"\\\"{dots}\"\nb = '{dots}'\nc = \"\"\"{dots}\n{dots}\"\"\"\nd = '''{dots}'''\n"
        );

        let parsed = parse(&text, &Lines::of(&text));

        assert!(parsed.is_ok(), "{parsed:?}");
    }
}
