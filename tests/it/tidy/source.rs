//! A Rust file taken apart: code, string literals, and which lines only tests compile.

use std::ops::Range;

use super::tree::{numbered, tree};

/// A Rust file, taken apart.
pub(super) struct Source {
    /// From the top of the tree.
    pub(super) path: String,
    /// Its code alone, line for line: what comments and literals hold is blank.
    pub(super) code: String,
    /// Its string literals, each with the line where it begins.
    literals: Vec<(usize, String)>,
    /// Which lines only tests compile.
    only_tests: Vec<bool>,
    /// Modules that only tests compile and that have files of their own: paths without `.rs`.
    test_modules: Vec<String>,
}

impl Source {
    /// Takes a file apart.
    pub(super) fn read(path: &str, text: &str) -> Self {
        let (code, literals) = take_apart(text);
        let mut only_tests = vec![path.starts_with("tests/"); code.lines().count()];
        let mut test_modules = Vec::new();
        for part in test_parts(&code) {
            let first = lines_before(&code, part.start);
            let last = lines_before(&code, part.end);
            only_tests[first..=last].fill(true);
            if let Some(item) = code[part].strip_suffix(';')
                && let Some((_, name)) = item.rsplit_once("mod ")
            {
                test_modules.push(format!("{}{name}", folder_of_modules(path)));
            }
        }
        Self {
            path: path.to_owned(),
            code,
            literals,
            only_tests,
            test_modules,
        }
    }

    /// The lines of code, from 1, that only tests compile, or else all others.
    pub(super) fn lines(&self, only_tests: bool) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.code).filter(move |(line, _)| self.only_tests[line - 1] == only_tests)
    }

    /// The lines of what is shipped that `is_offence` holds for.
    pub(super) fn production_lines(&self, is_offence: impl Fn(&str) -> bool) -> Vec<usize> {
        self.lines(false)
            .filter(|(_, code)| is_offence(code))
            .map(|(line, _)| line)
            .collect()
    }

    /// The string literals of what is shipped, each with its line.
    pub(super) fn production_literals(&self) -> impl Iterator<Item = (usize, &str)> {
        self.literals
            .iter()
            .filter(|(line, _)| !self.only_tests[line - 1])
            .map(|(line, literal)| (*line, literal.as_str()))
    }
}

/// Every Rust file of ours.
pub(super) fn sources() -> Vec<Source> {
    let mut sources: Vec<Source> = tree()
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .map(|file| Source::read(&file.path, &file.text))
        .collect();
    let test_modules: Vec<String> = sources
        .iter()
        .flat_map(|source| source.test_modules.clone())
        .collect();
    for source in &mut sources {
        if test_modules
            .iter()
            .any(|module| is_part_of(&source.path, module))
        {
            source.only_tests.fill(true);
        }
    }
    sources
}

fn is_part_of(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Where the modules that a file declares stand.
fn folder_of_modules(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "mod.rs" | "lib.rs" | "main.rs" => format!("{folder}/"),
        _ => format!("{folder}/{}/", name.trim_end_matches(".rs")),
    }
}

/// The code without comments and literals, line for line, and the string literals with their lines.
fn take_apart(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let (length, is_string) = match rest {
            ['/', '/', ..] => (line_comment(rest), false),
            ['/', '*', ..] => (block_comment(rest), false),
            ['"', ..] => (string(rest), true),
            ['r', '"' | '#', ..] => raw_string(rest).map_or((0, false), |length| (length, true)),
            ['\'', '\\', ..] => (escaped_char(rest), false),
            ['\'', _, '\'', ..] => (3, false),
            _ => (0, false),
        };
        if length == 0 {
            code.push(rest[0]);
        }
        let skipped: String = rest[..length].iter().collect();
        if is_string {
            literals.push((line, inside_quotes(&skipped).to_owned()));
        }
        code.extend(skipped.chars().map(|c| if c == '\n' { c } else { ' ' }));
        let passed = &rest[..length.max(1)];
        line += passed.iter().filter(|c| **c == '\n').count();
        at += passed.len();
    }
    (code, literals)
}

fn inside_quotes(literal: &str) -> &str {
    let inside = literal.split_once('"').map_or("", |(_, inside)| inside);
    inside.rsplit_once('"').map_or(inside, |(inside, _)| inside)
}

fn line_comment(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `None` where it is no string: `r#type`.
fn raw_string(rest: &[char]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    let mut end = vec!['"'];
    end.resize(1 + hashes, '#');
    let body = rest[1 + hashes..].strip_prefix(&['"'])?;
    let length = body.windows(end.len()).position(|part| part == end)?;
    Some(1 + hashes + 1 + length + end.len())
}

fn escaped_char(rest: &[char]) -> usize {
    let end = rest.iter().skip(3).position(|c| *c == '\'');
    end.map_or(rest.len(), |at| at + 4)
}

/// From each `#[cfg(test)]` to the end of what it stands before: its `;`, or its closing brace.
fn test_parts(code: &str) -> Vec<Range<usize>> {
    code.match_indices("#[cfg(test)]")
        .map(|(start, _)| start..start + item_length(&code[start..]))
        .collect()
}

fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return at + 1;
        }
    }
    code.trim_end().len()
}

fn lines_before(code: &str, end: usize) -> usize {
    code[..end].matches('\n').count()
}

#[test]
fn the_reader_tells_code_from_comments_and_literals() {
    let text = r##"let a = "quoted"; // remark
/* one /* nested */ remark */ let b = r#"raw "quoted""#;
fn c<'a>(d: &'a str) -> char { '"' }"##;

    let (code, literals) = take_apart(text);

    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "let a = ; let b = ; fn c<'a>(d: &'a str) -> char { }"
    );
    assert_eq!(
        literals,
        [(1, "quoted".to_owned()), (2, "raw \"quoted\"".to_owned())]
    );
}

#[test]
fn the_reader_knows_what_only_tests_compile() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b(c: [u8; 2]) {}\n}\n\
                fn d() {}\n#[cfg(test)]\nmod fixtures;\n";

    let source = Source::read("crates/queue/src/a.rs", text);

    let only_tests = [false, true, true, true, true, false, true, true];
    assert_eq!(source.only_tests, only_tests);
    assert_eq!(source.test_modules, ["crates/queue/src/a/fixtures"]);
    assert!(is_part_of(
        "crates/queue/src/a/fixtures.rs",
        &source.test_modules[0]
    ));
}
