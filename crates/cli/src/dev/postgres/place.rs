//! Where the data lies: in `.millpond`, unless PostgreSQL runs as another user who cannot get there, as below /root.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{PostgresError, runner::Runner};

/// Where the data lies instead, the best first; the temporary folder may be emptied at a restart.
const ELSEWHERE: [&str; 2] = ["/var/lib/millpond-dev", "/tmp/millpond-dev"];
/// Bytes of a path's hash that name a folder.
const HASH_BYTES: usize = 8;

/// Where the data lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In `.millpond` itself.
    Home(PathBuf),
    /// Elsewhere, in a folder named for the path of `.millpond`.
    Elsewhere(PathBuf),
}

impl Place {
    /// Finds a place that whoever runs PostgreSQL can enter.
    pub(super) async fn choose(home: &Path, runner: &Runner) -> Result<Self, PostgresError> {
        if !runner.is_another() || runner.can_enter(home).await {
            return Ok(Self::Home(home.to_owned()));
        }
        let mut last = None;
        for base in ELSEWHERE {
            match elsewhere(Path::new(base), home) {
                Ok(dir) => return Ok(Self::Elsewhere(dir)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(PostgresError::NotOurs {
            path: home.to_owned(),
        }))
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        match self {
            Self::Home(dir) | Self::Elsewhere(dir) => dir,
        }
    }
}

fn elsewhere(base: &Path, home: &Path) -> Result<PathBuf, PostgresError> {
    let dir = base.join(name_for(home));
    passable(base)?;
    passable(&dir)?;
    Ok(dir)
}

/// A folder through which others can pass, and which nobody else made for us.
fn passable(dir: &Path) -> Result<(), PostgresError> {
    match DirBuilder::new().mode(0o711).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(PostgresError::file(dir)(error));
        }
        _ => {}
    }
    let made = fs::symlink_metadata(dir).map_err(PostgresError::file(dir))?;
    // Only root comes here: where others can write, a folder of theirs could lead our data anywhere.
    if made.is_dir() && made.uid() == 0 {
        Ok(())
    } else {
        Err(PostgresError::NotOurs {
            path: dir.to_owned(),
        })
    }
}

fn name_for(home: &Path) -> String {
    let hash = Sha256::digest(home.as_os_str().as_encoded_bytes());
    hex::encode(&hash[..HASH_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_has_a_place_of_its_own_and_always_the_same() {
        let name = name_for(Path::new("/root/shop/.millpond"));

        assert_eq!(name.len(), 2 * HASH_BYTES);
        assert_eq!(name, name_for(Path::new("/root/shop/.millpond")));
        assert_ne!(name, name_for(Path::new("/root/mill/.millpond")));
    }
}
