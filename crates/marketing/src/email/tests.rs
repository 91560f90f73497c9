//! What mails say, and what is refused.

use serde_json::json;

use super::*;

fn render(template: &str, data: &Value) -> Result<RenderedMail, EmailError> {
    Templates::default().render(template, data, &Look::default())
}

fn problem(template: &str, data: &Value) -> String {
    render(template, data).expect_err("refused").to_string()
}

#[test]
fn the_welcome_mail_says_the_same_in_both_forms() {
    let mail = render("welcome", &json!({ "name": "Ada" })).expect("sound data");

    assert_eq!(mail.subject, "Welcome");
    assert_eq!(
        mail.text,
        "Hello Ada,\n\nwelcome aboard. Your account is ready.\n\n\
         If you did not ask for an account, you can ignore this message.\n\n\
         -- \nThis message was sent automatically."
    );
    assert!(mail.html.contains(">Hello Ada</h1>"));
    assert!(
        mail.html
            .contains("Welcome aboard. Your account is ready.</p>")
    );
    assert!(mail.html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    assert!(mail.html.ends_with("</html>"));
}

#[test]
fn the_welcome_mail_names_the_product_where_there_is_one() {
    let mail = render(
        "welcome",
        &json!({ "name": "Ada", "product": "Looms & Co" }),
    )
    .expect("sound data");

    assert_eq!(mail.subject, "Welcome to Looms & Co");
    assert!(
        mail.text
            .contains("welcome to Looms & Co. Your account is ready.")
    );
    assert!(
        mail.html
            .contains("Welcome to Looms &#38; Co. Your account is ready.</p>")
    );
    assert!(
        mail.html
            .contains("<title>Welcome to Looms &#38; Co</title>")
    );
}

#[test]
fn the_plain_mail_keeps_paragraphs_and_lines() {
    let data = json!({ "subject": "News", "text": "One\r\ntwo\n\n \n\nthree\n" });

    let mail = render("plain", &data).expect("sound data");

    assert_eq!(mail.subject, "News");
    assert!(mail.text.starts_with("One\r\ntwo\n\n \n\nthree\n\n-- \n"));
    assert!(mail.html.contains(">One<br>two</p>"));
    assert!(mail.html.contains(">three</p>"));
    assert_eq!(mail.html.matches("margin: 0 0 16px").count(), 2);
}

#[test]
fn markup_and_template_syntax_in_data_are_text() {
    let hostile = "<script>alert(1)</script>\"><img onerror=x> {{ name }} {% include \"x\" %}";

    let welcome = render("welcome", &json!({ "name": hostile })).expect("sound data");
    let plain =
        render("plain", &json!({ "subject": hostile, "text": hostile })).expect("sound data");

    for mail in [welcome, plain] {
        assert!(!mail.html.contains("<script"), "{}", mail.html);
        assert!(!mail.html.contains("<img"), "{}", mail.html);
        assert!(
            mail.html
                .contains("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#62;&#60;img")
        );
        assert!(mail.html.contains("{{ name }} {% include"));
        assert!(mail.text.contains(hostile));
    }
}

#[test]
fn what_is_no_plain_line_cannot_reach_the_subject() {
    for injected in [
        "News\r\nBcc: eve@example.com",
        "News\nX: y",
        "News\0",
        "News\u{2028}X: y",
        "\u{202e}swoN",
        "=?utf-8?q?News=0D=0ABcc:_eve=40example.com?=",
    ] {
        let told = problem("plain", &json!({ "subject": injected, "text": "x" }));

        assert_eq!(
            told,
            "template \"plain\" needs \"subject\" in its data to be a line of text of at most 200 characters"
        );
    }
}

#[test]
fn what_is_wrong_with_the_data_is_named_and_not_quoted() {
    assert_eq!(
        problem("welcome", &json!({})),
        "template \"welcome\" needs the member \"name\" in its data"
    );
    assert_eq!(
        problem("welcome", &json!({ "name": ["Ada"] })),
        "template \"welcome\" needs \"name\" in its data to be a line of text of at most 200 characters"
    );
    assert_eq!(
        problem("welcome", &json!({ "name": "Ada", "nmae": "Eve" })),
        "template \"welcome\" knows no member \"nmae\" in its data"
    );
    assert_eq!(
        problem("welcome", &json!("Ada")),
        "template \"welcome\" needs an object as its data"
    );
    assert_eq!(
        problem("plain", &json!({ "subject": "News", "text": "  \n" })),
        "template \"plain\" needs \"text\" in its data to be text of at most 100,000 characters"
    );
}

#[test]
fn an_unknown_template_is_refused_with_the_list_of_known_ones() {
    assert_eq!(
        problem("../welcome", &json!({ "name": "Ada" })),
        "there is no template \"../welcome\"; known are alert, digest, needs_reauth, plain, sync_failed, \
         token_expiring, welcome"
    );
}

#[test]
fn every_template_renders_its_sample() {
    for name in template_names() {
        let data = Templates::default().sample(name).expect("a known template");

        let mail = render(name, &data).expect("the sample suits its template");

        assert!(!mail.subject.is_empty());
        assert!(!mail.text.contains("{{") && !mail.html.contains("{{"));
    }
}

fn branded() -> Look {
    Look {
        brand: Brand {
            name: Some("Looms & Co".to_owned()),
            color: Some("#7a1f5c".to_owned()),
            logo_url: None,
            address: Some("1 Mill Lane, Ulm".to_owned()),
        },
        unsubscribe_url: Some("https://jobs.example.com/unsubscribe/t0ken".to_owned()),
    }
}

#[test]
fn every_template_looks_as_it_did() {
    let templates = Templates::default();

    for name in template_names() {
        let data = templates.sample(name).expect("a known template");
        let mail = templates.render(name, &data, &branded());
        let mail = mail.expect("the sample suits its template");

        let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
        insta::assert_snapshot!(format!("{name}_text"), text);
        insta::assert_snapshot!(format!("{name}_html"), mail.html);
    }
}

// Fails when a mail says nothing in Outlook, is cut by Gmail, or needs what they strip.
#[test]
fn every_mail_keeps_to_what_gmail_and_outlook_show() {
    let templates = Templates::default();

    for name in template_names() {
        let data = templates.sample(name).expect("a known template");
        let mail = templates.render(name, &data, &branded());
        let html = mail.expect("the sample suits its template").html;

        for stripped in [
            "<svg",
            "<script",
            "<link",
            "<form",
            "<iframe",
            "display: flex",
            "display: grid",
            "data:image",
            "var(--",
            "position:",
            "background-image",
        ] {
            assert!(!html.contains(stripped), "{name} has {stripped}");
        }
        let style = html
            .split("<style>")
            .nth(1)
            .and_then(|it| it.split("</style>").next());
        assert!(style.is_some_and(|style| style.len() < 8_192), "{name}");
        assert!(html.len() < 102 * 1024, "{name}: Gmail cuts it");
        assert_eq!(
            html.matches("<table").count(),
            html.matches("</table>").count(),
            "{name}"
        );
        assert!(!html.contains("{%") && !html.contains("{{"), "{name}");
    }
}

#[test]
fn a_brand_and_a_way_out_stand_in_both_forms() {
    let mail = Templates::default().render("welcome", &json!({ "name": "Ada" }), &branded());
    let mail = mail.expect("sound data");

    assert!(
        mail.text.ends_with(
            "This message was sent automatically by Looms & Co.\n1 Mill Lane, Ulm\n\
         Stop mails of this sort: https://jobs.example.com/unsubscribe/t0ken"
        ),
        "{}",
        mail.text
    );
    assert!(mail.html.contains("by Looms &#38; Co.</p>"));
    assert!(mail.html.contains("color: #7a1f5c;\">Looms &#38; Co</p>"));
    assert!(
        mail.html
            .contains("<a href=\"https://jobs.example.com/unsubscribe/t0ken\"")
    );
}

#[test]
fn a_name_that_somebody_typed_is_text_and_stays_on_its_line() {
    let with = |name: &str| json!({ "platform": "Meta", "since": "2026-11-20T12:00:00Z", "accounts": [name] });

    let mail = render("needs_reauth", &with("<b>Shop</b>")).expect("sound data");

    assert!(mail.html.contains("&#60;b&#62;Shop&#60;/b&#62;"));
    assert!(mail.text.contains("since 20 November 2026 at 12:00 UTC"));
    assert_eq!(
        problem("needs_reauth", &with("Shop\r\nBcc: eve@example.com")),
        "template \"needs_reauth\" needs \"accounts\" in its data to be a list of lines of text of at most 200 \
         characters"
    );
}

#[test]
fn a_week_without_figures_says_so() {
    let data = json!({ "first_day": "2026-11-09", "last_day": "2026-11-15" });

    let mail = render("digest", &data).expect("sound data");

    assert!(mail.text.contains("Nothing was delivered in this week."));
    assert!(mail.html.contains("Nothing was delivered in this week."));
}
