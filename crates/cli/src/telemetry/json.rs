//! Lines of the JSON log: nothing in them misleads a reader, and no text is longer than 4,096 bytes, since whoever
//! collects logs drops giant lines whole.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde_json::Value;

use crate::output::is_misleading;

/// Longest line that keeps its texts whole, in bytes.
const LONGEST_LINE_BYTES: usize = 4_096;
/// Longest text kept of one value in a line that was too long, in characters.
const LONGEST_VALUE: usize = 512;
/// Most members kept of an object in a line that was too long.
const MOST_MEMBERS: usize = 40;

/// A writer for one event.
pub(super) fn writer() -> Line {
    Line
}

/// Takes a whole event in one call, as the formatter gives it.
#[derive(Debug)]
pub(super) struct Line;

impl Write for Line {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(event);
        let line = match shortened(&line) {
            Some(short) => Cow::Owned(short),
            None => line,
        };
        io::stderr().lock().write_all(escaped(&line).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The event with what JSON leaves as it is, but a terminal acts on, as escapes.
fn escaped(line: &str) -> Cow<'_, str> {
    let acts = |character: char| character >= '\u{7f}' && is_misleading(character);
    if !line.contains(acts) {
        return Cow::Borrowed(line);
    }
    let escape = |character: char| {
        if acts(character) {
            format!("\\u{:04x}", u32::from(character))
        } else {
            character.to_string()
        }
    };
    Cow::Owned(line.chars().map(escape).collect())
}

/// The event with its texts cut; `None` when it is short enough.
fn shortened(line: &str) -> Option<String> {
    if line.len() <= LONGEST_LINE_BYTES {
        return None;
    }
    let mut document: Value = serde_json::from_str(line).ok()?;
    cut(&mut document);
    let mut line = serde_json::to_string(&document).ok()?;
    line.push('\n');
    Some(line)
}

fn cut(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(LONGEST_VALUE) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => {
            items.truncate(MOST_MEMBERS);
            items.iter_mut().for_each(cut);
        }
        Value::Object(members) => {
            let late: Vec<String> = members.keys().skip(MOST_MEMBERS).cloned().collect();
            for name in late {
                members.remove(&name);
            }
            members.values_mut().for_each(cut);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_usual_length_is_left_alone() {
        let line = "{\"level\":\"INFO\",\"message\":\"gestartet: Mühle\"}\n";

        assert_eq!(shortened(line), None);
        assert_eq!(escaped(line), line);
    }

    #[test]
    fn a_giant_value_is_cut_and_the_line_stays_json() {
        let event = serde_json::json!({"level": "WARN", "message": "x".repeat(5 * 1024 * 1024)});

        let short = shortened(&event.to_string()).expect("too long");

        assert!(short.len() < LONGEST_LINE_BYTES);
        let read: Value = serde_json::from_str(&short).expect("JSON");
        assert_eq!(read["level"], "WARN");
        assert!(
            read["message"]
                .as_str()
                .is_some_and(|text| text.ends_with("x…"))
        );
    }

    #[test]
    fn marks_that_turn_the_reading_order_are_escaped() {
        let line = "{\"message\":\"a\u{202e}b\u{9b}c\"}\n";

        let shown = escaped(line);

        assert_eq!(shown, "{\"message\":\"a\\u202eb\\u009bc\"}\n");
        assert!(serde_json::from_str::<Value>(&shown).is_ok());
    }
}
