//! Template `plain`: a subject and paragraphs. Data: `subject`, and `text`, whose blank lines part its paragraphs.

use std::mem;

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, line_schema, text_schema},
};

const NAME: &str = "plain";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

#[derive(askama::Template)]
#[template(path = "email/plain.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    paragraphs: Vec<Vec<&'a str>>,
}

#[derive(askama::Template)]
#[template(path = "email/plain.txt")]
struct Text<'a> {
    look: &'a Look,
    text: &'a str,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let subject = members.line("subject")?;
    let text = members.text("text")?;
    members.finish()?;

    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        subject: subject.to_owned(),
        text: Text { look, text }.render().map_err(failed)?,
        html: Html {
            look,
            subject,
            paragraphs: paragraphs(text),
        }
        .render()
        .map_err(failed)?,
    })
}

/// The lines of each paragraph.
fn paragraphs(text: &str) -> Vec<Vec<&str>> {
    let mut paragraphs = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            paragraphs.push(mem::take(&mut lines));
        } else {
            lines.push(line.trim_end());
        }
    }
    paragraphs.push(lines);
    paragraphs.retain(|lines| !lines.is_empty());
    paragraphs
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "subject": line_schema(), "text": text_schema() },
        "required": ["subject", "text"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({
        "subject": "Your report is ready",
        "text": "Hello Ada,\n\nthe report for spring is ready.\nIt covers March to May.\n\nYours,\nthe team",
    })
}
