//! The file of a process, looked at again and again by its content: editors rename a new one over it, orchestrators swap
//! links, network drives tell of nothing. What two looks in a row find alike is whole; a file that is being written is
//! not.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch::Sender},
    time::{sleep, timeout},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest that a look may take before it is worth a word.
const SILENCE: Duration = Duration::from_secs(10);
/// Most that is read: more than any text that is taken.
const MOST_BYTES: u64 = 1 << 20;

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its content, cut off after a megabyte.
    Content(Arc<[u8]>),
    /// There is no file.
    Missing,
    /// There is one that cannot be read, and this is why.
    Unreadable(String),
}

impl Seen {
    /// What a process found at its start.
    pub(super) fn at_start(text: Option<&str>) -> Self {
        text.map_or(Self::Missing, |text| Self::Content(text.as_bytes().into()))
    }
}

/// Looks at a file as long as it runs.
#[derive(Debug)]
pub(super) struct FileWatch {
    path: PathBuf,
    /// What was told last.
    told: Seen,
    /// What the last look found, if it has not been told.
    last: Option<Seen>,
}

impl FileWatch {
    /// A watch that tells nothing as long as the file stays as it is.
    pub(super) fn new(path: PathBuf, told: Seen) -> Self {
        Self {
            path,
            told,
            last: None,
        }
    }

    /// Tells of every change, the latest one alone where nobody listened meanwhile. Never ends. There is one look at a
    /// time, however long it takes.
    pub(super) async fn run(mut self, changes: &Sender<Option<Seen>>) {
        loop {
            sleep(LOOK_EVERY).await;
            let path = self.path.clone();
            let mut looking = pin!(aside(move || look(&path)));
            let seen = match timeout(SILENCE, &mut looking).await {
                Ok(seen) => seen,
                Err(_) => {
                    let path = self.path.display();
                    tracing::warn!(
                        "{path} has not been read for {} s, since its drive does not answer: what it said holds on",
                        SILENCE.as_secs()
                    );
                    looking.await
                }
            };
            if let Some(change) = self.notice(seen) {
                changes.send_replace(Some(change));
            }
        }
    }

    /// What there is to tell after a look: what it found, if the one before found the same and it was not told yet.
    fn notice(&mut self, seen: Seen) -> Option<Seen> {
        if seen == self.told {
            self.last = None;
            return None;
        }
        if self.last.as_ref() != Some(&seen) {
            self.last = Some(seen);
            return None;
        }
        self.last = None;
        self.told = seen.clone();
        Some(seen)
    }
}

/// Looks on a thread of its own. A drive that does not answer holds its reader for ever, and a runtime waits at its end
/// for what it was given to run beside; nobody waits for this thread, which ends with the process.
async fn aside(look: impl FnOnce() -> Seen + Send + 'static) -> Seen {
    let (tell, told) = oneshot::channel();
    let begun = thread::Builder::new()
        .name("config-file".to_owned())
        .spawn(move || {
            // Who asked may have gone meanwhile.
            let _ = tell.send(look());
        });
    match begun {
        Ok(_) => told
            .await
            .unwrap_or_else(|_| Seen::Unreadable("the reading of it was broken off".to_owned())),
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn look(path: &Path) -> Seen {
    match read(path) {
        Ok(content) => Seen::Content(content.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Seen::Missing,
        Err(error) => Seen::Unreadable(error.to_string()),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Asked before it is opened: to open a pipe waits for whoever writes into it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut content = Vec::new();
    File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use tokio::runtime::Builder;

    use super::*;

    fn content(text: &str) -> Seen {
        Seen::at_start(Some(text))
    }

    fn watch(told: &str) -> FileWatch {
        FileWatch::new(PathBuf::new(), content(told))
    }

    fn told(watch: &mut FileWatch, looks: &[Seen]) -> Vec<Seen> {
        looks
            .iter()
            .filter_map(|seen| watch.notice(seen.clone()))
            .collect()
    }

    #[test]
    fn a_change_is_told_once_when_two_looks_agree() {
        let mut watch = watch("old");

        let told = told(
            &mut watch,
            &[content("new"), content("new"), content("new")],
        );

        assert_eq!(told, [content("new")]);
    }

    #[test]
    fn what_is_being_written_is_not_told() {
        let mut watch = watch("old");

        let told = told(
            &mut watch,
            &[
                content(""),
                content("ne"),
                content("new"),
                content("old"),
                content("new"),
            ],
        );

        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn a_file_that_is_gone_for_a_moment_was_renamed_over() {
        let mut watch = watch("old");

        let told = told(&mut watch, &[Seen::Missing, content("new"), content("new")]);

        assert_eq!(told, [content("new")]);
    }

    #[test]
    fn a_file_that_stays_away_and_comes_back_is_told_both_times() {
        let mut watch = watch("old");

        let told = told(
            &mut watch,
            &[Seen::Missing, Seen::Missing, content("old"), content("old")],
        );

        assert_eq!(told, [Seen::Missing, content("old")]);
    }

    // Fails when the runtime of the process has to wait for the look.
    #[test]
    fn a_drive_that_never_answers_keeps_no_process_from_ending() {
        let (answer, drive) = sync_channel::<()>(1);
        let (say, ended) = sync_channel::<()>(1);
        let process = thread::spawn(move || {
            let runtime = Builder::new_multi_thread()
                .enable_time()
                .build()
                .expect("there are threads");
            runtime.block_on(async {
                let (begin, begun) = oneshot::channel();
                let looking = tokio::spawn(aside(move || {
                    begin.send(()).expect("the test waits for it");
                    let _ = drive.recv();
                    Seen::Missing
                }));
                begun.await.expect("the look begins");
                looking.abort();
            });
            drop(runtime);
            say.send(()).expect("the test waits for it");
        });

        let in_time = ended.recv_timeout(Duration::from_secs(10));

        drop(answer);
        process.join().expect("it panics nowhere");
        assert!(in_time.is_ok());
    }

    #[test]
    fn what_is_no_file_cannot_be_read_and_nothing_is_missing() {
        assert!(matches!(look(Path::new("/")), Seen::Unreadable(_)));
        assert_eq!(look(Path::new("/nowhere/jobs.toml")), Seen::Missing);
    }
}
