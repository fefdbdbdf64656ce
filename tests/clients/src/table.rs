//! The rows of `table.tsv`.

use agent_aws_workloads::{Need, Script};

/// What a cell says of a client that reaches its server.
const WORKS: &str = "works";
/// Sections of a script: lines that each part must print, what is done in the internet before (as root, where files are
/// served), what the client does.
const SECTIONS: [&str; 3] = ["expect", "serve", "run"];

/// A client as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Of the script, and of the test.
    pub name: &'static str,
    needs: &'static str,
    unprivileged: &'static str,
    variables: &'static str,
}

/// Every row.
pub fn table() -> impl Iterator<Item = Row> {
    let lines = include_str!("../table.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.skip(1).map(Row::parse)
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[name, _what, needs, unprivileged, variables] = &*cells else { panic!("not five cells: {line:?}") };
        Self { name, needs, unprivileged, variables }
    }

    /// The row of this name.
    pub fn find(name: &str) -> Self {
        table().find(|row| row.name == name).unwrap_or_else(|| panic!("there is no row {name}"))
    }

    /// What must be there.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        Need::all(self.needs)
    }

    /// Whether it reaches its server in unprivileged mode, where only some ports are caught.
    pub fn works_unprivileged(&self) -> bool {
        self.unprivileged == WORKS
    }

    /// Whether it is run with proxy variables as well.
    pub fn obeys_variables(&self) -> bool {
        self.variables == WORKS
    }

    /// Its script.
    pub fn script(&self) -> Script {
        Script::read(concat!(env!("CARGO_MANIFEST_DIR"), "/rows"), self.name, &SECTIONS)
    }

    /// Whether it uses the Rust toolchain of a home.
    pub fn has_rust(&self) -> bool {
        self.needs().any(|need| matches!(need, Need::Home(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_row_has_a_script_and_each_script_a_row() {
        let rows: BTreeSet<String> = table().map(|row| format!("{}.sh", row.name)).collect();
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/rows")).unwrap();
        let scripts: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(rows, scripts);
        assert_eq!(rows.len(), table().count(), "a name is used twice");
        table().for_each(|row| drop(row.script()));
    }

    #[test]
    fn what_does_not_work_without_the_setuid_bit_says_why_and_obeys_no_variable() {
        for row in table() {
            let why = row.unprivileged.strip_prefix("no: ").is_some_and(|why| why.contains("port"));
            assert!(row.works_unprivileged() || (why && !row.obeys_variables()), "{}", row.name);
            assert!(row.obeys_variables() || row.variables == "-", "{}", row.name);
        }
    }
}
