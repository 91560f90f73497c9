//! Past revisions: who, when, why, and which keys they changed.

use anyhow::Context as _;
use chrono::Utc;
use queue::Revision;

use crate::{
    commands::{
        Context,
        page::{PageArgs, note_more},
    },
    output::{
        Table,
        words::{age, or_dash},
    },
};

pub(super) async fn list(page: &PageArgs, ctx: &Context) -> anyhow::Result<()> {
    let fleet = ctx.fleet().await?;
    let revisions = fleet.config_revisions(&page.request()?).await;
    let revisions = revisions.context("cannot list revisions")?;
    ctx.output
        .answer(&revisions, |revisions| table(&revisions.items))?;
    if !ctx.output.is_json() {
        note_more(revisions.next.as_deref());
    }
    Ok(())
}

fn table(revisions: &[Revision]) -> Table<5> {
    let now = Utc::now();
    let mut table = Table::new(
        ["revision", "when", "who", "why", "changed"],
        "no revisions yet: the first process that starts with a jobs.toml makes one",
    );
    for revision in revisions {
        let changed = match revision.changed.as_slice() {
            [] => "no key".to_owned(),
            changed => changed.join(", "),
        };
        table.row([
            revision.revision.to_string(),
            age(revision.created_at, now),
            revision.author.clone(),
            or_dash(revision.reason.as_deref()),
            changed,
        ]);
    }
    table
}
