//! Plots of a benchmark, one a topic: ratios to the limit as bars with their goals' marks, and throughput against callers
//! as lines. Plain SVG, written here: a picture that a browser and a document show alike.

mod bars;
mod lines;
mod scale;
mod svg;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use queue::bench::Figure;

/// Topics that are bars: a file's name, a title, the figures.
const TOPICS: [(&str, &str, &[&str]); 5] = [
    ("enqueue", "Enqueueing, by its limit", &["P1", "P2", "P3"]),
    ("http", "Enqueueing over HTTP, by its limit", &["P4", "P5"]),
    ("drain", "Draining, by its limit", &["P6", "P7"]),
    (
        "claims",
        "Claim latency, by that at 1,000 ready jobs",
        &["P13"],
    ),
    (
        "processes",
        "Worker processes on one queue, by one process",
        &["P15"],
    ),
];
/// The topic that is lines.
const CALLERS: (&str, &str) = ("callers", "Jobs enqueued a second, by callers at once");

/// Writes the plots that these figures are enough for, and gives their paths.
///
/// # Errors
/// When the folder cannot be made or written.
pub(super) fn write(folder: &Path, figures: &[Figure]) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    let bars = TOPICS.iter().filter_map(|(name, title, ids)| {
        let chosen: Vec<&Figure> = figures
            .iter()
            .filter(|figure| ids.contains(&figure.id))
            .collect();
        Some((*name, bars::plot(title, &chosen)?))
    });
    let (name, title) = CALLERS;
    let lines = lines::plot(title, figures).map(|plot| (name, plot));
    for (name, plot) in bars.chain(lines) {
        let path = folder.join(format!("{name}.svg"));
        fs::write(&path, plot)?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use queue::bench::Goal;

    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn each_topic_that_has_figures_becomes_a_file() {
        let scratch = Scratch::new();
        let figures = [
            Figure::new("P1", "enqueue <1 caller>", "/s", vec![90.0])
                .beside("an insert", vec![100.0])
                .judged_by(Goal::AtLeast(0.9))
                .in_series("client library", 1),
            Figure::new("P10", "memory", "MB", vec![20.0]),
        ];

        let written = write(&scratch.path().join("plots"), &figures).expect("written");

        let names: Vec<_> = written.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["enqueue.svg", "callers.svg"]);
        let plot = fs::read_to_string(&written[0]).expect("readable");
        assert!(plot.starts_with("<svg xmlns="), "{plot}");
        assert!(plot.ends_with("</svg>\n"), "{plot}");
        assert!(plot.contains("enqueue &lt;1 caller&gt;"), "{plot}");
        assert!(plot.contains("0.90"), "{plot}");
    }
}
