//! The folder `.millpond`: what `millpond dev` keeps between runs. One run at a time may use it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use secrecy::SecretString;

/// The folder's name.
pub(super) const NAME: &str = ".millpond";
/// The file that names the running database, password included.
const DATABASE_URL: &str = "database-url";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    /// Another run uses it.
    #[error(
        "`millpond dev` runs in this folder already: stop it, or start this one in another folder"
    )]
    InUse,
    /// A file in it cannot be made, read or written.
    #[error(
        "cannot use {}: if it was made by another user, remove it or run as that user",
        .path.display()
    )]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The folder, held for this run.
pub(crate) struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the folder below `parent` unless it is there, and holds it. Others may pass through it where `is_passable`
    /// says so, which PostgreSQL needs when it runs as another user; nobody but its owner ever sees what is in it.
    pub(crate) fn open(parent: &Path, is_passable: bool) -> Result<Self, HomeError> {
        let dir = parent.join(NAME);
        let unusable = |source| HomeError::Unusable {
            path: dir.clone(),
            source,
        };
        let mode = if is_passable { 0o711 } else { 0o700 };
        match DirBuilder::new().mode(mode).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(unusable(error));
            }
            _ => fs::set_permissions(&dir, fs::Permissions::from_mode(mode)).map_err(unusable)?,
        }
        let lock = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(dir.join("lock"))
            .map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => HomeError::InUse,
            TryLockError::Error(source) => unusable(source),
        })?;
        let home = Self {
            dir: dir.canonicalize().map_err(unusable)?,
            _lock: lock,
        };
        home.write(".gitignore", "*\n")?;
        Ok(home)
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// A file that was kept; `None` if it never was.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, HomeError> {
        let path = self.dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HomeError::Unusable { path, source }),
        }
    }

    /// Keeps a file that only its owner may read. Whole or not at all: it is written beside and then renamed.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), HomeError> {
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let written = private(OpenOptions::new().write(true).create(true).truncate(true))
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| HomeError::Unusable { path, source })
    }

    /// A folder that only its owner may enter.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, HomeError> {
        let path = self.dir.join(name);
        match DirBuilder::new().mode(0o700).recursive(true).create(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(HomeError::Unusable { path, source }),
        }
    }

    /// A file that grows.
    pub(crate) fn append(&self, name: &str) -> Result<File, HomeError> {
        let path = self.dir.join(name);
        private(OpenOptions::new().append(true).create(true))
            .open(&path)
            .map_err(|source| HomeError::Unusable { path, source })
    }

    /// The database that runs, or ran last.
    pub(crate) fn database_url(&self) -> Result<Option<String>, HomeError> {
        self.read(DATABASE_URL)
    }

    /// Keeps where the database runs, for commands in this folder and for the next run.
    pub(crate) fn keep_database_url(&self, url: &str) -> Result<(), HomeError> {
        self.write(DATABASE_URL, url)
    }
}

/// The database of `millpond dev` below `parent`, for commands that are given no other.
pub(crate) fn database_url_below(parent: &Path) -> Option<SecretString> {
    let text = fs::read_to_string(parent.join(NAME).join(DATABASE_URL)).ok()?;
    let url = text.trim();
    (!url.is_empty()).then(|| SecretString::from(url))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::scratch::Scratch;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    }

    #[test]
    fn what_is_kept_is_its_owners_alone() {
        let scratch = Scratch::new();

        let home = Home::open(scratch.path(), false).expect("free");
        home.write("key", "mp_secret").expect("written");

        assert_eq!(mode(home.path()), 0o700);
        assert_eq!(mode(&home.path().join("key")), 0o600);
        assert_eq!(
            home.read("key").expect("read"),
            Some("mp_secret".to_owned())
        );
        assert_eq!(home.read("never").expect("read"), None);
    }

    #[test]
    fn a_second_run_in_the_same_folder_is_refused() {
        let scratch = Scratch::new();
        let first = Home::open(scratch.path(), false).expect("free");

        let second = Home::open(scratch.path(), false);
        assert!(matches!(second, Err(HomeError::InUse)));

        drop(first);
        assert!(Home::open(scratch.path(), false).is_ok());
    }

    #[test]
    fn commands_in_the_folder_find_its_database() {
        let scratch = Scratch::new();
        assert!(database_url_below(scratch.path()).is_none());
        let home = Home::open(scratch.path(), true).expect("free");

        home.keep_database_url("postgres://millpond:x@127.0.0.1:5433/postgres")
            .expect("written");

        let found = database_url_below(scratch.path()).expect("kept");
        assert!(found.expose_secret().ends_with("/postgres"));
        assert_eq!(mode(home.path()), 0o711);
    }
}
