//! What is stored of people: sealed while it is needed, told to those who ask for it, and gone when they want that.

mod forgetting;
mod sealed;

use anyhow::Context;

use crate::harness::World;

/// All that stands in a world's database, as a backup has it.
fn dumped(world: &World) -> anyhow::Result<String> {
    // What sqlx alone understands stands behind it.
    let address = world.database_url.split('?').next().unwrap_or_default();
    let output = std::process::Command::new("pg_dump")
        .arg(address)
        .output()
        .context("pg_dump runs")?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "pg_dump: {error}");
    Ok(String::from_utf8(output.stdout)?)
}
