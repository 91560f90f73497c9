//! Template `alert`: something that was to be watched has happened. Data: `title`, `text` (a sentence or two), `facts` (each
//! with `label` and `value`), `raised_at`, `url` of the page where one looks at it.

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, line_schema, list_schema, optional_url_schema, text_schema, time_schema},
    words,
};

const NAME: &str = "alert";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

struct Fact<'a> {
    label: &'a str,
    value: &'a str,
}

#[derive(askama::Template)]
#[template(path = "email/alert.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    text: &'a str,
    facts: &'a [Fact<'a>],
    url: Option<&'a str>,
    moment: &'a str,
}

#[derive(askama::Template)]
#[template(path = "email/alert.txt")]
struct Text<'a> {
    look: &'a Look,
    subject: &'a str,
    text: &'a str,
    facts: &'a [Fact<'a>],
    url: Option<&'a str>,
    moment: &'a str,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let subject = members.line("title")?;
    let text = members.text("text")?;
    let mut facts = Vec::new();
    for mut fact in members.objects("facts")? {
        facts.push(Fact {
            label: fact.line("label")?,
            value: fact.line("value")?,
        });
        fact.finish()?;
    }
    let moment = words::moment(members.time("raised_at")?);
    let url = members.optional_url("url")?;
    members.finish()?;

    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        subject: subject.to_owned(),
        text: Text {
            look,
            subject,
            text,
            facts: &facts,
            url,
            moment: &moment,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject,
            text,
            facts: &facts,
            url,
            moment: &moment,
        }
        .render()
        .map_err(failed)?,
    })
}

fn schema() -> Value {
    let fact = json!({
        "type": "object",
        "properties": { "label": line_schema(), "value": line_schema() },
        "required": ["label", "value"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "title": line_schema(),
            "text": text_schema(),
            "facts": list_schema(&fact),
            "raised_at": time_schema(),
            "url": optional_url_schema(),
        },
        "required": ["title", "text", "raised_at"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({
        "title": "Cost per click of \"Spring\" is above 2.00 EUR",
        "text": "It was 2.41 EUR over the last 7 days. You asked to be told above 2.00 EUR.",
        "facts": [
            { "label": "Account", "value": "Analytical Engines (Meta)" },
            { "label": "Cost per click", "value": "2.41 EUR" },
            { "label": "The week before", "value": "1.72 EUR" },
        ],
        "raised_at": "2026-11-20T07:15:00Z",
        "url": "https://app.example.com/alerts/42",
    })
}
