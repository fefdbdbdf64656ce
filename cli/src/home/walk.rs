//! A look at everything below a directory, by the types that directories themselves say, so that no file is asked.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, openat2, statat};
use rustix::io::Errno;

/// What one call asks the kernel for.
const BUFFER: usize = 128 * 1024;

/// One thing in a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The directory that it is in.
    pub(crate) around: BorrowedFd<'a>,
    /// The same as a path from the top.
    pub(crate) parent: &'a Path,
    /// Its name there.
    pub(crate) name: &'a OsStr,
    /// Its type; links are not followed.
    pub(crate) kind: FileType,
}

impl Entry<'_> {
    /// Its path from the top.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent.join(self.name)
    }
}

/// Where a look ends before it is whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// After so many entries.
    pub(crate) entries: u64,
    /// At this time.
    pub(crate) end: Instant,
}

/// Not everything was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// There were too many entries.
    Entries,
    /// It took too long.
    Time,
}

/// Who is told what is found.
pub(crate) trait Visitor {
    /// An entry. Whether to look into it, if it is a directory.
    fn entry(&mut self, entry: &Entry<'_>) -> bool;
    /// A directory that could not be looked into, from the top.
    fn closed(&mut self, path: &Path, why: Errno);
}

/// Looks at everything below `top` that the visitor wants to see.
pub(crate) fn walk(top: BorrowedFd<'_>, limits: Limits, visitor: &mut impl Visitor) -> Result<(), Cut> {
    let mut left = vec![PathBuf::new()];
    let mut buffer = vec![MaybeUninit::<u8>::uninit(); BUFFER];
    let mut seen = 0u64;
    while let Some(here) = left.pop() {
        if Instant::now() >= limits.end {
            return Err(Cut::Time);
        }
        let open = match open_below(top, &here) {
            Ok(open) => open,
            // It went away, or became something else, in the meantime.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(why) => {
                visitor.closed(&here, why);
                continue;
            }
        };
        let mut entries = RawDir::new(&open, &mut buffer);
        while let Some(entry) = entries.next() {
            let Ok(entry) = entry else {
                visitor.closed(&here, Errno::IO);
                break;
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            seen += 1;
            if seen > limits.entries {
                return Err(Cut::Entries);
            }
            let kind = known(entry.file_type(), &open, name);
            let found = Entry { around: rustix::fd::AsFd::as_fd(&open), parent: &here, name, kind };
            if visitor.entry(&found) && kind == FileType::Directory {
                left.push(here.join(name));
            }
        }
    }
    Ok(())
}

/// Some file systems do not say types in directories.
fn known(kind: FileType, around: &OwnedFd, name: &OsStr) -> FileType {
    if kind != FileType::Unknown {
        return kind;
    }
    let found = statat(around, name, AtFlags::SYMLINK_NOFOLLOW);
    found.map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode))
}

/// The directory at `path` from the top, to be read; through no link, wherever one may have been put meanwhile.
fn open_below(top: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(top, path, flags, Mode::empty(), resolve) {
            // Something was renamed on the way (openat2(2)).
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}
