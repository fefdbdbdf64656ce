//! Git directories below a writable place that are no rows of it: a repository in a subdirectory, a submodule, what a
//! repository keeps about its worktrees. Whoever enters such a directory with git in the prompt executes what it says.
//!
//! They are looked for at the end only, and by the time of the last change: to remember them all before would cost every
//! start a walk through the whole project.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use agent_aws_protocol::Bytes;
use rustix::fs::{FileType, OFlags, RawDir};

use super::look::{Place, Time, changed_at, made_at, names, stat};
use super::snapshot::{Change, How, rows_of_git};

/// Entries of directories that are walked over at most, those nearest to the top first.
const MOST_ENTRIES: usize = 20_000;
/// Repositories that are named.
const MOST_REPOSITORIES: usize = 20;

/// What makes a directory a git directory.
const MARKS: [&[u8]; 3] = [b"HEAD", b"objects", b"refs"];
/// Where a git directory keeps those of its submodules and worktrees.
const INNER: [&str; 2] = ["modules", "worktrees"];
/// What of a worktree's own directory says where git finds hooks and configuration.
const OF_WORKTREE: [&str; 3] = ["commondir", "gitdir", "config.worktree"];
const REASON: &str = "git executes its hooks and the commands that its configuration names";
const REASON_POINTER: &str = "it says where git finds the hooks and commands that it executes";

/// What the rows of git do not name: repositories that changed since then.
pub(super) fn touched(place: &Place, root: &Path, is_git: bool, since: Time) -> Vec<Change> {
    let mut walk = Walk { place, root, since, entries: 0, waiting: VecDeque::new(), changes: Vec::new() };
    match is_git {
        true => walk.inner(Path::new("")),
        false => walk.waiting.push_back((PathBuf::new(), false)),
    }
    while let Some((path, in_git)) = walk.waiting.pop_front() {
        if walk.entries >= MOST_ENTRIES || walk.changes.len() >= MOST_REPOSITORIES {
            break;
        }
        walk.directory(&path, in_git);
    }
    walk.changes
}

struct Walk<'a> {
    place: &'a Place,
    root: &'a Path,
    since: Time,
    entries: usize,
    /// Directories, and whether each lies in a git directory.
    waiting: VecDeque<(PathBuf, bool)>,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn open(&self, path: &Path) -> Option<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.place.below(path.as_os_str(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW).ok()
    }

    fn directory(&mut self, path: &Path, in_git: bool) {
        let Some(directory) = self.open(path) else { return };
        let found = Found::in_directory(&directory);
        self.entries += found.entries;
        if found.marks == MARKS.len() {
            self.git_directory(path, &directory);
        } else if in_git && found.commondir {
            self.worktree(path, &directory);
        } else {
            for name in &found.directories {
                self.below(path, name, in_git);
            }
            // The project's own `.git` is a row.
            if found.pointer && !path.as_os_str().is_empty() && self.recent(directory.as_fd(), ".git", "").is_some() {
                self.tell(&path.join(".git"), Vec::new(), made(directory.as_fd(), ".git"), REASON_POINTER);
            }
        }
    }

    fn below(&mut self, path: &Path, name: &Bytes, in_git: bool) {
        let below = path.join(OsStr::from_bytes(name));
        match name.as_slice() {
            // The project's own `.git` has rows; what it has inside has none.
            b".git" if path.as_os_str().is_empty() => self.inner(&below),
            name => self.waiting.push_back((below, in_git || name == b".git")),
        }
    }

    /// What a git directory has inside that is one too.
    fn inner(&mut self, git: &Path) {
        self.waiting.extend(INNER.map(|name| (git.join(name), true)));
    }

    fn git_directory(&mut self, path: &Path, directory: &OwnedFd) {
        let mut recent = Vec::new();
        for (row, _) in rows_of_git() {
            recent.extend(self.recent(directory.as_fd(), row, ""));
            let below = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let Ok(inner) = self.place.below(path.join(row).as_os_str(), below) else { continue };
            for (name, _) in names(inner.as_fd()).into_iter().flatten() {
                let name = String::from_utf8_lossy(&name).into_owned();
                recent.extend(self.recent(inner.as_fd(), &name, &format!("{row}/")));
            }
        }
        if !recent.is_empty() {
            self.tell(path, recent, made(directory.as_fd(), ""), REASON);
        }
        self.inner(path);
    }

    fn worktree(&mut self, path: &Path, directory: &OwnedFd) {
        let recent: Vec<_> = OF_WORKTREE.iter().flat_map(|name| self.recent(directory.as_fd(), name, "")).collect();
        if !recent.is_empty() {
            self.tell(path, recent, made(directory.as_fd(), ""), REASON_POINTER);
        }
    }

    /// The name, if what it names changed since. A directory changes with every file that is made in it: what is in it
    /// counts by itself.
    fn recent(&self, at: BorrowedFd<'_>, name: &str, prefix: &str) -> Option<Bytes> {
        let found = stat(at, OsStr::new(name)).ok()?;
        let is_directory = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory;
        (!is_directory && changed_at(&found) >= self.since).then(|| format!("{prefix}{name}").into_bytes())
    }

    fn tell(&mut self, row: &Path, names: Vec<Bytes>, made: Option<Time>, reason: &'static str) {
        let how = if made.is_some_and(|at| at >= self.since) { How::Appeared } else { How::Changed };
        self.changes.push(Change { root: self.root.into(), row: row.into(), names, how, reason });
    }
}

/// What of a directory tells whether git knows it, and where to go on.
#[derive(Default)]
struct Found {
    entries: usize,
    marks: usize,
    commondir: bool,
    /// `.git` is there and no directory.
    pointer: bool,
    directories: Vec<Bytes>,
}

impl Found {
    fn in_directory(directory: &OwnedFd) -> Self {
        let mut found = Self::default();
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(Ok(entry)) = entries.next() {
            found.entries += 1;
            let name = entry.file_name().to_bytes();
            let is_directory = match entry.file_type() {
                FileType::Directory => !matches!(name, b"." | b".."),
                FileType::Unknown => kind(directory.as_fd(), name) == Some(FileType::Directory),
                _ => false,
            };
            found.marks += usize::from(MARKS.contains(&name));
            found.commondir |= name == b"commondir";
            found.pointer |= name == b".git" && !is_directory;
            if is_directory {
                found.directories.push(name.to_vec());
            }
        }
        found
    }
}

/// On file systems that do not say the types of entries.
fn kind(at: BorrowedFd<'_>, name: &[u8]) -> Option<FileType> {
    let found = stat(at, OsStr::from_bytes(name)).ok()?;
    Some(FileType::from_raw_mode(found.stx_mode.into())).filter(|_| !matches!(name, b"." | b".."))
}

/// When it was made.
fn made(at: BorrowedFd<'_>, name: &str) -> Option<Time> {
    made_at(&stat(at, OsStr::new(name)).ok()?)
}
