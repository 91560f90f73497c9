//! Template `sync_failed`: accounts that could not be read, one mail for all of an owner's. Data: `accounts`, each with
//! `name`, `platform`, `since` and `reason` (a sentence), and `more` (how many there are beside those).

use askama::Template as _;
use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, count_schema, line_schema, list_schema, time_schema},
    words,
};

const NAME: &str = "sync_failed";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

struct Account<'a> {
    name: &'a str,
    platform: &'a str,
    since: String,
    reason: &'a str,
}

#[derive(askama::Template)]
#[template(path = "email/sync_failed.html")]
struct Html<'a> {
    look: &'a Look,
    subject: &'a str,
    accounts: &'a [Account<'a>],
    more: u64,
}

#[derive(askama::Template)]
#[template(path = "email/sync_failed.txt")]
struct Text<'a> {
    look: &'a Look,
    accounts: &'a [Account<'a>],
    more: u64,
}

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let mut accounts = Vec::new();
    for mut account in members.objects("accounts")? {
        accounts.push(Account {
            name: account.line("name")?,
            platform: account.line("platform")?,
            since: words::moment(account.time("since")?),
            reason: account.line("reason")?,
        });
        account.finish()?;
    }
    let more = members.count("more")?;
    members.finish()?;

    let subject = match (accounts.as_slice(), more) {
        ([only], 0) => format!("\"{}\" could not be read", only.name),
        (told, more) => {
            let all = u64::try_from(told.len()).unwrap_or(u64::MAX);
            format!("{} accounts could not be read", all.saturating_add(more))
        }
    };
    let failed = |source| EmailError::Render {
        template: NAME,
        source,
    };
    Ok(RenderedMail {
        text: Text {
            look,
            accounts: &accounts,
            more,
        }
        .render()
        .map_err(failed)?,
        html: Html {
            look,
            subject: &subject,
            accounts: &accounts,
            more,
        }
        .render()
        .map_err(failed)?,
        subject,
    })
}

fn schema() -> Value {
    let account = json!({
        "type": "object",
        "properties": {
            "name": line_schema(),
            "platform": line_schema(),
            "since": time_schema(),
            "reason": line_schema(),
        },
        "required": ["name", "platform", "since", "reason"],
        "additionalProperties": false,
    });
    let mut accounts = list_schema(&account);
    accounts["type"] = json!("array");
    json!({
        "type": "object",
        "properties": { "accounts": accounts, "more": count_schema() },
        "required": ["accounts"],
        "additionalProperties": false,
    })
}

fn sample() -> Value {
    json!({
        "accounts": [
            {
                "name": "Analytical Engines",
                "platform": "Meta",
                "since": "2026-11-19T06:00:00Z",
                "reason": "The platform has trouble of its own.",
            },
            {
                "name": "Looms & Co",
                "platform": "LinkedIn",
                "since": "2026-11-18T06:00:00Z",
                "reason": "The access that you gave lacks a right: connect it again and allow all that is asked for.",
            },
        ],
        "more": 2,
    })
}
