//! The one row that cannot wait for the end: `commondir` in a git directory. Only the directories of git's own worktrees
//! have it. No mount can keep it from being made where it is not, and with it the next `git status`, or the caller's
//! prompt in another window, takes hooks and configuration from wherever the agent says, whatever is read-only. So the
//! session ends when it appears or changes, and what was before is put back.
//!
//! It is looked at a few times a second. The kernel would tell at once, but takes up to 12 ms to put an inotify instance
//! away, and every run would pay for that.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::Places;
use super::look::{Kind, Place, Seen};

const NAME: &str = "commondir";
/// What git writes into it is one path, in bytes.
const LONGEST: u64 = 4096;

/// A file that must stay as it is.
#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Where it lies, whatever stands at its path later.
    directory: OwnedFd,
    before: Seen,
    /// What was in it; nothing where it was not there.
    content: Option<Vec<u8>>,
}

impl File {
    fn new(directory: &Path) -> Option<Self> {
        let (before, opened) = (look(directory)?, open(directory).ok()?);
        let path = directory.join(NAME);
        let small = path.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() < LONGEST);
        let content = if small { fs::read(&path).ok() } else { None };
        Some(Self { path, directory: opened, before, content })
    }

    fn put_back(&self) -> Result<(), Errno> {
        match unlinkat(&self.directory, NAME, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => {}
            Err(e) => return Err(e),
        }
        let Some(content) = &self.content else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.directory, NAME, flags, Mode::from_raw_mode(0o644))?;
        fs::File::from(file).write_all(content).map_err(|_| Errno::IO)
    }
}

/// The files of one run.
#[derive(Debug)]
pub(super) struct Guard {
    files: Vec<File>,
}

fn open(directory: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, directory, flags, Mode::empty())
}

fn look(directory: &Path) -> Option<Seen> {
    Place::open(directory).ok().map(|place| place.look(OsStr::new(NAME), false))
}

/// The git directories of these places: their own, and that of a worktree in the directory that it shares.
fn git_directories(places: &Places) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for (path, is_git) in places {
        found.push(if *is_git { path.clone() } else { path.join(".git") });
    }
    let pointers = places.iter().filter(|(_, is_git)| !is_git).map(|(path, _)| path.join(".git"));
    for pointer in pointers.filter(|path| path.symlink_metadata().is_ok_and(|p| p.is_file() && p.len() < LONGEST)) {
        let text = fs::read(&pointer).unwrap_or_default();
        let git = text.strip_prefix(b"gitdir: ").map(|path| OsStr::from_bytes(path.trim_ascii_end()));
        let git = git.and_then(|path| pointer.with_file_name(path).canonicalize().ok());
        // Where the agent cannot write nothing is to be watched.
        found.extend(git.filter(|git| places.iter().any(|(place, is_git)| *is_git && git.starts_with(place))));
    }
    found
}

impl Guard {
    /// Looks where the agent of a run may write; nothing where there is no git directory.
    pub(super) fn begin(places: &Places) -> Option<Self> {
        let files: Vec<File> = git_directories(places).iter().filter_map(|directory| File::new(directory)).collect();
        (!files.is_empty()).then_some(Self { files })
    }

    /// The file that is not as it was.
    pub(super) fn changed(&self) -> Option<&Path> {
        self.differing().next().map(|file| file.path.as_path())
    }

    fn differing(&self) -> impl Iterator<Item = &File> {
        let now = |file: &File| file.path.parent().and_then(look).unwrap_or(Seen::Missing);
        self.files.iter().filter(move |file| now(file) != file.before && file.before.kind() != Some(Kind::Link))
    }

    /// Puts back what was, once nobody can change it again; what was put back.
    pub(super) fn put_back(&self) -> Vec<&Path> {
        self.differing().filter(|file| file.put_back().is_ok()).map(|file| file.path.as_path()).collect()
    }
}
