//! The script of a row: sections of shell, each begun by a line `#: NAME`.

use std::fmt::Write as _;
use std::path::PathBuf;

/// The sections there may be. `expect` are lines that the program must print outside; `alike` is a sed(1) script that
/// makes equal what must differ between two runs; `served` is run where the local server serves, `setup` in the project
/// before each run, both outside.
const SECTIONS: [&str; 5] = ["expect", "alike", "served", "setup", "run"];
/// Scripts of this package.
const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rows");

/// A parsed script.
#[derive(Debug)]
pub struct Script(Vec<(String, String)>);

impl Script {
    /// Of the row of this name.
    pub fn of(name: &str) -> Self {
        Self::read(ROWS, name, &SECTIONS)
    }

    /// `NAME.sh` of a directory, with other sections.
    pub fn read(directory: &str, name: &str, known: &[&str]) -> Self {
        let path = PathBuf::from(directory).join(format!("{name}.sh"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self::sections(&text, known).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    /// Of its text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::sections(text, &SECTIONS)
    }

    fn sections(text: &str, known: &[&str]) -> Result<Self, String> {
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("#: ") {
                if !known.contains(&name) || sections.iter().any(|(begun, _)| begun == name) {
                    return Err(format!("`{name}` is no section, or begins twice"));
                }
                sections.push((name.to_owned(), String::new()));
            } else if let Some((_, section)) = sections.last_mut() {
                let _ = writeln!(section, "{line}");
            } else if !line.starts_with("# ") {
                return Err(format!("before any section: {line}"));
            }
        }
        let script = Self(sections);
        match script.section("run").is_some() && script.expect().next().is_some() {
            true => Ok(script),
            false => Err("it needs the sections `expect` and `run`".into()),
        }
    }

    /// A section, if it is there.
    pub fn section(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(section, _)| section == name).map(|(_, text)| text.as_str())
    }

    /// What is run.
    pub fn run(&self) -> &str {
        self.section("run").unwrap_or_default()
    }

    /// Lines of the output outside, without which the program has shown nothing.
    pub fn expect(&self) -> impl Iterator<Item = &str> {
        self.section("expect").into_iter().flat_map(str::lines).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::table::table;

    #[test]
    fn each_row_has_a_script_and_each_script_a_row() {
        let rows: BTreeSet<String> = table().map(|row| row.name.to_owned()).collect();
        let files = std::fs::read_dir(ROWS).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let scripts: BTreeSet<String> = files.map(|name| name.strip_suffix(".sh").unwrap().to_owned()).collect();
        assert_eq!(rows, scripts);
        assert_eq!(rows.len(), table().count(), "a name is used twice");
        assert!(rows.len() >= 45);
    }

    #[test]
    fn what_is_made_equal_is_said_in_the_table_and_nothing_else_is() {
        for row in table() {
            assert_eq!(row.differs(), Script::of(row.name).section("alike").is_some(), "{}", row.name);
        }
    }

    #[test]
    fn a_script_needs_something_to_run_and_something_to_expect() {
        assert!(Script::parse("# why\n#: expect\nx\n#: run\necho x\n").is_ok());
        for text in ["#: run\necho x\n", "#: expect\nx\n", "#: expect\n#: run\n", "#: other\n", "echo x\n#: run\n"] {
            assert!(Script::parse(text).is_err(), "{text:?}");
        }
    }
}
