//! Template `token_expiring`: a grant ends soon, and only its owner can put that off. Data: those of a [`Grant`], `what` (`token`
//! or `data_access`) and `ends_at`.

use serde_json::{Value, json};

use super::{
    EmailError, Look, RenderedMail, Template,
    data::{Members, time_schema},
    grant::{Grant, Letter, schema_with},
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

fn render(data: &Value, look: &Look) -> Result<RenderedMail, EmailError> {
    let mut members = Members::of(NAME, data)?;
    let grant = Grant::read(&mut members)?;
    let of = match members.word("what", ENDS)? {
        "data_access" => "your data at ",
        _ => "",
    };
    let ends_at = members.time("ends_at")?;
    members.finish()?;

    let Grant {
        platform, accounts, ..
    } = &grant;
    let (day, moment) = (words::day(ends_at.date_naive()), words::moment(ends_at));
    let letter = Letter {
        subject: format!("Your connection to {platform} ends on {day}"),
        preview: "Connect it again before then, and nothing is interrupted.",
        first: format!(
            "The access to {of}{platform} that you gave ends on {moment}. It is used for {accounts}."
        ),
        second: "Until then everything goes on. After that nothing is read from there any more, until you connect it again. \
                 Connect it again before that day, and nothing is interrupted.",
    };
    grant.mail(NAME, letter, look)
}

fn schema() -> Value {
    schema_with(&[
        ("what", json!({ "enum": ENDS.0 })),
        ("ends_at", time_schema()),
    ])
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
