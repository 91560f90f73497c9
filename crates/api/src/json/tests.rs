//! What objects read, and what they refuse.

use std::collections::BTreeMap;

use queue::JobState;

use super::*;

fn errors(result: Result<(), ApiError>) -> Vec<FieldProblem> {
    match result {
        Err(ApiError::Invalid(errors)) => errors,
        other => panic!("expected wrong members, got {other:?}"),
    }
}

#[test]
fn everything_wrong_is_told_at_once_with_its_pointer() {
    let text = r#"{"kind": 7, "priority": 10, "delay": "soon", "run_at": "tomorrow", "tags": {"a/b": 1}, "priorty": 1}"#;
    let mut object = Object::parse(text).expect("an object");

    object.required_text("kind");
    object.integer::<i16>("priority", 0..=9);
    object.duration("delay");
    object.time("run_at");
    object.texts_by_name("tags");
    let errors = errors(object.finish());

    let told: BTreeMap<_, _> = errors
        .iter()
        .map(|e| (e.pointer.as_str(), e.message.as_str()))
        .collect();
    assert_eq!(
        told.keys().copied().collect::<Vec<_>>(),
        [
            "/delay",
            "/kind",
            "/priority",
            "/priorty",
            "/run_at",
            "/tags/a~1b"
        ]
    );
    assert_eq!(told["/priority"], "must be a whole number from 0 to 9");
    assert_eq!(
        told["/priorty"],
        "unknown member; did you mean \"priority\"?"
    );
}

#[test]
fn null_is_absent_and_what_is_required_is_told() {
    let mut object = Object::parse(r#"{"kind": null, "queue": null}"#).expect("an object");

    let (kind, queue) = (object.required_text("kind"), object.text("queue"));

    assert_eq!((kind.as_str(), queue), ("", None));
    assert_eq!(
        errors(object.finish()),
        [FieldProblem::new("/kind", "is required")]
    );
}

#[test]
fn a_member_that_is_not_read_stays_as_it_was_sent() {
    let text = r#"{"payload": {"n": 123456789012345678901234567890, "x":1.10}}"#;
    let mut object = Object::parse(text).expect("an object");

    let payload = object.raw("payload").expect("it is there");

    assert_eq!(
        payload.get(),
        r#"{"n": 123456789012345678901234567890, "x":1.10}"#
    );
    assert!(object.finish().is_ok());
}

#[test]
fn text_that_is_no_sound_json_is_malformed_and_what_is_no_object_is_invalid() {
    for text in [
        "",
        "{",
        "{\"a\":}",
        "{} x",
        "\u{feff}{}",
        "{\"\\ud800\": 1}",
        "{\"a\": 1, \"a\": 2}",
    ] {
        assert!(
            matches!(Object::parse(text), Err(ApiError::MalformedBody { .. })),
            "{text}"
        );
    }
    for text in ["[]", "1", "\"a\"", "null"] {
        assert!(
            matches!(Object::parse(text), Err(ApiError::Invalid(_))),
            "{text}"
        );
    }
}

#[test]
fn a_hundred_thousand_brackets_or_names_do_no_harm() {
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let wide: String = (0..100_000).map(|n| format!("\"n{n}\": 1,")).collect();
    let wide = format!("{{{wide}\"z\": 1}}");

    let deep = Object::parse(&deep).expect("sound").finish();
    let wide = Object::parse(&wide).expect("sound").finish();

    assert_eq!(errors(deep).len(), 1);
    assert_eq!(errors(wide).len(), MOST_ERRORS);
}

#[test]
fn text_that_the_database_could_not_keep_is_wrong() {
    let mut object = Object::parse(r#"{"a": "\u0000", "b": "\ud800", "c": ["ready", "runing"]}"#)
        .expect("an object");

    object.text("a");
    object.text("b");
    object.words::<JobState>("c");
    let errors = errors(object.finish());

    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/a", "/b", "/c/1"]);
}

#[test]
fn an_inner_object_is_read_like_the_outer_one() {
    let mut object =
        Object::parse(r#"{"unique": {"key": 1, "wile": []}, "twice": {"a": 1, "a": 1}}"#)
            .expect("an object");

    let mut inner = object.object("unique").expect("an object");
    inner.required_text("key");
    inner.words::<JobState>("while");
    object.close(inner);
    object.object("twice");
    let errors = errors(object.finish());

    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/unique/key", "/unique/wile", "/twice/a"]);
}
