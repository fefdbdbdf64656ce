//! Data tables of the plan: files of rows, each with its reason, compiled in. What hides and what shows is reviewed with
//! the code. Linux and macOS use the same rows.

/// A row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// A path (absolute, or relative to what the table says) or a name.
    pub path: &'static str,
    /// Why it is in the table; for links, their target.
    pub reason: &'static str,
}

/// A table: lines of two columns with a tab between them; `#` begins a comment.
#[derive(Debug, Clone, Copy)]
pub struct Table(&'static str);

/// Host directories that are shown read-only where they exist. A symbolic link is shown as that link.
pub const SYSTEM: Table = Table(include_str!("../tables/system.tsv"));
/// What of those directories is hidden.
pub const HIDDEN_SYSTEM: Table = Table(include_str!("../tables/hidden-system.tsv"));
/// Device nodes of the sandbox's own /dev.
pub const DEVICES: Table = Table(include_str!("../tables/devices.tsv"));
/// Symbolic links of the sandbox's own /dev.
pub const DEVICE_LINKS: Table = Table(include_str!("../tables/device-links.tsv"));
/// Below a home: where credentials are kept. A project may not be one of these, contain one or lie inside one.
pub const SECRET_STORES: Table = Table(include_str!("../tables/secret-stores.tsv"));
/// Directories that may not be a project nor writable themselves, though one of the caller's inside may.
pub const NEVER_WRITABLE: Table = Table(include_str!("../tables/never-writable.tsv"));
/// Directories in which nothing may be a project or writable.
pub const NEVER_INSIDE: Table = Table(include_str!("../tables/never-inside.tsv"));
/// Below a project: what other programs execute or trust. Read-only where it exists; every directory between it and
/// the project is pinned by a mount of its own, or `mv .git x` would undo the protection.
pub const PROJECT_TRUSTED: Table = Table(include_str!("../tables/project-trusted.tsv"));
/// What the agent gets of the caller's environment.
pub const AGENT_VARIABLES: Table = Table(include_str!("../tables/agent-variables.tsv"));
/// What the broker of an own source gets of the caller's environment.
pub const OWN_VARIABLES: Table = Table(include_str!("../tables/own-variables.tsv"));
/// Variables that a caller may not hand to the agent: each would let the environment name another identity, or run
/// something before the command.
pub const REFUSED_VARIABLES: Table = Table(include_str!("../tables/refused-variables.tsv"));

impl Table {
    /// A table of another crate's, in the same form.
    pub const fn of(text: &'static str) -> Self {
        Self(text)
    }

    /// Its rows, in order.
    pub fn rows(self) -> impl Iterator<Item = Row> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('\t')).map(|(path, reason)| Row { path, reason })
    }

    /// The row with this path or name; a row that ends in `*` stands for any rest.
    pub fn find(self, path: &[u8]) -> Option<Row> {
        self.rows().find(|row| match row.path.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning.as_bytes()),
            None => path == row.path.as_bytes(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_table_is_a_comment_or_a_row_with_a_reason() {
        let all = [
            SYSTEM, HIDDEN_SYSTEM, DEVICES, DEVICE_LINKS, SECRET_STORES, NEVER_WRITABLE, NEVER_INSIDE, PROJECT_TRUSTED,
            AGENT_VARIABLES, OWN_VARIABLES, REFUSED_VARIABLES,
        ];
        for table in all {
            let lines = table.0.lines().filter(|l| !l.starts_with('#')).count();
            assert_eq!(lines, table.rows().count(), "{}", table.0);
            assert!(lines > 0 && table.rows().all(|r| !r.reason.trim().is_empty() && r.reason.trim() == r.reason));
            let mut paths: Vec<_> = table.rows().map(|r| r.path).collect();
            paths.sort_unstable();
            paths.dedup();
            assert_eq!(lines, paths.len(), "a row stands twice: {}", table.0);
        }
    }
}
