//! Reports as files: comma-separated, one line a row, the names of dimensions and metrics in the
//! first.

use std::borrow::Cow;

/// A line of these fields.
pub(super) fn line<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
    let fields: Vec<_> = fields.into_iter().map(quoted).collect();
    format!("{}\n", fields.join(","))
}

fn quoted(field: &str) -> Cow<'_, str> {
    if field.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", field.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_be_misread_stand_in_quotes() {
        assert_eq!(
            line(["1", "a,b", "say \"hi\""]),
            "1,\"a,b\",\"say \"\"hi\"\"\"\n"
        );
    }
}
