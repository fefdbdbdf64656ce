//! What the rows of tests/workloads/table.tsv need.

use std::fs;
use std::path::Path;

use crate::shell::Failure;

const TABLE: &str = "tests/workloads/table.tsv";

/// Programs with the Debian package of each, and packages of the npm registry.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) programs: Vec<(String, String)>,
    pub(crate) npm: Vec<String>,
}

impl Needs {
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let file = root.join(TABLE);
        fs::read_to_string(&file).map(|text| Self::parse(&text)).map_err(Failure::on(file.display()))
    }

    /// The third cell of each row.
    fn parse(text: &str) -> Self {
        let mut needs = Self::default();
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
        needs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_is_read_once_and_where_it_comes_from() {
        let text = "# x\na\tb\tneeds\n## Part\n1\tx\tgit, go (golang-go)\n2\tx\tgit, p@1 (npm), q (pip), r (home)\n";
        let needs = Needs::parse(text);
        assert_eq!(needs.npm, ["p@1"]);
        let programs: Vec<(&str, &str)> = needs.programs.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(programs, [("git", "git"), ("go", "golang-go")]);
    }
}
