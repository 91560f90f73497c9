//! The operator's own templates: Jinja files of one folder, read and tried when a process starts. `NAME.txt` begins with a
//! line `Subject: …`, `NAME.html` says the same; `NAME.json` has data to try it with. One with the name of a built-in template
//! takes its place, with its data; every other one is `own/NAME`. Files that begin with `_` are there to be included.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value, json};

use super::{Look, RenderedMail, find};

/// What stands before the names of those that take no other's place.
pub const PREFIX: &str = "own/";

/// Most files of the folder.
const MOST_FILES: usize = 200;
/// Largest file.
const LARGEST_FILE_BYTES: u64 = 256 * 1024;
/// Largest form of a mail: Gmail cuts what is over 102 KiB, and mail servers refuse what is much larger.
const LARGEST_MAIL_BYTES: usize = 1 << 20;
/// Steps that a template may take: one that goes on for ever must end.
const FUEL: u64 = 500_000;
/// Longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;
/// What the first line of a text begins with.
const SUBJECT: &str = "Subject: ";

/// Why the operator's templates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnTemplatesError {
    /// The folder or a file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There are too many files, or one is too large.
    #[error("{} is too large: at most 200 files of 256 KiB", .path.display())]
    TooLarge {
        /// The folder, or the file.
        path: PathBuf,
    },
    /// A file's name is none for a template.
    #[error("{} has a name that no template can have: lower-case letters, digits, - and _, then .html, .txt or .json", .path.display())]
    Name {
        /// Which.
        path: PathBuf,
    },
    /// One form is there without the other, or data without a template.
    #[error("{name} needs {missing} beside it")]
    NoTwin {
        /// The template.
        name: String,
        /// The file that is missing.
        missing: String,
    },
    /// A template is not written as one.
    #[error("{} is no template", .path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// What the template library says.
        #[source]
        source: minijinja::Error,
    },
    /// Data to try a template with is no JSON object.
    #[error("{} is no JSON object", .path.display())]
    Sample {
        /// Which.
        path: PathBuf,
    },
    /// A template fails with the data that it is tried with.
    #[error(transparent)]
    Fails(#[from] OwnProblem),
}

/// Why one of the operator's templates gave no mail.
#[derive(Debug, thiserror::Error)]
pub enum OwnProblem {
    /// It could not be rendered.
    #[error("the operator's template \"{name}\" could not be rendered")]
    Render {
        /// Which.
        name: String,
        /// What the template library says.
        #[source]
        source: minijinja::Error,
    },
    /// Its text does not begin with a subject.
    #[error(
        "the text of the operator's template \"{name}\" must begin with a line \"Subject: …\" of at most 200 characters"
    )]
    NoSubject {
        /// Which.
        name: String,
    },
    /// It made too much.
    #[error("the operator's template \"{name}\" made more than 1 MiB")]
    TooLong {
        /// Which.
        name: String,
    },
}

/// The operator's templates; none by default.
#[derive(Default)]
pub struct OwnTemplates {
    environment: Environment<'static>,
    /// Each with what it is tried with.
    samples: BTreeMap<String, Value>,
}

/// The files of a folder.
#[derive(Default)]
struct Files {
    /// By file name.
    sources: BTreeMap<String, String>,
    samples: BTreeMap<String, Value>,
}

impl OwnTemplates {
    /// Reads a folder and tries each template that has data to be tried with.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(folder: &Path) -> Result<Self, OwnTemplatesError> {
        let files = Files::read(folder)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        let mut samples = BTreeMap::new();
        for (file, source) in files.sources {
            if let Some((name, twin)) = template_of(&file) {
                let sample = files.samples.get(name).cloned();
                let built_in = || find(name).map(|template| (template.sample)());
                samples.insert(name.to_owned(), (sample.or_else(built_in), twin));
            }
            let path = folder.join(&file);
            environment
                .add_template_owned(file, source)
                .map_err(|source| OwnTemplatesError::Syntax { path, source })?;
        }
        for (name, (_, twin)) in &samples {
            if environment.get_template(twin).is_err() {
                return Err(OwnTemplatesError::NoTwin {
                    name: name.clone(),
                    missing: twin.clone(),
                });
            }
        }
        if let Some(name) = files
            .samples
            .keys()
            .find(|name| !samples.contains_key(*name))
        {
            return Err(OwnTemplatesError::NoTwin {
                name: format!("{name}.json"),
                missing: format!("{name}.html"),
            });
        }
        let own = Self {
            environment,
            samples: samples
                .iter()
                .map(|(name, (sample, _))| {
                    (name.clone(), sample.clone().unwrap_or_else(|| json!({})))
                })
                .collect(),
        };
        for (name, (sample, _)) in &samples {
            if let Some(sample) = sample {
                own.render(name, sample, &Look::default())?;
            }
        }
        Ok(own)
    }

    /// The names of those that take no built-in one's place, as payloads use them.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let names = self.samples.keys().filter(|name| find(name).is_none());
        names.map(|name| format!("{PREFIX}{name}"))
    }

    pub(super) fn sample(&self, name: &str) -> Option<Value> {
        self.samples.get(name).cloned()
    }

    /// The mail, if there is a template of this name. It is given the data's members, `brand` and `unsubscribe_url`.
    pub(super) fn render(
        &self,
        name: &str,
        data: &Value,
        look: &Look,
    ) -> Result<Option<RenderedMail>, OwnProblem> {
        if !self.samples.contains_key(name) {
            return Ok(None);
        }
        let mut members: Map<String, Value> = data.as_object().cloned().unwrap_or_default();
        members.insert("brand".to_owned(), json!(look.brand));
        members.insert("unsubscribe_url".to_owned(), json!(look.unsubscribe_url));
        let members = Value::Object(members);
        let form = |ending: &str| {
            let failed = |source| OwnProblem::Render {
                name: name.to_owned(),
                source,
            };
            let template = self.environment.get_template(&format!("{name}.{ending}"));
            let text = template.and_then(|template| template.render(&members));
            let text = text.map_err(failed)?;
            if text.len() > LARGEST_MAIL_BYTES {
                return Err(OwnProblem::TooLong {
                    name: name.to_owned(),
                });
            }
            Ok(text)
        };
        let (html, text) = (form("html")?, form("txt")?);
        let (subject, text) = with_subject(&text).ok_or_else(|| OwnProblem::NoSubject {
            name: name.to_owned(),
        })?;
        Ok(Some(RenderedMail {
            subject,
            text,
            html,
        }))
    }
}

impl Files {
    fn read(folder: &Path) -> Result<Self, OwnTemplatesError> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            move |source| OwnTemplatesError::Read { path, source }
        };
        let mut files = Self::default();
        for (count, entry) in fs::read_dir(folder).map_err(unread(folder))?.enumerate() {
            let path = entry.map_err(unread(folder))?.path();
            let size = fs::metadata(&path).map_err(unread(&path))?.len();
            if count >= MOST_FILES || size > LARGEST_FILE_BYTES {
                return Err(OwnTemplatesError::TooLarge { path });
            }
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(OwnTemplatesError::Name { path });
            };
            let name = name.to_owned();
            if name.starts_with('.') {
                continue;
            }
            let Some((stem, ending)) = name.rsplit_once('.').filter(|(stem, _)| is_name(stem))
            else {
                return Err(OwnTemplatesError::Name { path });
            };
            let text = fs::read_to_string(&path).map_err(unread(&path))?;
            match ending {
                "html" | "txt" => {
                    files.sources.insert(name, text);
                }
                "json" => {
                    let sample: Option<Value> = serde_json::from_str(&text).ok();
                    let sample = sample.filter(Value::is_object);
                    let sample = sample.ok_or(OwnTemplatesError::Sample { path })?;
                    files.samples.insert(stem.to_owned(), sample);
                }
                _ => return Err(OwnTemplatesError::Name { path }),
            }
        }
        Ok(files)
    }
}

/// The template that a file is a form of, and the file of its other form; `None` for what is there to be included.
fn template_of(file: &str) -> Option<(&str, String)> {
    let (stem, ending) = file.rsplit_once('.').filter(|_| !file.starts_with('_'))?;
    let twin = if ending == "html" { "txt" } else { "html" };
    Some((stem, format!("{stem}.{twin}")))
}

fn is_name(stem: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=60).contains(&stem.len()) && stem.bytes().all(is_plain)
}

/// The subject in the first line of a text, and what follows it.
fn with_subject(text: &str) -> Option<(String, String)> {
    let (first, rest) = text.split_once('\n')?;
    let subject = first.trim_end().strip_prefix(SUBJECT)?.trim();
    let is_line = !subject.is_empty() && !subject.contains(char::is_control);
    let is_sized = subject.chars().count() <= LONGEST_SUBJECT;
    (is_line && is_sized).then(|| (subject.to_owned(), rest.trim_start().to_owned()))
}

#[cfg(test)]
mod tests;
