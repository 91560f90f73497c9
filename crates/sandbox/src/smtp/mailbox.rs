//! The folder that keeps mails: a file each, complete as soon as it has its name, in the order of
//! their names.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::fs;
use uuid::Uuid;

use crate::error::SandboxError;

/// A folder of `.eml` files.
pub(crate) struct Mailbox {
    dir: PathBuf,
}

impl Mailbox {
    /// Makes the folder if it is missing.
    ///
    /// # Errors
    /// [`SandboxError::MailDir`] when it cannot.
    pub(crate) async fn open(dir: PathBuf) -> Result<Self, SandboxError> {
        match fs::create_dir_all(&dir).await {
            Ok(()) => Ok(Self { dir }),
            Err(source) => Err(SandboxError::MailDir { path: dir, source }),
        }
    }

    /// Writes a mail under a new name and tells its path.
    ///
    /// # Errors
    /// What the file system said; no file of that name is there then.
    pub(crate) async fn keep(&self, mail: &[u8]) -> io::Result<PathBuf> {
        // Version 7: the names sort as the mails came.
        let name = Uuid::now_v7();
        let path = self.dir.join(format!("{name}.eml"));
        let part = self.dir.join(format!(".{name}.part"));
        match write_and_rename(mail, &part, &path).await {
            Ok(()) => Ok(path),
            Err(error) => {
                // Best effort: half a mail helps nobody, and the failure that matters is told.
                let _ = fs::remove_file(&part).await;
                Err(error)
            }
        }
    }
}

async fn write_and_rename(mail: &[u8], part: &Path, path: &Path) -> io::Result<()> {
    fs::write(part, mail).await?;
    fs::rename(part, path).await
}

/// The `Message-ID` of a mail, which may stand on a line of its own.
pub(super) fn message_id(mail: &[u8]) -> Option<String> {
    let end = mail
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(mail.len());
    let head = String::from_utf8_lossy(&mail[..end])
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("message-id"))
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_found_even_when_its_line_is_folded() {
        let mail = b"Subject: x\r\nMESSAGE-ID:\r\n <1@example.com>\r\n\r\nMessage-ID: <no>\r\n";

        assert_eq!(message_id(mail).as_deref(), Some("<1@example.com>"));
        assert_eq!(message_id(b"Subject: x\r\n\r\nMessage-ID: <no>\r\n"), None);
    }
}
