//! The options of every list: how many, and from where on.

use queue::{AdminError, PageRequest};

use crate::output;

/// How much of a list to show.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PageArgs {
    /// Most items to show: 1 to 500
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=500))]
    limit: i64,
    /// Go on where the last page ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl PageArgs {
    /// What the engine is asked for.
    pub(crate) fn request(&self) -> Result<PageRequest, AdminError> {
        PageRequest::new(Some(self.limit), self.cursor.clone())
    }
}

/// Says beside a table that there is more, and how to see it.
pub(crate) fn note_more(next: Option<&str>) {
    if let Some(cursor) = next {
        output::note(format_args!(
            "there is more: repeat the command with --cursor {cursor}"
        ));
    }
}
