//! A query taken apart into words.

use super::QueryError;

/// A word of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A keyword, a field, a constant.
    Name(String),
    /// A text in quotes, without them and without escapes.
    Text(String),
    /// A number as it was written.
    Number(String),
    /// `,` `(` `)` or an operator.
    Symbol(&'static str),
}

/// Longer ones first, so that `<=` is not `<` and `=`.
const SYMBOLS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", ",", "(", ")"];

/// The words of a query, in their order.
///
/// # Errors
/// Texts that do not end, have a line break in them or escape what needs no escape, and characters that belong nowhere.
pub(super) fn words(query: &str) -> Result<Vec<Word>, QueryError> {
    let mut words = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => text(rest, first)?,
            '_' | 'a'..='z' | 'A'..='Z' => {
                let (name, after) = split(rest, |c| c.is_ascii_alphanumeric() || "_.".contains(c));
                (Word::Name(name.to_owned()), after)
            }
            '-' | '0'..='9' => {
                let (number, after) = split(rest, |c| c.is_ascii_digit() || "-.".contains(c));
                (Word::Number(number.to_owned()), after)
            }
            _ => symbol(rest)?,
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

/// What is before the first character that `belongs` does not hold for, and the rest.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn symbol(rest: &str) -> Result<(Word, &str), QueryError> {
    let found = SYMBOLS
        .into_iter()
        .find_map(|symbol| Some((Word::Symbol(symbol), rest.strip_prefix(symbol)?)));
    found.ok_or_else(|| {
        let near: String = rest.chars().take(20).collect();
        QueryError::new(
            "BAD_SYMBOL",
            format!("Error in query: bad symbol near '{near}'."),
        )
    })
}

fn text(rest: &str, quote: char) -> Result<(Word, &str), QueryError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('\\' | '\'' | '"'))) => text.push(escaped),
                Some((_, other)) => {
                    let message = format!("Error in query: bad escape sequence '\\{other}'.");
                    return Err(QueryError::new("BAD_ESCAPE_SEQUENCE", message));
                }
                None => break,
            },
            '\n' | '\r' => {
                let message = "Error in query: newlines are not allowed in strings.";
                return Err(QueryError::new("PROHIBITED_NEWLINE_IN_STRING", message));
            }
            c if c == quote => return Ok((Word::Text(text), &rest[at + 1..])),
            c => text.push(c),
        }
    }
    let message = "Error in query: the string is not terminated.";
    Err(QueryError::new("STRING_NOT_TERMINATED", message))
}
