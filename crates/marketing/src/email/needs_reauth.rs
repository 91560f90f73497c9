//! Template `needs_reauth`: a grant does not work any more. Data: `platform`, `since`, `accounts` (names), `more` (how many
//! there are beside those), `connect_url`.

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, count_schema, line_schema, list_schema, optional_url_schema, time_schema},
    words,
};

const NAME: &str = "needs_reauth";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

#[derive(askama::Template)]
#[template(path = "email/needs_reauth.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    platform: &'a str,
    moment: &'a str,
    accounts: &'a str,
    connect_url: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "email/needs_reauth.txt")]
struct Text<'a> {
    look: &'a Look,
    platform: &'a str,
    moment: &'a str,
    accounts: &'a str,
    connect_url: Option<&'a str>,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let platform = members.line("platform")?;
    let since = members.time("since")?;
    let names = members.lines("accounts")?;
    let more = members.count("more")?;
    let connect_url = members.optional_url("connect_url")?;
    members.finish()?;

    let subject = format!("Your connection to {platform} must be renewed");
    let (moment, accounts) = (words::moment(since), words::names(&names, more));
    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        text: Text {
            look,
            platform,
            moment: &moment,
            accounts: &accounts,
            connect_url,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject: &subject,
            platform,
            moment: &moment,
            accounts: &accounts,
            connect_url,
        }
        .render()
        .map_err(failed)?,
        subject,
    })
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "platform": line_schema(),
            "since": time_schema(),
            "accounts": list_schema(&line_schema()),
            "more": count_schema(),
            "connect_url": optional_url_schema(),
        },
        "required": ["platform", "since"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({
        "platform": "Google Ads",
        "since": "2026-11-20T12:00:00Z",
        "accounts": ["Analytical Engines"],
        "more": 0,
        "connect_url": null,
    })
}
