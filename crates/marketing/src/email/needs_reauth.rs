//! Template `needs_reauth`: a grant does not work any more. Data: those of a [`Grant`], and `since`.

use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, time_schema},
    grant::{Grant, Letter, schema_with},
    words,
};

const NAME: &str = "needs_reauth";

pub(super) const TEMPLATE: Template = Template {
    name: NAME,
    render,
    schema,
    sample,
};

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let grant = Grant::read(&mut members)?;
    let since = words::moment(members.time("since")?);
    members.finish()?;

    let Grant {
        platform, accounts, ..
    } = &grant;
    let letter = Letter {
        subject: format!("Your connection to {platform} must be renewed"),
        preview: "Nothing is read from there until you connect it again.",
        first: format!(
            "since {since} the access to {platform} that you gave does not work any more. It was used for {accounts}."
        ),
        second: "Nothing is read from there until you connect it again. What waits for it goes on by itself then.",
    };
    grant.mail(NAME, letter, look)
}

fn schema() -> Value {
    schema_with(&[("since", time_schema())])
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
