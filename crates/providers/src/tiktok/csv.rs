//! The text of a report: comma-separated, with quotes around fields that need them, one record a line.

use std::mem;

/// The records of a text, one after the other; a quoted field may hold line breaks.
pub(super) struct Records<'t> {
    rest: &'t str,
}

impl<'t> Records<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            rest: text.trim_start_matches('\u{feff}'),
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut fields = Vec::new();
        let mut field = String::new();
        let mut is_quoted = false;
        let mut chars = self.rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if is_quoted && chars.next_if(|(_, next)| *next == '"').is_some() => {
                    field.push('"');
                }
                '"' if is_quoted || field.is_empty() => is_quoted = !is_quoted,
                ',' if !is_quoted => fields.push(mem::take(&mut field)),
                '\r' if !is_quoted => {}
                '\n' if !is_quoted => {
                    fields.push(field);
                    self.rest = &self.rest[at + 1..];
                    return Some(fields);
                }
                c => field.push(c),
            }
        }
        fields.push(field);
        self.rest = "";
        Some(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Vec<String>> {
        Records::of(text).collect()
    }

    #[test]
    fn records_are_read_line_by_line() {
        let expected = [["id", "spend"], ["1", "84.37"], ["2", "-"]];

        assert_eq!(records("id,spend\n1,84.37\n2,-\n"), expected);
        assert_eq!(records("\u{feff}id,spend\r\n1,84.37\r\n2,-"), expected);
    }

    #[test]
    fn quoted_fields_may_hold_anything() {
        let read = records("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\nplain,,\n");

        assert_eq!(
            read,
            [["a,b", "say \"hi\"", "two\nlines"], ["plain", "", ""]]
        );
    }

    #[test]
    fn nothing_has_no_records_and_an_open_quote_ends_with_the_text() {
        assert!(records("").is_empty());
        assert_eq!(records("a,\"b\nc"), [["a", "b\nc"]]);
    }
}
