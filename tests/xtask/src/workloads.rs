//! What the rows of the tables of real programs need.

use std::fs;
use std::path::Path;

use crate::shell::Failure;

const TABLES: [&str; 2] = ["tests/workloads/table.tsv", "tests/clients/table.tsv"];

/// Programs with the Debian package of each, and packages of the npm registry.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) programs: Vec<(String, String)>,
    pub(crate) npm: Vec<String>,
}

impl Needs {
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut needs = Self::default();
        for file in TABLES.map(|table| root.join(table)) {
            let text = fs::read_to_string(&file).map_err(Failure::on(file.display()))?;
            needs.add(&text);
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
                "home" | "pip" => {}
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
        let text = "# x\na\tb\tneeds\n## Part\n1\tx\tgit, go (golang-go)\n2\tx\tgit, p@1 (npm), q (pip), r (home)\n";
        let mut needs = Needs::default();
        needs.add(text);
        assert_eq!(needs.npm, ["p@1"]);
        let programs: Vec<(&str, &str)> = needs.programs.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(programs, [("git", "git"), ("go", "golang-go")]);
    }
}
