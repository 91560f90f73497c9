//! The text files of the tree, and the few questions that every rule asks of a text.

use std::fs;
use std::path::Path;

/// What git ignores or cargo writes.
const NOT_OURS: [&str; 7] = [
    ".git",
    ".env",
    ".millpond",
    "Cargo.lock",
    "__pycache__",
    "node_modules",
    "target",
];

/// A text file of ours: its path from the top of the tree, with `/`, and what it says.
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every text file of ours, by path.
pub(super) fn tree() -> Vec<TextFile> {
    let mut folders = vec![String::new()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top().join(&folder)).expect("our folders can be read") {
            let entry = entry.expect("our folders can be read");
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{folder}{name}");
            if entry.path().is_dir() {
                folders.push(format!("{path}/"));
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(TextFile { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// One file that the house must have.
pub(super) fn read(path: &str) -> TextFile {
    TextFile {
        path: path.to_owned(),
        text: fs::read_to_string(top().join(path)).expect("a file that the house must have"),
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate `tests` lies in the workspace's folder")
}

/// The lines of a text, each with its number from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(text, line)| (line, text))
}

/// The words of a text, as code understands them; some are empty.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
}

/// Whether a text has `name` as a whole word.
pub(super) fn names(text: &str, name: &str) -> bool {
    words(text).any(|word| word == name)
}

/// Fails with every finding, a line each: `file:line: what to do`.
pub(super) fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
