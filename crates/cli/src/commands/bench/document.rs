//! What programs read of a benchmark: the table, with the machine, the program and the settings it was measured with.

use std::{fs, thread};

use queue::bench::Report;
use serde::Serialize;

use crate::args::{COMMIT, VERSION};

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    /// The program that was measured.
    pub(super) program: Program,
    /// What it ran on.
    pub(super) machine: Machine,
    /// Settings and figures.
    #[serde(flatten)]
    pub(super) report: Report,
}

/// The program that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Program {
    pub(super) version: &'static str,
    pub(super) commit: &'static str,
    /// `release` or `debug`.
    pub(super) build: &'static str,
}

/// What it ran on; what the system does not tell is `None`.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// Threads that run at once.
    pub(super) cores: Option<usize>,
    pub(super) processor: Option<String>,
    pub(super) memory_kib: Option<u64>,
    pub(super) kernel: Option<String>,
}

impl Document {
    /// A document of this program on this machine.
    pub(super) fn new(report: Report) -> Self {
        let build = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let program = Program {
            version: VERSION,
            commit: COMMIT,
            build,
        };
        Self {
            program,
            machine: Machine::this(),
            report,
        }
    }
}

impl Machine {
    fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            cores: thread::available_parallelism().ok().map(usize::from),
            processor: read("/proc/cpuinfo").and_then(|text| value(&text, "model name")),
            memory_kib: read("/proc/meminfo").and_then(|text| memory_kib(&text)),
            kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        }
    }
}

/// The first value of that name in the system's lists of `name: value`.
fn value(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

fn memory_kib(text: &str) -> Option<u64> {
    value(text, "MemTotal")?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_what_the_system_tells() {
        let processors =
            "processor\t: 0\nmodel name\t: Loom 3000\nprocessor\t: 1\nmodel name\t: x\n";

        assert_eq!(
            value(processors, "model name").as_deref(),
            Some("Loom 3000")
        );
        assert_eq!(memory_kib("MemTotal:       16384 kB\n"), Some(16_384));
        assert_eq!(memory_kib("MemFree: 1 kB\n"), None);
    }
}
