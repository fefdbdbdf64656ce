//! What the rows of the tables of real programs need.

use std::fs;
use std::path::Path;

use crate::shell::Failure;

/// The tables, each with the part of the tests whose it is.
const TABLES: [(&str, &str); 3] = [
    ("e2e", "tests/e2e/aws-clients/table.tsv"),
    ("workloads", "tests/workloads/table.tsv"),
    ("clients", "tests/clients/table.tsv"),
];

/// Programs with the Debian package of each, and packages of the npm registry.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) programs: Vec<(String, String)>,
    pub(crate) npm: Vec<String>,
}

impl Needs {
    /// Programs of these parts, packages of all: those are installed once, and together.
    pub(crate) fn read(root: &Path, parts: &[&str]) -> Result<Self, Failure> {
        let mut needs = Self::default();
        for (part, table) in TABLES {
            let text = fs::read_to_string(root.join(table)).map_err(Failure::on(table))?;
            let known = needs.programs.len();
            needs.add(&text);
            if !parts.contains(&part) {
                needs.programs.truncate(known);
            }
        }
        Ok(needs)
    }

    /// The third cell of each row.
    fn add(&mut self, text: &str) {
        let needs = self;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).skip(1);
        for need in lines.filter_map(|line| line.split('\t').nth(2)).flat_map(|cell| cell.split(", ")) {
            let (name, place) = need.trim_end_matches(')').split_once(" (").unwrap_or((need, need));
            let program = (name.to_owned(), place.to_owned());
            match place {
                // A toolchain of whoever runs the tests, and what python-requirements.txt names.
                "home" | "pip" | "-" => {}
                // dpkg's own list of its files says that it is there.
                "deb" => needs.programs.push((format!("/var/lib/dpkg/info/{name}.list"), name.to_owned())),
                "npm" if !needs.npm.iter().any(|known| known == name) => needs.npm.push(name.to_owned()),
                "npm" => {}
                _ if needs.programs.contains(&program) => {}
                _ => needs.programs.push(program),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_read_once_and_where_it_comes_from() {
        let text = "# x\na\tb\tneeds\n## Part\n1\tx\tgit, go (golang-go)\n2\tx\tgit, p@1 (npm), q (pip), r (home), s (deb)\n3\tx\t-\n";
        let mut needs = Needs::default();
        needs.add(text);
        assert_eq!(needs.npm, ["p@1"]);
        let programs: Vec<(&str, &str)> = needs.programs.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(programs, [("git", "git"), ("go", "golang-go"), ("/var/lib/dpkg/info/s.list", "s")]);
    }
}
