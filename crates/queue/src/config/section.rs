//! Reads the tables of a document. A section names each of its keys once ([`Section::key`]), and from that one place
//! come the check, the default, the listing of what holds, the warning and the JSON Schema.

use std::{fmt, ops::Range};

use serde_json::{Map, Value, json};
use toml::{Spanned, de::DeTable};

use super::{
    document::Lines,
    key::{Entry, Key},
    overrides::{Misfit, Places},
    problem::{Effective, Origin, Problem, Refusal, in_order},
    shape::kind_of,
    suggest::closest,
};

/// What is learnt while a document is read.
pub(super) struct Reader {
    lines: Lines,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    effective: Vec<Effective>,
    /// Where overrides stand behind the file's text, and what is wrong with them.
    overrides: Places,
    misfits: Vec<Misfit>,
    /// Whether no document is read and only the schema is wanted.
    describing: bool,
}

/// What a reader has learnt.
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    pub(super) effective: Vec<Effective>,
    pub(super) misfits: Vec<Misfit>,
}

impl Reader {
    pub(super) fn new(lines: Lines) -> Self {
        Self {
            lines,
            problems: Vec::new(),
            warnings: Vec::new(),
            effective: Vec::new(),
            overrides: Places::default(),
            misfits: Vec::new(),
            describing: false,
        }
    }

    /// A reader that knows where the overrides of its document stand.
    pub(super) fn over(self, overrides: Places) -> Self {
        Self { overrides, ..self }
    }

    /// A reader of no document, which opens each section once for the sake of its schema.
    pub(super) fn describing() -> Self {
        Self {
            describing: true,
            ..Self::new(Lines::of(""))
        }
    }

    pub(super) fn is_describing(&self) -> bool {
        self.describing
    }

    pub(super) fn refuse(&mut self, at: Range<usize>, refusal: Refusal) {
        if let Some(place) = self.overrides.at(at.start) {
            self.misfits.push(place.misfit(at.start, refusal));
            return;
        }
        let position = self.lines.position(at.start);
        self.problems.push(Problem::new(position, refusal));
    }

    pub(super) fn warn(&mut self, at: Range<usize>, message: impl fmt::Display) {
        if let Some(place) = self.overrides.at(at.start) {
            // Nobody sets a value for an hour that nothing acts on.
            self.misfits
                .push(place.misfit(at.start, Refusal::new(message)));
            return;
        }
        let position = self.lines.position(at.start);
        self.warnings
            .push(Problem::new(position, Refusal::new(message)));
    }

    pub(super) fn origin(&self, at: Range<usize>) -> Origin {
        if let Some(place) = self.overrides.at(at.start) {
            return place.origin();
        }
        let position = self.lines.position(at.start);
        Origin::File {
            line: position.line,
            column: position.column,
        }
    }

    pub(super) fn finish(self) -> Findings {
        Findings {
            problems: in_order(self.problems),
            warnings: in_order(self.warnings),
            effective: self.effective,
            misfits: self.misfits,
        }
    }
}

/// Where a section stands and what it holds.
pub(super) struct Header<'a> {
    /// Its name from the root, as TOML writes it; empty for the root.
    pub(super) path: String,
    /// Where to point when something is missing from it.
    pub(super) at: Range<usize>,
    /// `None` where the file does not have it: every key then holds its default.
    pub(super) table: Option<&'a DeTable<'a>>,
    /// Whether its keys are listed as values of their own; those of a composite value are not.
    pub(super) listed: bool,
}

/// A table that is being read.
pub(super) struct Section<'a> {
    pub(super) reader: &'a mut Reader,
    pub(super) header: Header<'a>,
    known: Vec<&'static str>,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
    /// The schema of the whole, where people choose the keys themselves.
    free: Option<Value>,
}

impl<'a> Section<'a> {
    /// Reads a table with `read`, refuses the keys that it did not ask for, and returns its schema too.
    pub(super) fn open<T>(
        reader: &'a mut Reader,
        header: Header<'a>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> (T, Value) {
        let mut section = Section {
            reader,
            header,
            known: Vec::new(),
            properties: Map::new(),
            required: Vec::new(),
            free: None,
        };

        let value = read(&mut section);
        section.refuse_unknown_keys();
        (value, section.into_schema())
    }

    /// Names a key of this section and says to people what it is for.
    pub(super) fn key(&mut self, name: &'static str, doc: &'static str) -> Key<'_, 'a> {
        Key::new(self, name, doc)
    }

    /// Whether the file has this section.
    pub(super) fn is_given(&self) -> bool {
        self.header.table.is_some()
    }

    /// Whether the file gives this key, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        self.header
            .table
            .is_some_and(|table| table.contains_key(key))
    }

    /// Refuses what a key says in view of the others.
    pub(super) fn refuse(&mut self, key: &str, message: impl fmt::Display) {
        let value = self.header.table.and_then(|table| table.get(key));
        let at = value.map_or_else(|| self.header.at.clone(), Spanned::span);
        let label = label(&self.header.path, key);
        self.reader
            .refuse(at, Refusal::new(format!("{label}: {message}")));
    }

    /// Refuses the section as such.
    pub(super) fn refuse_whole(&mut self, refusal: Refusal) {
        self.reader.refuse(self.header.at.clone(), refusal);
    }

    /// Says that nothing acts on this section in this release.
    pub(super) fn warn_of_no_effect(&mut self) {
        let message = format!("[{}] has no effect yet in this release", self.header.path);
        self.reader.warn(self.header.at.clone(), message);
    }

    /// The table in an entry of this section, or in none. What is no table is refused.
    pub(super) fn header_of(&mut self, name: &str, entry: Option<Entry<'a>>) -> Header<'a> {
        let path = join(&self.header.path, name);
        let listed = self.header.listed;
        let Some((_, value)) = entry else {
            let at = self.header.at.clone();
            return Header {
                path,
                at,
                table: None,
                listed,
            };
        };

        let table = value.get_ref().as_table();
        if table.is_none() {
            let message = format!("[{path}]: expected a table, found {}", kind_of(value));
            self.reader.refuse(value.span(), Refusal::new(message));
        }
        Header {
            path,
            at: value.span(),
            table,
            listed,
        }
    }

    pub(super) fn know(&mut self, key: &'static str) {
        self.known.push(key);
    }

    pub(super) fn require(&mut self, key: &'static str) {
        self.required.push(key);
    }

    /// Lists a value that holds.
    pub(super) fn record(&mut self, key: &str, value: Value, origin: Origin, restart: bool) {
        if self.header.listed && !self.reader.describing {
            self.reader.effective.push(Effective {
                key: join(&self.header.path, key),
                value,
                origin,
                restart,
            });
        }
    }

    pub(super) fn add_property(&mut self, key: &str, schema: Value) {
        self.properties.insert(key.to_owned(), schema);
    }

    /// Says that people choose the keys of this section, and that they have been read.
    pub(super) fn set_free(&mut self, schema: Value) {
        self.free = Some(schema);
    }

    fn refuse_unknown_keys(&mut self) {
        let (Some(table), None) = (self.header.table, &self.free) else {
            return;
        };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let place = match self.header.path.as_str() {
                "" => "at the top level".to_owned(),
                path => format!("in [{path}]"),
            };
            let refusal = Refusal::new(format!("unknown key {name:?} {place}"))
                .suggesting(closest(name, self.known.iter().copied()));
            self.reader.refuse(key.span(), refusal);
        }
    }

    fn into_schema(self) -> Value {
        if let Some(schema) = self.free {
            return schema;
        }
        json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        })
    }
}

/// A key as a message names it: `ttl in [lease]`.
pub(super) fn label(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{key} in [{path}]"),
    }
}

/// A path with one more name, in quotes where TOML needs them.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if is_bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    match path {
        "" => name,
        path => format!("{path}.{name}"),
    }
}
