//! All rows of all writable places as they are at one moment, and what differs later.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use agent_aws_plan::tables::PROJECT_TRUSTED;
use agent_aws_protocol::Bytes;
use serde::{Deserialize, Serialize};

use super::look::{Kind, Place, Seen, Time};
use super::repositories;

/// Rows that stay writable, and are reported too: a column for the path and one for the reason, as in the table of what
/// is protected.
const REPORTED: &str = include_str!("../../tables/project-reported.tsv");
/// Where git keeps what belongs to a repository.
const GIT: &str = ".git/";

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It was not there before.
    Appeared,
    /// It is not what it was.
    Changed,
    /// It is not there any more.
    Vanished,
}

/// One row that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The writable place that it is in.
    pub(crate) root: PathBuf,
    /// Below that.
    pub(crate) row: PathBuf,
    /// What of it, if it is more than one thing.
    pub(crate) names: Vec<Bytes>,
    /// What became of it.
    pub(crate) how: How,
    /// Why it matters.
    pub(crate) reason: &'static str,
}

/// A writable place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    path: Bytes,
    /// Whether it is a git directory itself, as a worktree shares it with its repository.
    git: bool,
    rows: Vec<(String, Seen)>,
}

/// All rows at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    since: Time,
    roots: Vec<Root>,
}

/// What is looked at in a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    path: &'static str,
    reason: &'static str,
    /// Only the directory above a row: what it is, not what is in it.
    way: bool,
}

/// Paths with their reasons, the protected ones first.
fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = REPORTED.lines().filter(|line| !line.starts_with('#'));
    let reported = lines.filter_map(|line| line.split_once('\t'));
    PROJECT_TRUSTED.rows().map(|row| (row.path, row.reason)).chain(reported)
}

/// Every row, each behind the directories that lead to it.
fn rows(git: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (path, reason) in table() {
        let path = match git {
            true => path.strip_prefix(GIT),
            false => Some(path),
        };
        let Some(path) = path else { continue };
        for (end, _) in path.match_indices('/') {
            let way = path.get(..end).unwrap_or_default();
            if !rows.iter().any(|row| row.path == way) {
                rows.push(Row { path: way, reason, way: true });
            }
        }
        rows.push(Row { path, reason, way: false });
    }
    rows
}

/// The rows of the table that are in a git directory, by their path in it.
pub(super) fn rows_of_git() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROJECT_TRUSTED.rows().filter_map(|row| Some((row.path.strip_prefix(GIT)?, row.reason)))
}

impl Snapshot {
    /// Looks at `directories`, of which those with `true` are git directories. What cannot be opened has no rows.
    pub(super) fn take(directories: &[(PathBuf, bool)], since: Time) -> Self {
        let roots = directories.iter().filter_map(|(path, git)| {
            let place = Place::open(path).ok()?;
            let look = |row: &Row| (row.path.to_owned(), place.look(OsStr::new(row.path), !row.way));
            let rows = rows(*git).iter().map(look).collect();
            Some(Root { path: path.as_os_str().as_bytes().to_vec(), git: *git, rows })
        });
        Self { since, roots: roots.collect() }
    }

    /// What is not as it was.
    pub(super) fn differences(&self) -> Vec<Change> {
        self.roots.iter().flat_map(|root| root.differences(self.since)).collect()
    }
}

impl Root {
    fn differences(&self, since: Time) -> Vec<Change> {
        let path = Path::new(OsStr::from_bytes(&self.path));
        let Ok(place) = Place::open(path) else {
            return Vec::new();
        };
        let mut found = Differences { root: self, changes: Vec::new() };
        for row in rows(self.git) {
            if let Some(before) = self.before(row.path) {
                found.row(&row, before, &place.look(OsStr::new(row.path), !row.way));
            }
        }
        let mut changes = found.changes;
        changes.extend(repositories::touched(&place, path, self.git, since));
        changes
    }

    fn before(&self, path: &str) -> Option<&Seen> {
        self.rows.iter().find(|(name, _)| name == path).map(|(_, seen)| seen)
    }
}

struct Differences<'a> {
    root: &'a Root,
    changes: Vec<Change>,
}

impl Differences<'_> {
    fn row(&mut self, row: &Row, before: &Seen, after: &Seen) {
        // Something else took the place of a directory on the way: that is said already.
        let told = |change: &Change| change.names.is_empty() && Path::new(row.path).starts_with(&change.row);
        if self.changes.iter().any(told) {
            return;
        }
        if row.way {
            if let Some(how) = of_way(before, after) {
                self.tell(row.path, how, Vec::new(), row.reason);
            }
            return;
        }
        let Some((how, names)) = of_row(before, after) else {
            return;
        };
        // Where the whole directory is new, it is told once, with what is in it.
        let new = row.path.match_indices('/').filter_map(|(end, _)| row.path.get(..end));
        let new = new.into_iter().find(|way| self.root.before(way) == Some(&Seen::Missing));
        match (how, new) {
            (How::Appeared, Some(way)) => {
                let name = row.path.get(way.len() + 1..).unwrap_or_default().as_bytes().to_vec();
                match self.changes.iter_mut().find(|change| change.row == Path::new(way)) {
                    Some(change) => change.names.push(name),
                    None => self.tell(way, how, vec![name], row.reason),
                }
            }
            _ => self.tell(row.path, how, names, row.reason),
        }
    }

    fn tell(&mut self, row: &str, how: How, names: Vec<Bytes>, reason: &'static str) {
        let root = PathBuf::from(OsStr::from_bytes(&self.root.path));
        self.changes.push(Change { root, row: row.into(), names, how, reason });
    }
}

/// A directory on the way to a row matters when something else takes its place (a `.git` that is a file leads git
/// elsewhere), or when others may write to it.
fn of_way(before: &Seen, after: &Seen) -> Option<How> {
    match (before.kind(), after.kind()) {
        _ if before == after || *after == Seen::Missing => None,
        (_, Some(Kind::Directory)) if *before == Seen::Missing => None,
        _ if *before == Seen::Missing => Some(How::Appeared),
        _ => Some(How::Changed),
    }
}

fn of_row(before: &Seen, after: &Seen) -> Option<(How, Vec<Bytes>)> {
    match (before, after) {
        _ if before == after => None,
        (Seen::Missing, Seen::There { below, .. }) => Some((How::Appeared, top_names(below))),
        (Seen::Missing, _) => Some((How::Appeared, Vec::new())),
        (_, Seen::Missing) => Some((How::Vanished, Vec::new())),
        (Seen::There { itself, target, below, whole }, Seen::There { itself: i, target: t, below: b, whole: w }) => {
            let names = different(below, b, *whole && *w);
            let same = names.is_empty() && itself == i && target == t;
            (!same).then_some((How::Changed, names))
        }
        _ => Some((How::Changed, Vec::new())),
    }
}

type Below = [(Bytes, super::look::Thing)];

fn top_names(below: &Below) -> Vec<Bytes> {
    below.iter().map(|(name, _)| name.clone()).filter(|name| !name.contains(&b'/')).collect()
}

/// The names that are not the same in both. Where one of them was cut off, only names in both count.
fn different(before: &Below, after: &Below, whole: bool) -> Vec<Bytes> {
    let find = |list: &Below, name: &Bytes| list.binary_search_by(|(n, _)| n.cmp(name)).ok();
    let other = |list: &Below, (name, thing): &(Bytes, super::look::Thing)| match find(list, name) {
        Some(at) => list.get(at).is_none_or(|(_, there)| there != thing),
        None => whole,
    };
    let gone = |entry: &&(Bytes, super::look::Thing)| whole && find(after, &entry.0).is_none();
    let mut names: Vec<Bytes> = after.iter().filter(|e| other(before, e)).map(|(name, _)| name.clone()).collect();
    names.extend(before.iter().filter(gone).map(|(name, _)| name.clone()));
    names.sort();
    names
}

#[cfg(test)]
mod tests;
