//! The rows of `table.tsv`.

use std::path::Path;

/// A workload as the page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Of the script, and of the test.
    pub name: &'static str,
    /// What is run.
    pub what: &'static str,
    needs: &'static str,
    sandbox: &'static str,
    differs: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// In the system's directories; of this Debian package.
    Program(&'static str, &'static str),
    /// Of the home of whoever runs the tests: a toolchain.
    Home(&'static str),
    /// A Debian package that has no program.
    Package(&'static str),
    /// A package of the npm registry, with its version.
    Npm(&'static str),
    /// A package for Python.
    Pip(&'static str),
}

/// Where packages of the npm registry are, below what the tests depend on.
const NPM: [&str; 4] = ["npm", "inner", "workloads", "agents/lib"];

/// Every row.
pub fn table() -> impl Iterator<Item = Row> {
    let lines = include_str!("../table.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.skip(1).map(Row::parse)
}

impl Row {
    /// Of a line of the table.
    pub fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[name, what, needs, sandbox, differs] = &*cells else { panic!("not five cells: {line:?}") };
        Self { name, what, needs, sandbox, differs }
    }

    /// The row of this name.
    pub fn find(name: &str) -> Self {
        table().find(|row| row.name == name).unwrap_or_else(|| panic!("there is no row {name}"))
    }

    /// What must be there.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        Need::all(self.needs)
    }

    /// The key that the sandbox of the shipped policy gets for it.
    pub fn key(&self) -> Option<&'static str> {
        (self.sandbox != "-").then_some(self.sandbox)
    }

    /// Whether some of what it prints is not the same twice.
    pub fn differs(&self) -> bool {
        self.differs != "-"
    }

    /// Whether it uses the Rust toolchain of a home.
    pub fn has_rust(&self) -> bool {
        self.needs().any(|need| matches!(need, Need::Home(_)))
    }
}

impl Need {
    /// Those of a cell of a table.
    pub fn all(cell: &'static str) -> impl Iterator<Item = Self> {
        cell.split(", ").map(|need| match need.trim_end_matches(')').split_once(" (") {
            None => Self::Program(need, need),
            Some((program, "home")) => Self::Home(program),
            Some((package, "deb")) => Self::Package(package),
            Some((package, "npm")) => Self::Npm(package),
            Some((package, "pip")) => Self::Pip(package),
            Some((program, package)) => Self::Program(program, package),
        })
    }
}

/// What cannot be had of what a row needs; `deps` is where packages of the registries are.
pub fn absent(mut needs: impl Iterator<Item = Need>, deps: Option<&Path>) -> Option<String> {
    let in_system = |program: &str| {
        ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"].iter().any(|d| Path::new(d).join(program).exists())
    };
    let below = |place: String| deps.is_some_and(|deps| deps.join(place).exists());
    let has = |need: &Need| match need {
        Need::Program(program, _) => in_system(program),
        Need::Package(package) => Path::new(&format!("/var/lib/dpkg/info/{package}.list")).exists(),
        Need::Home(_) => crate::place::toolchain().is_some(),
        Need::Npm(package) => NPM.iter().any(|place| below(format!("{place}/node_modules/{}", npm_name(package)))),
        Need::Pip(_) => below("venv/bin/python".to_owned()),
    };
    needs.find(|need| !has(need)).map(|need| format!("{need:?} could not be had"))
}

/// `@scope/name@version` without the version.
fn npm_name(package: &str) -> &str {
    package.rsplit_once('@').map_or(package, |(name, _)| name)
}
