//! P18 and P19: how long a start takes, and how large the program is.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use queue::bench::{Figure, Goal};

use super::{
    child::{ALL_ROLES, Child, MEGABYTE},
    ground::Ground,
    memory::READY,
};
use crate::output::note;

/// Longest that the first `millpond dev` may take: it makes a database.
const FIRST_DEV: Duration = Duration::from_secs(240);
/// What the second start of `millpond dev` is called.
const SECOND_DEV: &str = "second start of `millpond dev` to ready";

/// P18.
pub(super) async fn starts(ground: &Ground<'_>) -> anyhow::Result<[Figure; 2]> {
    Ok([serve(ground).await?, dev_or_why_not(ground).await])
}

async fn serve(ground: &Ground<'_>) -> anyhow::Result<Figure> {
    let mut seconds = Vec::new();
    for _ in 0..ground.settings.rounds {
        let mut child = Child::serve(ground, ALL_ROLES)?;
        seconds.push(child.ready(READY).await?);
        child.stop().await?;
    }
    let what = "start of `millpond serve` to ready";
    Ok(Figure::new("P18", what, "s", seconds).judged_by(Goal::AtMost(1.0)))
}

/// `millpond dev` needs programs of PostgreSQL on this machine, which a benchmark of another database does not.
async fn dev_or_why_not(ground: &Ground<'_>) -> Figure {
    let folder = ground.folder.join("dev");
    match dev(ground, &folder).await {
        Ok(seconds) => Figure::new("P18", SECOND_DEV, "s", seconds).judged_by(Goal::AtMost(5.0)),
        Err(error) => {
            note(format_args!(
                "P18: `millpond dev` was not measured: {error:#}"
            ));
            Figure::not_measured(
                "P18",
                SECOND_DEV,
                "not measured: `millpond dev` did not start",
            )
        }
    }
}

async fn dev(ground: &Ground<'_>, folder: &Path) -> anyhow::Result<Vec<f64>> {
    fs::create_dir_all(folder)?;
    let mut first = Child::dev(ground, folder)?;
    first.ready(FIRST_DEV).await?;
    first.stop().await?;
    let mut seconds = Vec::new();
    for _ in 0..ground.settings.rounds {
        let mut child = Child::dev(ground, folder)?;
        seconds.push(child.ready(READY).await?);
        child.stop().await?;
    }
    Ok(seconds)
}

/// P19.
#[expect(
    clippy::cast_precision_loss,
    reason = "a program is far smaller than 2^53 bytes"
)]
pub(super) fn size() -> anyhow::Result<[Figure; 1]> {
    let program = std::env::current_exe().context("cannot tell where the program is")?;
    let bytes = fs::metadata(program)?.len() as f64;
    let figure = Figure::new("P19", "size of the program", "MB", vec![bytes / MEGABYTE]);
    if cfg!(debug_assertions) {
        return Ok([figure.noted("a debug build: not judged")]);
    }
    Ok([figure.judged_by(Goal::AtMost(40.0))])
}
