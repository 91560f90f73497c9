//! What must not be seen, in every form in which a text can carry it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::super::encoding::{base64, base64url, hex};

/// Most finds that are told, and bytes around each of them.
const MOST_TOLD: usize = 20;
const AROUND: usize = 100;

/// Each form, with what it is one of.
#[derive(Default)]
pub(super) struct Forms(BTreeMap<Vec<u8>, String>);

impl Forms {
    /// No text may have this in it, alone or within something longer.
    pub(super) fn forbid(&mut self, what: &str, secret: &[u8]) {
        let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
        let mut forms = vec![
            ("as it is", secret.to_vec()),
            ("hexadecimal", hex(secret).into_bytes()),
            ("hexadecimal", hex(secret).to_uppercase().into_bytes()),
            ("as Rust prints bytes", numbers.join(", ").into_bytes()),
            ("encoded for an address", in_address(secret).into_bytes()),
        ];
        for before in 0..3 {
            for encode in [base64, base64url] {
                let digits = inner_digits(secret, before, encode);
                forms.push(("base64", digits.into_bytes()));
            }
        }
        for (form, bytes) in forms {
            let told = || format!("{what}, {form}");
            self.0.entry(bytes).or_insert_with(told);
        }
    }

    /// The same for a key as its variable has it, as text and as what the text stands for; half of it is too much.
    pub(super) fn forbid_key(&mut self, keys: &str) -> anyhow::Result<()> {
        let (name, digits) = keys.split_once(':').context("a name and a key")?;
        let (first, second) = digits.split_at(digits.len() / 2);
        for half in [first, second] {
            self.forbid(&format!("the text of the key {name}"), half.as_bytes());
            self.forbid(&format!("the key {name}"), &bytes_of(half)?);
        }
        Ok(())
    }

    /// Where any of it stands in these files, and in those of these folders.
    pub(super) fn found_in(&self, list: &Path, places: &[PathBuf]) -> anyhow::Result<Vec<String>> {
        let forms: Vec<&[u8]> = self.0.keys().map(Vec::as_slice).collect();
        let are_lines = !forms
            .iter()
            .any(|form| form.contains(&b'\n') || form.is_empty());
        anyhow::ensure!(are_lines, "each form is a line of the list");
        std::fs::write(list, forms.join(&b'\n'))?;
        let output = Command::new("grep")
            .args(["-r", "-a", "-n", "-o", "-H", "-F", "-f"])
            .arg(list)
            .args(places)
            .env("LC_ALL", "C")
            .output()
            .context("grep runs")?;
        let error = String::from_utf8_lossy(&output.stderr);
        let is_done = matches!(output.status.code(), Some(0 | 1)) && error.is_empty();
        anyhow::ensure!(is_done, "grep: {error}");
        let lines = output.stdout.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty()).take(MOST_TOLD);
        lines.map(|line| self.told(line)).collect()
    }

    /// What was found, of what grep says: a file, a line and a form.
    fn told(&self, found: &[u8]) -> anyhow::Result<String> {
        let mut parts = found.splitn(3, |byte| *byte == b':');
        let (Some(file), Some(line), Some(form)) = (parts.next(), parts.next(), parts.next())
        else {
            anyhow::bail!("{} is no find", String::from_utf8_lossy(found));
        };
        let file = std::str::from_utf8(file)?;
        let number: usize = std::str::from_utf8(line)?.parse()?;
        let text = std::fs::read(file)?;
        let mut lines = text.split(|byte| *byte == b'\n');
        let line = lines.nth(number.saturating_sub(1)).unwrap_or_default();
        let mut starts = line.windows(form.len());
        let start = starts.position(|it| it == form).unwrap_or(0);
        let end = (start + form.len() + AROUND).min(line.len());
        let shown = String::from_utf8_lossy(&line[start.saturating_sub(AROUND)..end]);
        let what = self.0.get(form).map_or("", String::as_str);
        Ok(format!("{what}: {file}:{number}: {shown}"))
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for pair in digits.as_bytes().chunks(2) {
        let pair = std::str::from_utf8(pair)?;
        bytes.push(u8::from_str_radix(pair, 16)?);
    }
    Ok(bytes)
}

/// The digits of base64 that stand for these bytes alone where so many others (modulo 3) stand before them.
fn inner_digits(bytes: &[u8], before: usize, encode: fn(&[u8]) -> String) -> String {
    let whole = [vec![0; before], bytes.to_vec()].concat();
    let (first, last) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
    encode(&whole)[first..last].to_owned()
}

/// As it stands in the query of an address.
fn in_address(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                text.push(char::from(*byte));
            }
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

// Fails when a form is none that anybody would see, so that nothing would ever be found.
#[test]
fn a_secret_is_found_in_every_form_within_something_longer() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("millpond-{}", uuid::Uuid::new_v4()));
    let seen = folder.join("seen");
    std::fs::create_dir_all(&seen)?;
    let mut forms = Forms::default();
    forms.forbid("a token", b"s3cret/token");
    let told = "within: s3cret/token!";
    let carriers = [
        told.to_owned(),
        format!("<{}>", hex(told.as_bytes())),
        hex(told.as_bytes()).to_uppercase(),
        base64(told.as_bytes()),
        base64(&told.as_bytes()[1..]),
        base64(&told.as_bytes()[2..]),
        base64url(told.as_bytes()),
        format!("{:?}", told.as_bytes()),
        in_address(told.as_bytes()),
    ];

    let mut found = Vec::new();
    for (place, carrier) in carriers.iter().enumerate() {
        let file = seen.join(place.to_string());
        std::fs::write(&file, format!("a line\nanother {carrier} \u{0}"))?;
        found.push(forms.found_in(&folder.join("forms"), &[file])?);
    }
    std::fs::write(seen.join("harmless"), "s3cret token")?;
    let harmless = forms.found_in(&folder.join("forms"), &[seen.join("harmless")])?;
    let in_folder = forms.found_in(&folder.join("forms"), std::slice::from_ref(&seen))?;
    std::fs::remove_dir_all(&folder)?;

    for (carrier, found) in carriers.iter().zip(&found) {
        assert_eq!(found.len(), 1, "{carrier}: {found:?}");
    }
    assert!(harmless.is_empty(), "{harmless:?}");
    assert_eq!(in_folder.len(), carriers.len(), "{in_folder:?}");
    Ok(())
}
