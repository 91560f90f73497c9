//! Fields of the text log: what others wrote stays on its line and is cut at 4,096 characters.

use std::fmt;

use tracing::field::Field;
use tracing_subscriber::{
    field::MakeExt,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
    },
};

use crate::output::{LONGEST_TEXT, one_line};

/// Writes the message as it is and other fields as `name=value`.
pub(super) fn fields() -> impl for<'writer> FormatFields<'writer> + 'static {
    debug_fn(write_field).delimited(" ")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = one_line(&format!("{value:?}"), LONGEST_TEXT);
    match field.name() {
        "message" => write!(writer, "{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_hostile_field_stays_on_its_line() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .fmt_fields(fields())
            .finish();

        tracing::subscriber::with_default(log, || {
            tracing::info!(job.kind = %"a\nb\u{1b}[31m\u{202e}", "attempt failed: {}", "x\ny");
        });

        let bytes = kept
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let text = String::from_utf8(bytes).expect("the log is UTF-8");
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.contains("attempt failed: x\\ny job.kind=a\\nb\\u{1b}[31m\\u{202e}"),
            "{text}"
        );
    }
}
