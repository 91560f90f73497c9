//! What owners are told of their grants: the members that templates about grants share, and the letter that they become, with
//! a button where the accounts are connected again.

use askama::Template as _;
use serde_json::{Map, Value, json};

use super::{
    EmailError, Look, RenderedMail,
    data::{Members, count_schema, line_schema, list_schema, optional_url_schema},
    words,
};

/// A grant: members `platform`, `accounts` (names), `more` (how many there are beside those), `connect_url`.
pub(super) struct Grant<'a> {
    pub(super) platform: &'a str,
    /// The names, as a part of a sentence.
    pub(super) accounts: String,
    connect_url: Option<&'a str>,
}

/// What is told of a grant.
pub(super) struct Letter {
    pub(super) subject: String,
    /// What readers of mail show behind the subject.
    pub(super) preview: &'static str,
    /// The first paragraph, as it goes on behind a greeting.
    pub(super) first: String,
    pub(super) second: &'static str,
}

#[derive(askama::Template)]
#[template(path = "email/grant.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    preview: &'a str,
    first: &'a str,
    second: &'a str,
    connect_url: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "email/grant.txt")]
struct Text<'a> {
    look: &'a Look,
    first: &'a str,
    second: &'a str,
    connect_url: Option<&'a str>,
}

impl<'a> Grant<'a> {
    pub(super) fn read(members: &mut Members<'a>) -> Result<Self, EmailError> {
        let platform = members.line("platform")?;
        let names = members.lines("accounts")?;
        let more = members.count("more")?;
        Ok(Self {
            platform,
            accounts: words::names(&names, more),
            connect_url: members.optional_url("connect_url")?,
        })
    }

    /// The mail of this template.
    pub(super) fn mail(
        &self,
        template: &'static str,
        letter: Letter,
        look: &Look,
    ) -> Result<RenderedMail, EmailError> {
        let failed = |source| EmailError::Render { template, source };
        Ok(RenderedMail {
            text: Text {
                look,
                first: &letter.first,
                second: letter.second,
                connect_url: self.connect_url,
            }
            .render()
            .map_err(failed)?,
            html: Html {
                look,
                subject: &letter.subject,
                preview: letter.preview,
                first: &with_capital(&letter.first),
                second: letter.second,
                connect_url: self.connect_url,
            }
            .render()
            .map_err(failed)?,
            subject: letter.subject,
        })
    }
}

/// The schema of a grant's members and these, all of which are required.
pub(super) fn schema_with(others: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    properties.insert("platform".to_owned(), line_schema());
    properties.insert("accounts".to_owned(), list_schema(&line_schema()));
    properties.insert("more".to_owned(), count_schema());
    properties.insert("connect_url".to_owned(), optional_url_schema());
    let mut required = vec!["platform"];
    for (member, schema) in others {
        properties.insert((*member).to_owned(), schema.clone());
        required.push(member);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn with_capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).collect()
}
