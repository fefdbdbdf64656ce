//! The rows of `aws-clients/table.tsv`: clients of AWS, and which door each of them uses.

use agent_aws_workloads::{Need, Script};

const TABLE: &str = include_str!("../aws-clients/table.tsv");
const ROWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aws-clients/rows");
/// Sections of a script: what the client must print when it was served, and how it is run.
const SECTIONS: [&str; 2] = ["expect", "run"];
/// What a cell says of a door at which the client is run.
const TESTED: &str = "tested";

/// A client as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Of the script, and of the test.
    pub name: &'static str,
    needs: &'static str,
    socket: &'static str,
    http: &'static str,
    first: &'static str,
}

/// Every row.
fn table() -> impl Iterator<Item = Client> {
    TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1).map(Client::parse)
}

/// Those that are run.
pub fn tested() -> impl Iterator<Item = Client> {
    table().filter(|client| client.uses_socket() || client.uses_http())
}

impl Client {
    fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[name, _client, needs, socket, http, first, _again] = &*cells else { panic!("not seven cells: {line:?}") };
        Self { name, needs, socket, http, first }
    }

    /// The row of this name.
    pub fn find(name: &str) -> Self {
        table().find(|client| client.name == name).unwrap_or_else(|| panic!("there is no row {name}"))
    }

    /// What must be there.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        Some(self.needs).filter(|needs| *needs != "-").into_iter().flat_map(Need::all)
    }

    /// Whether it is run at the socket.
    pub fn uses_socket(&self) -> bool {
        self.socket == TESTED
    }

    /// Whether it is run at the HTTP door.
    pub fn uses_http(&self) -> bool {
        self.http == TESTED
    }

    /// Whether it asks the socket where both doors are there.
    pub fn asks_socket_first(&self) -> bool {
        self.first == "socket"
    }

    /// Its script.
    pub fn script(&self) -> Script {
        Script::read(ROWS, self.name, &SECTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn who_is_tested_has_a_script_and_nobody_else_has() {
        let rows: BTreeSet<String> = tested().map(|client| format!("{}.sh", client.name)).collect();
        let files = std::fs::read_dir(ROWS).unwrap();
        let scripts: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(rows, scripts);
        let names: BTreeSet<&str> = table().map(|client| client.name).collect();
        assert_eq!(names.len(), table().count(), "a name is used twice");
        tested().for_each(|client| drop(client.script()));
    }

    #[test]
    fn who_is_tested_says_which_door_comes_first() {
        for client in tested() {
            assert!(["socket", "HTTP"].contains(&client.first), "{}", client.name);
        }
    }
}
