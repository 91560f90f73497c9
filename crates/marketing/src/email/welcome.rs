//! Template `welcome`: greets a new user. Data: `name`, and `product` if the mail should say where they are welcome.

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, line_schema, optional_line_schema},
};

const NAME: &str = "welcome";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

#[derive(askama::Template)]
#[template(path = "email/welcome.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    name: &'a str,
    product: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "email/welcome.txt")]
struct Text<'a> {
    look: &'a Look,
    name: &'a str,
    product: Option<&'a str>,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let name = members.line("name")?;
    let product = members.optional_line("product")?;
    members.finish()?;

    let subject = match product {
        Some(product) => format!("Welcome to {product}"),
        None => "Welcome".to_owned(),
    };
    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        text: Text {
            look,
            name,
            product,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject: &subject,
            name,
            product,
        }
        .render()
        .map_err(failed)?,
        subject,
    })
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "name": line_schema(), "product": optional_line_schema() },
        "required": ["name"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({ "name": "Ada Lovelace", "product": "Analytical Engines" })
}
