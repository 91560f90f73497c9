//! What a mail says, and what is known of its delivery. How mail reaches a server is the business of `providers`.

mod data;
mod plain;
mod receipts;
mod welcome;

use serde_json::Value;

pub use receipts::{Begun, MailIdentity, Unsent, begin_send, record_sent, record_unsent};

/// Every template, by name.
const TEMPLATES: &[Template] = &[plain::TEMPLATE, welcome::TEMPLATE];

/// A mail's content: both forms say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMail {
    /// One line.
    pub subject: String,
    /// For readers without HTML.
    pub text: String,
    /// What came from the data is escaped.
    pub html: String,
}

/// Why a mail could not be rendered. Never quotes the data, which is about people.
#[derive(Debug, thiserror::Error)]
pub enum EmailError {
    /// There is no such template.
    #[error("there is no template {name:?}; known are {}", template_names().collect::<Vec<_>>().join(", "))]
    UnknownTemplate {
        /// What was asked for, cut at 64 characters.
        name: String,
    },
    /// The data does not suit the template.
    #[error("template \"{template}\" {problem}")]
    Data {
        /// The template.
        template: &'static str,
        /// Which member is wrong, and how.
        problem: DataProblem,
    },
    /// The template itself failed: a fault of ours.
    #[error("template \"{template}\" could not be rendered")]
    Render {
        /// The template.
        template: &'static str,
        /// What askama says.
        #[source]
        source: askama::Error,
    },
}

/// What is wrong with a template's data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataProblem {
    /// It is no object.
    #[error("needs an object as its data")]
    NotAnObject,
    /// A member is not there.
    #[error("needs the member \"{0}\" in its data")]
    Missing(&'static str),
    /// A member has the wrong form.
    #[error("needs \"{member}\" in its data to be {expected}")]
    Form {
        /// The member.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A member that the template does not know.
    #[error("knows no member {0:?} in its data")]
    Unknown(String),
}

/// A template: its name, how it turns data into a mail, the JSON Schema of what it takes, and data to try it with.
struct Template {
    name: &'static str,
    render: fn(&Value) -> Result<RenderedMail, EmailError>,
    schema: fn() -> Value,
    sample: fn() -> Value,
}

/// The names of all templates.
pub fn template_names() -> impl Iterator<Item = &'static str> {
    TEMPLATES.iter().map(|template| template.name)
}

/// The JSON Schema of each template's data, with the template's name.
pub fn data_schemas() -> impl Iterator<Item = (&'static str, Value)> {
    TEMPLATES
        .iter()
        .map(|template| (template.name, (template.schema)()))
}

/// Renders a template with its data.
///
/// # Errors
/// [`EmailError::UnknownTemplate`] and [`EmailError::Data`] are the caller's, [`EmailError::Render`] is ours.
pub fn render(template: &str, data: &Value) -> Result<RenderedMail, EmailError> {
    let template = find(template)?;
    (template.render)(data)
}

/// Data to try a template with.
///
/// # Errors
/// [`EmailError::UnknownTemplate`].
pub fn sample(template: &str) -> Result<Value, EmailError> {
    let template = find(template)?;
    Ok((template.sample)())
}

fn find(name: &str) -> Result<&'static Template, EmailError> {
    TEMPLATES
        .iter()
        .find(|template| template.name == name)
        .ok_or_else(|| EmailError::UnknownTemplate {
            name: name.chars().take(64).collect(),
        })
}

#[cfg(test)]
mod tests;
