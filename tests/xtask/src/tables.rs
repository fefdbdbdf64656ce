//! `xtask tables`: the tables of docs/*.md that are made of data. A page is written by hand but for what stands between
//! two marker lines; that is made of the table which the first of them names.
//!
//! A table: `# comment`, `## Section`, and rows of cells between tabs. The first row names the columns. A cell is never
//! empty: `-` says that there is nothing to say. `#WORD` is how many cells of its column are WORD, `#WORD -` how many of
//! those are in rows whose last cell is `-`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cases::Cases;
use crate::shell::{Failure, Outcome};

const BEGIN: &str = "<!-- table: ";
const END: &str = "<!-- end of table -->";

/// Writes the tables of every page anew.
pub(crate) fn write(root: &Path) -> Outcome {
    for page in pages(root)? {
        let (old, new) = (read(&page)?, renewed(root, &page)?);
        if old != new {
            fs::write(&page, new).map_err(Failure::on(page.display()))?;
            println!("{}", page.strip_prefix(root).unwrap_or(&page).display());
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::on(path.display()))
}

fn pages(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let docs = root.join("docs");
    let entries = fs::read_dir(&docs).map_err(Failure::on(docs.display()))?;
    let mut pages: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    pages.retain(|page| page.extension().is_some_and(|e| e == "md"));
    pages.sort();
    Ok(pages)
}

/// A page as it should be.
fn renewed(root: &Path, page: &Path) -> Result<String, Failure> {
    let text = read(page)?;
    let mut made = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        made += &format!("{line}\n");
        let Some(table) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        let closed = lines.any(|line| line == END);
        if !closed {
            return Err(Failure::new(format!("{}: no `{END}` after `{line}`", page.display())));
        }
        let rendered = Table::read(root, table)?.render(&Cases::new(root));
        made += &format!("\n{}\n{END}\n", rendered.map_err(|why| Failure::new(format!("{table}: {why}")))?);
    }
    Ok(made)
}

/// Rows of cells, with headings between.
#[derive(Debug)]
struct Table {
    columns: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Section(String),
    Row(Vec<String>),
}

impl Table {
    fn read(root: &Path, name: &str) -> Result<Self, Failure> {
        let text = read(&root.join(name))?;
        Self::parse(&text).map_err(|why| Failure::new(format!("{name}{why}")))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut table = Self { columns: vec![], lines: vec![] };
        for (number, line) in text.lines().enumerate() {
            if let Some(title) = line.strip_prefix("## ") {
                table.lines.push(Line::Section(title.to_owned()));
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
            if let Some(bad) = cells.iter().position(|cell| cell.trim() != cell || cell.is_empty()) {
                return Err(format!(":{}: cell {} is empty, or has blanks around it", number + 1, bad + 1));
            }
            if table.columns.is_empty() {
                table.columns = cells;
            } else if cells.len() == table.columns.len() {
                table.lines.push(Line::Row(cells));
            } else {
                return Err(format!(":{}: {} cells, not {}", number + 1, cells.len(), table.columns.len()));
            }
        }
        Ok(table)
    }

    /// As Markdown. Tests are looked for; a result `=` is the one that the test's own line says.
    fn render(&self, cases: &Cases) -> Result<String, String> {
        let mut made = String::new();
        let mut open = false;
        for line in &self.lines {
            match line {
                Line::Section(title) => {
                    made += &format!("{}### {title}\n\n", if open { "\n" } else { "" });
                    open = false;
                }
                Line::Row(cells) => {
                    if !open {
                        let rule: String = self.columns.iter().map(|_| "---|").collect();
                        made += &format!("| {} |\n|{rule}\n", self.columns.join(" | "));
                        open = true;
                    }
                    made += &format!("| {} |\n", self.row(cells, cases)?.join(" | "));
                }
            }
        }
        Ok(made)
    }

    fn count(&self, column: &str, word: &str) -> usize {
        let (word, only) = match word[1..].strip_suffix(" -") {
            Some(word) => (word, true),
            None => (&word[1..], false),
        };
        let at = self.columns.iter().position(|name| name == column);
        let counts = |line: &&Line| match line {
            Line::Row(cells) => {
                let cell = at.and_then(|at| cells.get(at));
                cell.is_some_and(|cell| cell == word) && (!only || cells.last().is_some_and(|last| last == "-"))
            }
            Line::Section(_) => false,
        };
        self.lines.iter().filter(counts).count()
    }

    fn row(&self, cells: &[String], cases: &Cases) -> Result<Vec<String>, String> {
        let at = self.columns.iter().position(|column| column == "test");
        let tests = at.and_then(|at| cells.get(at)).filter(|cell| *cell != "-");
        let tests: Vec<&str> = tests.map(|cell| cell.split(", ").collect()).unwrap_or_default();
        for test in &tests {
            cases.look(test)?;
        }
        let cell = |(column, cell): (&String, &String)| match (column.as_str(), cell.as_str()) {
            ("test", "-") => Ok("-".to_owned()),
            ("test", _) => Ok(tests.iter().map(|t| format!("`{t}`")).collect::<Vec<_>>().join(", ")),
            (mode, "=") => cases.result(&tests, mode),
            (column, word) if word.starts_with('#') => Ok(self.count(column, word).to_string()),
            (_, text) => Ok(text.replace('|', "\\|")),
        };
        self.columns.iter().zip(cells).map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
    }

    #[test]
    fn each_page_says_what_its_tables_say() {
        for page in pages(&root()).unwrap() {
            let (is, should) = (read(&page).unwrap(), renewed(&root(), &page).unwrap_or_else(|e| panic!("{e}")));
            assert!(is == should, "{}: run `cargo run -p xtask -- tables`", page.display());
        }
    }

    #[test]
    fn a_row_that_names_no_test_is_refused() {
        let table = |test: &str| Table::parse(&format!("case\ttest\tsetuid\n1\t{test}\t=\n")).unwrap();
        let cases = Cases::new(&root());
        let known = table("e2e/sandbox.rs::a_setuid_program_gives_nothing").render(&cases);
        assert!(known.unwrap().contains("| 1 | `e2e/sandbox.rs::a_setuid_program_gives_nothing` | held |"));
        for unknown in ["e2e/sandbox.rs::there_is_none", "e2e/none.rs::x", "unit helper/plan::there_is_none", "x"] {
            assert!(table(unknown).render(&cases).is_err(), "{unknown}");
        }
    }

    #[test]
    fn a_cell_too_few_or_an_empty_one_is_refused() {
        for text in ["a\tb\n1\n", "a\tb\n1\t\n", "a\tb\n1\t2 \n"] {
            assert!(Table::parse(text).is_err(), "{text:?}");
        }
    }
}
