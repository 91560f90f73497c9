//! A folder of a test's own, removed when the test ends.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder.
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("millpond-test-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&dir).expect("the temporary folder can be written");
        Self {
            dir: dir.canonicalize().expect("it was just made"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// Writes a file, with the folders above it, and tells its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.join(name);
        let parent = path.parent().expect("it lies in the folder");
        fs::create_dir_all(parent).expect("the folder can be written");
        fs::write(&path, content).expect("the folder can be written");
        path.to_str().expect("a temporary path is UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left behind harms no later test: its name is random.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
