//! What mails say, and what is refused.

use serde_json::json;

use super::*;

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
fn a_line_break_cannot_reach_the_subject() {
    for injected in ["News\r\nBcc: eve@example.com", "News\nX: y", "News\0"] {
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
        "there is no template \"../welcome\"; known are plain, welcome"
    );
}

#[test]
fn every_template_renders_its_sample() {
    for name in template_names() {
        let data = sample(name).expect("a known template");

        let mail = render(name, &data).expect("the sample suits its template");

        assert!(!mail.subject.is_empty());
        assert!(!mail.text.contains("{{") && !mail.html.contains("{{"));
    }
}
