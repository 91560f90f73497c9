//! What a mail says, and what is known of its delivery. How mail reaches a server is the business of `providers`.

mod alert;
mod data;
mod digest;
mod grant;
mod look;
mod needs_reauth;
mod news;
mod own;
mod plain;
mod receipts;
mod sync_failed;
mod token_expiring;
mod topic;
mod welcome;
mod words;

use serde_json::Value;

pub use look::{Brand, Look};
pub use news::{
    Failing, FailingAccount, MailOwner, WeekAccount, WeekOf, WeekTotal, digest_owners,
    failing_accounts, last_week_of,
};
pub use own::{OwnProblem, OwnTemplates, OwnTemplatesError, PREFIX as OWN_PREFIX};
pub use receipts::{
    Begun, MailIdentity, Unsent, begin_send, forget_old_sends, record_sent, record_unsent,
};
pub use topic::Topic;

/// Every template, by name.
const TEMPLATES: &[Template] = &[
    alert::TEMPLATE,
    digest::TEMPLATE,
    needs_reauth::TEMPLATE,
    plain::TEMPLATE,
    sync_failed::TEMPLATE,
    token_expiring::TEMPLATE,
    welcome::TEMPLATE,
];

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
    #[error("there is no template {name:?}; known are {known}")]
    UnknownTemplate {
        /// What was asked for, cut at 64 characters.
        name: String,
        /// The ones that there are.
        known: String,
    },
    /// The data does not suit the template.
    #[error("template \"{template}\" {problem}")]
    Data {
        /// The template.
        template: &'static str,
        /// Which member is wrong, and how.
        problem: DataProblem,
    },
    /// A template of the operator's failed with this data.
    #[error(transparent)]
    Own(#[from] OwnProblem),
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
    render: fn(&Value, &Look) -> Result<RenderedMail, EmailError>,
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

/// The templates of this process: those that are built in, and the operator's.
#[derive(Default)]
pub struct Templates {
    own: OwnTemplates,
}

impl Templates {
    /// With the operator's.
    #[must_use]
    pub fn with(own: OwnTemplates) -> Self {
        Self { own }
    }

    /// The names of all of them, as payloads use them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let built_in = template_names().map(str::to_owned);
        built_in.chain(self.own.names()).collect()
    }

    /// Renders a template with its data. One of the operator's in the place of a built-in one takes the same data.
    ///
    /// # Errors
    /// [`EmailError::UnknownTemplate`] and [`EmailError::Data`] are the caller's, [`EmailError::Own`] is the operator's,
    /// [`EmailError::Render`] is ours.
    pub fn render(
        &self,
        template: &str,
        data: &Value,
        look: &Look,
    ) -> Result<RenderedMail, EmailError> {
        if let Some(own) = template.strip_prefix(OWN_PREFIX) {
            let mail = self.own.render(own, data, look)?;
            return mail.ok_or_else(|| self.unknown(template));
        }
        let built_in = find(template).ok_or_else(|| self.unknown(template))?;
        let mail = (built_in.render)(data, look)?;
        Ok(self.own.render(template, data, look)?.unwrap_or(mail))
    }

    /// Data to try a template with; of one of the operator's, what stands beside it.
    ///
    /// # Errors
    /// [`EmailError::UnknownTemplate`].
    pub fn sample(&self, template: &str) -> Result<Value, EmailError> {
        if let Some(own) = template.strip_prefix(OWN_PREFIX) {
            let sample = self.own.sample(own);
            return sample.ok_or_else(|| self.unknown(template));
        }
        let built_in = find(template).ok_or_else(|| self.unknown(template))?;
        let own = self.own.sample(template);
        Ok(own.unwrap_or_else(|| (built_in.sample)()))
    }

    fn unknown(&self, name: &str) -> EmailError {
        EmailError::UnknownTemplate {
            name: name.chars().take(64).collect(),
            known: self.names().join(", "),
        }
    }
}

fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

#[cfg(test)]
mod tests;
