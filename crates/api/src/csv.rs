//! Rows as comma-separated values (RFC 4180). What a stranger typed must not become a formula where the table is opened.

/// A row with its end.
pub(crate) fn line<'c>(cells: impl IntoIterator<Item = &'c str>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        push(&mut line, cell);
    }
    line.push_str("\r\n");
    line
}

fn push(line: &mut String, cell: &str) {
    let guard = if is_formula(cell) { "'" } else { "" };
    if !cell.contains(['"', ',', '\r', '\n']) {
        line.push_str(guard);
        line.push_str(cell);
        return;
    }
    line.push('"');
    line.push_str(guard);
    line.push_str(&cell.replace('"', "\"\""));
    line.push('"');
}

/// What tables take for a formula, some of them behind blanks or in wide letters; a phone number and a negative number are none.
fn is_formula(cell: &str) -> bool {
    if cell.starts_with(['\t', '\r', '\n']) {
        return true;
    }
    let mut rest = cell.trim_start().chars();
    match rest.next() {
        Some('=' | '@' | '＝' | '＠' | '＋' | '－') => true,
        Some('+' | '-') => {
            let is_number = |c: char| c.is_ascii_digit() || " .-()".contains(c);
            let rest = rest.as_str();
            rest.is_empty() || !rest.chars().all(is_number)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let row = line(["a", "b,c", "say \"hi\"", "two\nlines", ""]);

        assert_eq!(row, "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
    }

    // Fails when somebody who answers a form has whoever opens the table run a formula.
    #[test]
    fn a_formula_is_no_formula_and_a_number_stays_one() {
        assert_eq!(line(["=cmd|' /C calc'!A0"]), "'=cmd|' /C calc'!A0\r\n");
        assert_eq!(line(["+1+1,SUM(A1)"]), "\"'+1+1,SUM(A1)\"\r\n");
        assert_eq!(line(["@x", "-x"]), "'@x,'-x\r\n");
        assert_eq!(line(["\n=1", " =1"]), "\"'\n=1\",' =1\r\n");
        assert_eq!(line(["＝1", "－x"]), "'＝1,'－x\r\n");
        assert_eq!(line(["+1 555 0100", "-12.5"]), "+1 555 0100,-12.5\r\n");
    }
}
