//! Which folders are taken, and what becomes of their templates.

use super::*;
use crate::email::{Brand, EmailError, Templates};

/// A folder with these files, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("millpond-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path)?;
        let folder = Self(path);
        for (name, text) in files {
            fs::write(folder.0.join(name), text)?;
        }
        Ok(folder)
    }

    fn read(&self) -> Result<OwnTemplates, OwnTemplatesError> {
        OwnTemplates::read(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a test leaves in a temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refused(files: &[(&str, &str)]) -> anyhow::Result<String> {
    match Folder::with(files)?.read() {
        Ok(_) => anyhow::bail!("it is taken"),
        Err(error) => Ok(format!("{:#}", anyhow::Error::from(error))),
    }
}

#[test]
fn an_own_template_is_filled_and_escaped() -> anyhow::Result<()> {
    let folder = Folder::with(&[
        ("_head.html", "<h1>{{ brand.name }}</h1>"),
        (
            "spring.html",
            "{% include \"_head.html\" %}<p>{{ city }}</p>",
        ),
        (
            "spring.txt",
            "Subject: Spring in {{ city }}\n\nCome to {{ city }}.\n",
        ),
        ("spring.json", r#"{"city": "Ulm"}"#),
    ])?;
    let templates = Templates::with(folder.read()?);
    let look = Look {
        brand: Brand {
            name: Some("Looms".to_owned()),
            ..Brand::default()
        },
        unsubscribe_url: None,
    };

    let mail = templates.render("own/spring", &json!({ "city": "<b>" }), &look)?;

    assert_eq!(mail.subject, "Spring in <b>");
    assert_eq!(mail.text, "Come to <b>.");
    assert_eq!(mail.html, "<h1>Looms</h1><p>&lt;b&gt;</p>");
    assert_eq!(templates.sample("own/spring")?, json!({ "city": "Ulm" }));
    assert!(templates.names().contains(&"own/spring".to_owned()));
    Ok(())
}

#[test]
fn one_with_a_built_in_name_takes_its_place_and_its_data() -> anyhow::Result<()> {
    let folder = Folder::with(&[
        ("welcome.html", "<p>Moin {{ name }}</p>"),
        ("welcome.txt", "Subject: Moin\n\nMoin {{ name }}"),
        ("welcome.json", r#"{"name": "Grace"}"#),
    ])?;
    let templates = Templates::with(folder.read()?);

    let mail = templates.render("welcome", &json!({ "name": "Ada" }), &Look::default())?;
    let wrong = templates.render("welcome", &json!({}), &Look::default());

    assert_eq!((&*mail.subject, &*mail.text), ("Moin", "Moin Ada"));
    assert_eq!(templates.sample("welcome")?, json!({ "name": "Grace" }));
    assert!(matches!(wrong, Err(EmailError::Data { .. })), "{wrong:?}");
    Ok(())
}

#[test]
fn what_a_template_is_not_given_is_no_empty_word() -> anyhow::Result<()> {
    let folder = Folder::with(&[
        ("a.html", "{{ missing }}"),
        ("a.txt", "Subject: A\n\n{{ missing }}"),
    ])?;
    let templates = Templates::with(folder.read()?);

    let failed = templates.render("own/a", &json!({}), &Look::default());

    assert!(matches!(failed, Err(EmailError::Own(_))), "{failed:?}");
    Ok(())
}

#[test]
fn a_subject_is_one_line_whatever_it_is_filled_with() -> anyhow::Result<()> {
    let folder = Folder::with(&[("a.html", "x"), ("a.txt", "Subject: {{ name }}\n\nx")])?;
    let templates = Templates::with(folder.read()?);

    let mail = templates.render(
        "own/a",
        &json!({ "name": "Hi\r\nBcc: eve@example.com" }),
        &Look::default(),
    )?;

    assert_eq!(mail.subject, "Hi");
    Ok(())
}

#[test]
fn what_could_not_be_sent_is_refused_when_it_is_read() -> anyhow::Result<()> {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("a.html", "x")], "needs a.txt"),
        (&[("a.json", "{}")], "needs a.html"),
        (
            &[("a.html", "{% if %}"), ("a.txt", "Subject: A\n\nx")],
            "is no template",
        ),
        (
            &[("a.html", "x"), ("a.txt", "no subject\n"), ("a.json", "{}")],
            "must begin with",
        ),
        (&[("A.html", "x")], "has a name"),
        (
            &[
                ("welcome.html", "{{ nmae }}"),
                ("welcome.txt", "Subject: A\n\nx"),
            ],
            "could not be rendered",
        ),
    ];

    for (files, told) in cases {
        let refused = refused(files)?;

        assert!(refused.contains(told), "{refused}");
    }
    Ok(())
}

#[test]
fn a_template_that_goes_on_for_ever_ends() -> anyhow::Result<()> {
    let endless =
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}";

    let refused = refused(&[
        ("a.html", endless),
        ("a.txt", "Subject: A\n\nx"),
        ("a.json", "{}"),
    ])?;

    assert!(refused.contains("could not be rendered"), "{refused}");
    Ok(())
}
