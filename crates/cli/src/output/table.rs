//! Tables and lists of details for people: aligned columns, one line a row, hostile text made harmless.

use std::fmt;

use super::clean::{LONGEST_TEXT, one_line};

/// Widest cell shown, in characters; what is longer is cut with a mark.
const WIDEST_CELL: usize = 100;

/// Rows of `N` cells under a head. Columns of numbers stand to the right.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    head: [&'static str; N],
    rows: Vec<[String; N]>,
    when_empty: &'static str,
}

impl<const N: usize> Table<N> {
    /// A table without rows; `when_empty` is shown instead as long as it has none.
    pub(crate) fn new(head: [&'static str; N], when_empty: &'static str) -> Self {
        Self {
            head,
            rows: Vec::new(),
            when_empty,
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows
            .push(cells.map(|cell| one_line(&cell, WIDEST_CELL)));
    }

    /// Adds a row whose last cell is what the table is read for: it is shown whole.
    pub(crate) fn row_to_the_end(&mut self, cells: [String; N]) {
        let mut column = 0;
        self.rows.push(cells.map(|cell| {
            column += 1;
            let widest = if column == N {
                LONGEST_TEXT
            } else {
                WIDEST_CELL
            };
            one_line(&cell, widest)
        }));
    }

    fn is_number(&self, column: usize) -> bool {
        self.rows
            .iter()
            .all(|row| row[column] == "-" || row[column].parse::<f64>().is_ok())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([self.head[column].chars().count()])
            .max()
            .unwrap_or_default()
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, cell: impl Fn(usize) -> String) -> fmt::Result {
        let mut line = String::new();
        for column in 0..N {
            let (text, width) = (cell(column), self.width(column));
            if column > 0 {
                line.push_str("  ");
            }
            if self.is_number(column) {
                line.push_str(&format!("{text:>width$}"));
            } else {
                line.push_str(&format!("{text:<width$}"));
            }
        }
        writeln!(f, "{}", line.trim_end())
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return writeln!(f, "{}", self.when_empty);
        }
        self.line(f, |column| self.head[column].to_owned())?;
        for row in &self.rows {
            self.line(f, |column| row[column].clone())?;
        }
        Ok(())
    }
}

/// Names with their values, one a line, the values aligned.
#[derive(Debug, Default)]
pub(crate) struct Details {
    lines: Vec<(&'static str, String)>,
}

impl Details {
    /// Adds a value.
    pub(crate) fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        self.lines
            .push((name, one_line(&value.to_string(), LONGEST_TEXT)));
    }

    /// Adds a value if there is one.
    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .lines
            .iter()
            .map(|(name, _)| name.len())
            .max()
            .unwrap_or_default();
        for (name, value) in &self.lines {
            writeln!(f, "{name:<width$}  {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let mut table = Table::new(["queue", "ready", "paused"], "no queues");
        table.row(["sync".into(), "7".into(), "no".into()]);
        table.row(["conversions".into(), "1200".into(), "by ada".into()]);

        let text = table.to_string();

        assert_eq!(
            text,
            "queue        ready  paused\n\
             sync             7  no\n\
             conversions   1200  by ada\n"
        );
    }

    #[test]
    fn an_empty_table_says_so() {
        let table = Table::new(["id"], "no jobs match");

        assert_eq!(table.to_string(), "no jobs match\n");
    }

    #[test]
    fn a_cell_cannot_break_out_of_its_row() {
        let mut table = Table::new(["error"], "none");
        table.row(["two\nlines\u{1b}[31m".into()]);

        assert_eq!(table.to_string(), "error\ntwo\\nlines\\u{1b}[31m\n");
    }

    #[test]
    fn details_leave_out_what_is_not_there() {
        let mut details = Details::default();
        details.add("id", 7);
        details.add_some("tenant", None::<&str>);
        details.add_some("state", Some("dead"));

        assert_eq!(details.to_string(), "id     7\nstate  dead\n");
    }
}
