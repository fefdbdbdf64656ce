//! What of a real home must be hidden: secret stores, where they usually lie and where a link or a variable of the
//! caller's says; and sockets and FIFOs, which work through a read-only mount.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use agent_aws_plan::tables::SECRET_STORES;
use rustix::fs::{Access, AtFlags, FileType, accessat, statat};
use rustix::io::Errno;

use super::beneath::Directory;
use super::walk::{self, Cut, Entry, Limits, Visitor};
use crate::environment::Lookup;
use crate::failure::Failure;
use crate::table;

/// Variables that name files with secrets.
pub(crate) const VARIABLES: &str = include_str!("../../tables/secret-variables.tsv");
/// Names of files that hold secrets wherever they lie.
pub(crate) const NAMES: &str = include_str!("../../tables/secret-names.tsv");

/// A home with more entries, or one that takes longer, is not looked through at each start.
const MOST_ENTRIES: u64 = 2_000_000;
const PATIENCE: Duration = Duration::from_secs(20);
/// How deep in a secret store links are looked for: where managers of dotfiles put them.
const DEEPEST_LINK: usize = 3;
/// Each is a mount of the sandbox.
const MOST_HIDDEN: usize = 1000;
/// All of them go into one message.
const MOST_BYTES: usize = 32 * 1024;
/// A path that is longer is hidden as a whole: what lies below could not be named.
const LONGEST_PATH: usize = 3000;
/// What to do where a real home does not work.
const ADVICE: &str = "use a sandbox with home = \"agent\", or ask your administrator for one";

/// What is known of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The caller's home by the user database.
    pub(crate) home: &'a Path,
    /// The working directory: variables may be relative to it.
    pub(crate) directory: &'a Path,
    /// What the caller asked to be shown: it cannot be hidden.
    pub(crate) asked: &'a [&'a Path],
    /// Only a program of ours will run, which connects to nothing.
    pub(crate) ours: bool,
}

/// The absolute paths below the home that are to be hidden. Each exists, none lies in another, and none is reached by a
/// link.
pub(crate) fn hidden(facts: Facts<'_>, lookup: Lookup<'_>) -> Result<Vec<PathBuf>, Failure> {
    let real = facts.home.canonicalize().map_err(|e| Failure::Path(facts.home.to_owned(), e))?;
    let asked: Vec<PathBuf> = facts.asked.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let place = Place { home: facts.home, real: &real, asked: &asked };
    let mut found = place.of_variables(facts.directory, lookup)?;
    found.extend(place.of_stores());
    if !facts.ours {
        found.extend(look_through(facts.home)?);
    }
    outermost(facts.home, found)
}

/// The caller's home by both of its names.
struct Place<'a> {
    home: &'a Path,
    real: &'a Path,
    asked: &'a [PathBuf],
}

impl Place<'_> {
    /// Below the home by its usual name, if that is where `path` really is.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        real.strip_prefix(self.real).ok().map(Path::to_owned)
    }

    /// Whether hiding it would hide what the caller wants to be seen.
    fn is_around_asked(&self, below: &Path) -> bool {
        let whole = self.real.join(below);
        below.as_os_str().is_empty() || self.asked.iter().any(|asked| asked.starts_with(&whole))
    }

    /// What variables of the caller's name.
    fn of_variables(&self, directory: &Path, lookup: Lookup<'_>) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        for (row, _) in table::rows(VARIABLES) {
            let (name, part) = row.split_once('/').unwrap_or((row, ""));
            let (name, list) = name.strip_suffix(':').map_or((name, false), |name| (name, true));
            let Some(value) = lookup(OsStr::new(name)).filter(|value| !value.is_empty()) else { continue };
            let named = value.as_bytes().split(|byte| list && *byte == b':').filter(|path| !path.is_empty());
            for path in named {
                let mut path = self.expanded(directory, path);
                if !part.is_empty() {
                    path.push(part);
                }
                let Some(below) = self.below(&path) else { continue };
                if self.is_around_asked(&below) {
                    let text = format!(
                        "{name} names {}, which is hidden from the agent; but your home or project lies in it",
                        path.display()
                    );
                    return Err(Failure::Other(text, Some(format!("env -u {name} agent-aws run ..., or move either"))));
                }
                found.push(below);
            }
        }
        Ok(found)
    }

    /// `~/x` as tools read it, and a relative path from the working directory.
    fn expanded(&self, directory: &Path, path: &[u8]) -> PathBuf {
        match path.strip_prefix(b"~/") {
            Some(rest) => self.home.join(OsStr::from_bytes(rest)),
            None => directory.join(OsStr::from_bytes(path.strip_prefix(b"FILE:").unwrap_or(path))),
        }
    }

    /// The secret stores that are there. One may be a link, or lie below one, or have links in it: what counts is where
    /// they lead.
    fn of_stores(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for row in SECRET_STORES.rows() {
            let Some(below) = self.below(&self.home.join(row.path)) else { continue };
            found.push(below.clone());
            // Agents write into their own homes: a link of theirs says nothing about the caller's secrets.
            if row.path.ends_with("/agent-aws") {
                continue;
            }
            if let Ok(store) = Directory::open(&self.real.join(&below)) {
                let mut links = Links::default();
                let limits = Limits { entries: MOST_ENTRIES, end: Instant::now() + PATIENCE };
                // What is not seen in time is in the store itself, which is hidden.
                let _ = walk::walk(store.as_fd(), limits, &mut links);
                let whole = |link: PathBuf| self.below(&store.path().join(link));
                found.extend(links.0.into_iter().filter_map(whole));
            }
        }
        found.retain(|below| !self.is_around_asked(below));
        found
    }
}

/// The links in a secret store.
#[derive(Default)]
struct Links(Vec<PathBuf>);

impl Visitor for Links {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        if entry.kind == FileType::Symlink {
            self.0.push(entry.path());
        }
        entry.parent.components().count() + 1 < DEEPEST_LINK
    }

    fn closed(&mut self, _: &Path, _: Errno) {}
}

/// Finds what is to be hidden wherever it lies.
struct Search {
    /// Not looked into: they are hidden already.
    stores: HashSet<PathBuf>,
    exact: HashSet<&'static [u8]>,
    endings: Vec<&'static [u8]>,
    found: Vec<PathBuf>,
    closed: Vec<(PathBuf, Errno)>,
}

impl Search {
    fn new() -> Self {
        let names = || table::rows(NAMES).map(|(name, _)| name);
        Self {
            stores: SECRET_STORES.rows().map(|row| PathBuf::from(row.path)).collect(),
            exact: names().filter(|name| !name.starts_with('*')).map(str::as_bytes).collect(),
            endings: names().filter_map(|name| name.strip_prefix('*')).map(str::as_bytes).collect(),
            found: Vec::new(),
            closed: Vec::new(),
        }
    }

    fn is_secret(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        self.exact.contains(name)
            || self.endings.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
    }
}

impl Visitor for Search {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        let hide = match entry.kind {
            FileType::Socket | FileType::Fifo | FileType::Unknown => true,
            FileType::Symlink => false,
            _ => self.is_secret(entry.name),
        };
        let long =
            entry.kind == FileType::Directory && entry.parent.as_os_str().len() + entry.name.len() > LONGEST_PATH;
        if hide || long {
            self.found.push(entry.path());
            return false;
        }
        entry.kind == FileType::Directory && !self.stores.contains(&entry.path())
    }

    fn closed(&mut self, path: &Path, why: Errno) {
        self.closed.push((path.to_owned(), why));
    }
}

/// Everything below the home. A file server that does not answer keeps this thread, but not us.
fn look_through(home: &Path) -> Result<Vec<PathBuf>, Failure> {
    let top = Directory::open(home).map_err(|e| Failure::Path(home.to_owned(), e.into()))?;
    let (sender, receiver) = channel();
    let limits = Limits { entries: MOST_ENTRIES, end: Instant::now() + PATIENCE };
    std::thread::spawn(move || {
        let mut search = Search::new();
        let ended = walk::walk(top.as_fd(), limits, &mut search);
        let closed = std::mem::take(&mut search.closed);
        let reachable = closed.into_iter().filter(|(path, why)| may_be_entered(&top, path, *why));
        search.found.extend(reachable.map(|(path, _)| path));
        let _ = sender.send(ended.map(|()| search.found));
    });
    let cut = match receiver.recv_timeout(PATIENCE + Duration::from_secs(1)) {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(cut)) => cut,
        Err(_) => Cut::Time,
    };
    let text = match cut {
        Cut::Entries => {
            format!("your home has more than {MOST_ENTRIES} files: it cannot be looked through for sockets")
        }
        Cut::Time => format!("looking through your home for sockets takes longer than {} s", PATIENCE.as_secs()),
    };
    Err(Failure::Other(text, Some(ADVICE.into())))
}

/// Whether an agent could reach what lies in a directory that cannot be listed: it is the caller's, who can open it, or
/// names in it can be guessed.
fn may_be_entered(top: &Directory, path: &Path, why: Errno) -> bool {
    if why != Errno::ACCESS {
        return true;
    }
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let ours = statat(top, path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|found| found.st_uid == rustix::process::getuid().as_raw());
    ours || accessat(top, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}

/// Without what lies in another one.
fn outermost(home: &Path, mut found: Vec<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    found.sort();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in found {
        let nested = kept.last().is_some_and(|last| path.starts_with(last));
        if path.as_os_str().is_empty() {
            let text = format!("your home {} cannot be looked through for sockets", home.display());
            return Err(Failure::Other(text, Some(ADVICE.into())));
        }
        if !nested {
            kept.push(path);
        }
    }
    let whole: Vec<PathBuf> = kept.iter().map(|below| home.join(below)).collect();
    let bytes: usize = whole.iter().map(|path| path.as_os_str().len() + 8).sum();
    if whole.len() > MOST_HIDDEN || bytes > MOST_BYTES {
        let names: Vec<OsString> = kept.iter().take(3).map(|path| path.clone().into_os_string()).collect();
        let text = format!(
            "{} sockets, FIFOs and secrets in your home are too many to hide, such as ~/{}",
            whole.len(),
            names.join(OsStr::new(", ~/")).display()
        );
        return Err(Failure::Other(text, Some(ADVICE.into())));
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
