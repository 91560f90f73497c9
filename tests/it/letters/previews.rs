//! How mails look before anybody gets one, the operator's own among them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use crate::harness::{World, millpond, world::free_port};

/// The variable that names the folder.
const TEMPLATES: &str = "MILLPOND_MAIL_TEMPLATES";

/// A folder that is deleted with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("millpond-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(path.join("own"))?;
        Ok(Self(path))
    }

    fn own(&self) -> PathBuf {
        self.0.join("own")
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.own().join(name), text)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a template of the operator's own.
fn with_spring(folder: &Folder) -> anyhow::Result<()> {
    folder.write(
        "spring.txt",
        "Subject: Spring for {{ name }}\n\nDear {{ name }}\n",
    )?;
    folder.write("spring.html", "<p>Dear {{ name }}</p>")?;
    folder.write("spring.json", r#"{"name": "Ada"}"#)
}

/// What a command says that knows of no database; `Err` is what it says of its failure.
fn said(
    folder: &Path,
    arguments: &[&str],
    own: Option<&Path>,
) -> anyhow::Result<Result<Value, String>> {
    let mut command = millpond(folder, &[&["--json", "email"][..], arguments].concat())?;
    if let Some(own) = own {
        command.env(TEMPLATES, own);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8(output.stderr)?));
    }
    Ok(Ok(serde_json::from_slice(&output.stdout)?))
}

fn text<'v>(mail: &'v Value, form: &str) -> anyhow::Result<&'v str> {
    mail[form]
        .as_str()
        .with_context(|| format!("{form} of {mail}"))
}

// Fails when a template cannot be looked at on a machine without a database, or has one form alone.
#[test]
fn every_template_can_be_looked_at_without_a_database() -> anyhow::Result<()> {
    let folder = Folder::new()?;

    let told = said(&folder.0, &["templates"], None)?.map_err(anyhow::Error::msg)?;
    let names = told["templates"].as_array().context("a list")?;
    let mut mails = Vec::new();
    for name in names {
        let name = name.as_str().context("a name")?;
        let mail = said(&folder.0, &["preview", name], None)?.map_err(anyhow::Error::msg)?;
        mails.push(mail);
    }

    assert!(names.len() >= 7, "{names:?}");
    for mail in &mails {
        let (html, plain) = (text(mail, "html")?, text(mail, "text")?);
        assert!(html.contains("</html>"), "{html}");
        assert!(!plain.trim().is_empty() && !plain.contains("</"), "{plain}");
        assert!(!text(mail, "subject")?.is_empty());
        let has_charts = mail["subject"]
            .as_str()
            .is_some_and(|it| it.contains("week"));
        assert!(!has_charts || html.contains("width"), "{html}");
    }
    Ok(())
}

// Fails when a folder of templates is taken in which one cannot be used, or when it is not said which.
#[test]
fn what_is_wrong_with_the_operators_templates_is_told_by_the_files_name() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    with_spring(&folder)?;
    let own = folder.own();
    let look = || said(&folder.0, &["preview", "own/spring"], Some(&own));

    let right = look()?.map_err(anyhow::Error::msg)?;
    folder.write("odd.txt", "Subject: Odd\n\n{{ nothing")?;
    folder.write("odd.html", "<p></p>")?;
    let syntax = look()?.err().context("it is refused")?;
    folder.write("odd.txt", "no subject\n\ntext")?;
    folder.write("odd.json", "{}")?;
    let no_subject = look()?.err().context("it is refused")?;
    std::fs::remove_file(own.join("odd.txt"))?;
    let no_twin = look()?.err().context("it is refused")?;
    let no_folder = said(&folder.0, &["templates"], Some(&own.join("nowhere")))?;

    assert_eq!(right["subject"], "Spring for Ada");
    assert_eq!(right["html"], "<p>Dear Ada</p>");
    assert!(
        syntax.contains("odd.txt") && syntax.contains(TEMPLATES),
        "{syntax}"
    );
    assert!(
        no_subject.contains("odd") && no_subject.contains("Subject"),
        "{no_subject}"
    );
    assert!(no_twin.contains("odd.txt"), "{no_twin}");
    assert!(no_folder.err().is_some_and(|it| it.contains("nowhere")));
    Ok(())
}

// Fails when the operator's own template is not what is sent, or when data is taken for markup in it.
#[tokio::test]
async fn a_mail_from_the_operators_own_template_is_sent() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    with_spring(&folder)?;
    let world = World::new().await?;
    let mut command = world.millpond(&["serve"])?;
    command.env(TEMPLATES, folder.own());
    let (_program, client) = world.serve_at(free_port()?, command).await?;

    let payload =
        json!({"template": "own/spring", "to": "ada@example.com", "data": {"name": "Ada <b>"}});
    let job = json!({"kind": "email.send", "payload": payload});
    let job = client.enqueue(&job).await?;
    client.in_state(&job, "succeeded").await?;

    let mails = world.mails()?;
    assert_eq!(mails.len(), 1);
    assert!(
        mails[0].contains("Subject: Spring for Ada <b>"),
        "{}",
        mails[0]
    );
    assert!(mails[0].contains("&lt;b&gt;"), "{}", mails[0]);
    Ok(())
}
