//! Template `token_expiring`: a grant ends soon, and only its owner can put that off. Data: `platform`, `what` (`token` or
//! `data_access`), `ends_at`, `accounts` (names), `more` (how many there are beside those), `connect_url`.

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, count_schema, line_schema, list_schema, optional_url_schema, time_schema},
    words,
};

const NAME: &str = "token_expiring";
const ENDS: (&[&str], &str) = (
    &["token", "data_access"],
    "one of \"token\" and \"data_access\"",
);

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

#[derive(askama::Template)]
#[template(path = "email/token_expiring.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    what: &'a str,
    moment: &'a str,
    accounts: &'a str,
    connect_url: Option<&'a str>,
}

#[derive(askama::Template)]
#[template(path = "email/token_expiring.txt")]
struct Text<'a> {
    look: &'a Look,
    what: &'a str,
    moment: &'a str,
    accounts: &'a str,
    connect_url: Option<&'a str>,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let platform = members.line("platform")?;
    let what = match members.word("what", ENDS)? {
        "data_access" => format!("The access to your data at {platform} that you gave"),
        _ => format!("The access to {platform} that you gave"),
    };
    let ends_at = members.time("ends_at")?;
    let names = members.lines("accounts")?;
    let more = members.count("more")?;
    let connect_url = members.optional_url("connect_url")?;
    members.finish()?;

    let day = words::day(ends_at.date_naive());
    let subject = format!("Your connection to {platform} ends on {day}");
    let (moment, accounts) = (words::moment(ends_at), words::names(&names, more));
    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        text: Text {
            look,
            what: &what,
            moment: &moment,
            accounts: &accounts,
            connect_url,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject: &subject,
            what: &what,
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
            "what": { "enum": ENDS.0 },
            "ends_at": time_schema(),
            "accounts": list_schema(&line_schema()),
            "more": count_schema(),
            "connect_url": optional_url_schema(),
        },
        "required": ["platform", "what", "ends_at"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({
        "platform": "Meta",
        "what": "token",
        "ends_at": "2026-11-27T09:30:00Z",
        "accounts": ["Analytical Engines", "Looms & Co"],
        "more": 3,
        "connect_url": "https://app.example.com/connect/meta",
    })
}
