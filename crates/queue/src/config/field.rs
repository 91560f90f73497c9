//! How a file names a field of a payload: at the top level by name, deeper by JSON Pointer.

use super::{problem::Refusal, shape::Text};

/// Longest name or pointer.
const MAX_CHARS: usize = 200;

/// A field of a payload: `account_id`, `/event/event_time`.
pub(super) fn field() -> Text {
    Text {
        expected: "a payload field such as \"account_id\" or \"/event/event_time\"",
        check,
    }
}

fn check(text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.chars().count() > MAX_CHARS || text.contains(char::is_control) {
        return Err(Refusal::new(format!(
            "a field has 1 to {MAX_CHARS} visible characters"
        )));
    }
    if let Some(pointer) = text.strip_prefix('/') {
        return check_escapes(pointer);
    }
    // A name with a dot in it can still be meant: as the pointer "/a.b".
    if text.contains(['.', '/']) {
        let pointer = format!("/{}", text.replace('.', "/"));
        let refusal = Refusal::new("a field below the top level is named by JSON Pointer");
        return Err(refusal.suggesting(Some(pointer)));
    }
    Ok(())
}

/// In a pointer `~` stands only as `~0` (for `~`) and `~1` (for `/`).
fn check_escapes(pointer: &str) -> Result<(), Refusal> {
    let is_escape = |rest: &str| rest.starts_with('0') || rest.starts_with('1');
    if pointer.split('~').skip(1).all(is_escape) {
        Ok(())
    } else {
        Err(Refusal::new("in a JSON Pointer \"~\" is written \"~0\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_plain_names_or_pointers() {
        for text in ["account_id", "/event/event_time", "/a~1b/~0c", "/a.b", "/"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_dotted_field_is_refused_with_its_pointer() {
        let refusal = check("event.event_time").expect_err("it is no plain name");

        assert_eq!(refusal.suggestion.as_deref(), Some("/event/event_time"));
    }

    #[test]
    fn a_field_that_nothing_can_match_is_refused() {
        for text in ["", "a\nb", "/a~2", "/a~", &"a".repeat(201)] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
