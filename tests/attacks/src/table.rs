//! Tables of cells between tabs; the first row names the columns.

use std::fs;

/// Rows by the names of their columns.
#[derive(Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Comments, sections and rows that count others are left out.
    pub fn parse(text: &str) -> Self {
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let mut rows: Vec<Vec<String>> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty() && !line.contains("\t#"))
            .map(cells)
            .collect();
        let columns = if rows.is_empty() { vec![] } else { rows.remove(0) };
        Self { columns, rows }
    }

    /// Every row, as a look-up by column.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    cells: &'a [String],
}

impl<'a> Row<'a> {
    /// The cell of a column.
    #[track_caller]
    pub fn get(&self, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| self.cells.get(at)).unwrap_or_else(|| panic!("no cell {column} in {self:?}"))
    }
}

/// Writes a column of the file at `path` anew; `cell` gives the new cell of the row that begins so, if it is to change.
pub fn rewrite(path: &str, column: &str, cell: impl Fn(&str) -> Option<String>) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut at = None;
    let line = |line: &str| {
        let mut cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        if line.starts_with('#') || cells.len() < 2 || line.contains("\t#") {
            return line.to_owned();
        }
        let Some(at) = at else {
            at = cells.iter().position(|name| name == column);
            return line.to_owned();
        };
        if let (Some(new), Some(old)) = (cell(&cells[0].clone()), cells.get_mut(at)) {
            *old = new;
        }
        cells.join("\t")
    };
    let new: Vec<String> = text.lines().map(line).collect();
    fs::write(path, new.join("\n") + "\n").unwrap_or_else(|e| panic!("{path}: {e}"));
}
