//! Text of others made fit for a terminal or a log: one line, nothing that moves the cursor or turns the reading order.

/// Longest text shown of one value, in characters.
pub(crate) const LONGEST_TEXT: usize = 4_096;

/// The text on one line of at most `most` characters, with whatever could mislead a reader escaped.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for (count, character) in text.chars().enumerate() {
        if count == most {
            line.push('…');
            break;
        }
        push(&mut line, character);
    }
    line
}

/// As [`one_line`], but line breaks stay: for texts that are lists of lines.
pub(crate) fn lines(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => clean.push('\n'),
            other => push(&mut clean, other),
        }
    }
    clean
}

fn push(text: &mut String, character: char) {
    if is_misleading(character) {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}

/// Control characters, line and paragraph separators, and marks that change the direction of the text after them.
pub(crate) fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_becomes_one_harmless_line() {
        let shown = one_line("a\nb\u{1b}[2Jc\u{202e}d", 100);

        assert_eq!(shown, "a\\nb\\u{1b}[2Jc\\u{202e}d");
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        let shown = one_line("ßßßßß", 3);

        assert_eq!(shown, "ßßß…");
    }

    #[test]
    fn a_list_of_lines_keeps_its_lines_and_nothing_else() {
        let shown = lines("one\ntwo\r\u{7}");

        assert_eq!(shown, "one\ntwo\\r\\u{7}");
    }
}
