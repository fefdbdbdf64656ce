//! Directories by descriptor, and what is made in them without following any link. An agent that had a home before, or
//! has it at this moment, may have put links, FIFOs, sockets and files where directories are expected.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, mknodat, open, openat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::failure::Failure;

/// Of a home, and of the directory around it: nobody else looks in.
const PRIVATE: Mode = Mode::RWXU;
/// Of what is made in a home: as the caller's own umask would have it, in a directory that is closed anyway.
const USUAL: u32 = 0o755;
/// What to do about something that stands in the way.
const ADVICE: &str = "remove it, or begin with an empty home: agent-aws home reset";

/// A directory that is held open, and what it is called.
#[derive(Debug)]
pub(crate) struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn failed(what: &str, path: &Path, e: Errno) -> Failure {
    let text = format!("{what} {}: {}", path.display(), std::io::Error::from(e));
    Failure::Other(text, None)
}

/// What a person calls a file of this type.
fn word_for(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::RegularFile => "a file",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        _ => "a device",
    }
}

fn kind_of(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

impl Directory {
    /// What it is called. Only for words: everything is done by descriptor.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that homes of the caller's lie in. What is missing is made, for the caller only; links above it are
    /// the caller's own and are followed. It is closed to others whatever it was: an agent can open its home to
    /// everybody, but not the directory around it.
    pub(crate) fn around_homes(path: &Path) -> Result<Self, Failure> {
        for ancestor in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            match mkdirat(CWD, ancestor, PRIVATE) {
                Ok(()) | Err(Errno::EXIST) => {}
                // An ancestor above may be closed to us or read-only although what lies below it is ours.
                Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) if ancestor.exists() => {}
                Err(e) => return Err(failed("cannot make the directory", ancestor, e)),
            }
        }
        let made = Self::open(path).map_err(|e| failed("cannot open the directory", path, e))?;
        made.close_to_others()?;
        Ok(made)
    }

    /// An existing directory, by a path of the caller's own.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let descriptor = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    /// The directory `name` in this one. A link is not followed.
    pub(crate) fn at(&self, name: &OsStr) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { descriptor: openat(self, name, flags, Mode::empty())?, path: self.path.join(name) })
    }

    /// The same directory, to be read.
    pub(crate) fn readable(&self) -> Result<OwnedFd, Errno> {
        openat(self, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Another descriptor of it.
    pub(crate) fn again(&self) -> Result<Self, Failure> {
        let descriptor = self.descriptor.try_clone().map_err(|e| Failure::Os("cannot duplicate a descriptor", e))?;
        Ok(Self { descriptor, path: self.path.clone() })
    }

    /// The home `name`, made if it is missing. An agent may have changed its mode, even so that nobody can enter.
    pub(crate) fn home(&self, name: &OsStr) -> Result<Self, Failure> {
        let home = self.directory(name, PRIVATE)?;
        home.close_to_others()?;
        Ok(home)
    }

    /// Mode 0700, if it is ours.
    fn close_to_others(&self) -> Result<(), Failure> {
        let found = fstat(self).map_err(|e| failed("cannot look at", &self.path, e))?;
        if found.st_uid != rustix::process::geteuid().as_raw() {
            let text = format!("{} belongs to uid {}, not to you", self.path.display(), found.st_uid);
            return Err(Failure::Other(text, Some("move it away".into())));
        }
        if Mode::from_raw_mode(found.st_mode) & Mode::from_raw_mode(0o777) == PRIVATE {
            return Ok(());
        }
        self.set_mode(PRIVATE).map_err(|e| failed("cannot close to others", &self.path, e))
    }

    /// Through /proc, because a descriptor that only names a directory cannot be asked, and one that reads it may not be
    /// had yet. The link there leads to this very directory.
    pub(crate) fn set_mode(&self, mode: Mode) -> Result<(), Errno> {
        if let Ok(readable) = self.readable() {
            return fchmod(readable, mode);
        }
        rustix::fs::chmod(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()), mode)
    }

    /// The directory `name`, made if it is missing. An empty file in its place is a mount point of ours from a time when
    /// a file was to be mounted there, so it goes.
    fn directory(&self, name: &OsStr, mode: Mode) -> Result<Self, Failure> {
        let path = self.path.join(name);
        let make = || match mkdirat(self, name, mode) {
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => self.at(name),
            Err(e) => Err(e),
        };
        let made = match make() {
            Err(Errno::NOTDIR) if self.is_empty_file(name) => {
                let _ = unlinkat(self, name, AtFlags::empty());
                make()
            }
            other => other,
        };
        made.map_err(|e| match e {
            Errno::LOOP | Errno::NOTDIR => self.obstacle(name, "no directory"),
            Errno::ACCESS => Failure::Other(
                format!(
                    "{}: cannot be made or entered, because it or the directory around it is closed",
                    path.display()
                ),
                Some(format!("chmod u+rwx it, or {ADVICE}")),
            ),
            e => failed("cannot make the directory", &path, e),
        })
    }

    fn is_empty_file(&self, name: &OsStr) -> bool {
        let found = statat(self, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| kind_of(&found) == FileType::RegularFile && found.st_size == 0)
    }

    /// Something else than expected stands at `name`.
    fn obstacle(&self, name: &OsStr, expected: &str) -> Failure {
        let path = self.path.join(name);
        let found = statat(self, name, AtFlags::SYMLINK_NOFOLLOW);
        let what = found.map_or("something", |found| word_for(kind_of(&found)));
        let text = format!("{}: something that is {expected} stands there ({what})", path.display());
        Failure::Other(text, Some(ADVICE.into()))
    }

    /// The directories of `below`, each made if it is missing.
    pub(crate) fn directories(&self, below: &Path) -> Result<Self, Failure> {
        let mut here = self.again()?;
        for name in names(below)? {
            here = here.directory(name, Mode::from_raw_mode(USUAL))?;
        }
        Ok(here)
    }

    /// Something to mount a file on: an empty file, made if it is missing. Nothing is opened: a FIFO would keep us.
    fn file(&self, name: &OsStr) -> Result<(), Failure> {
        let path = self.path.join(name);
        let make = || mknodat(self, name, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0);
        let is_file = || {
            let found = statat(self, name, AtFlags::SYMLINK_NOFOLLOW);
            found.is_ok_and(|found| kind_of(&found) == FileType::RegularFile)
        };
        match make() {
            Ok(()) => Ok(()),
            Err(Errno::EXIST | Errno::ROFS) if is_file() => Ok(()),
            // An empty directory was a mount point of ours.
            Err(Errno::EXIST) if unlinkat(self, name, AtFlags::REMOVEDIR).is_ok() => {
                make().map_err(|e| failed("cannot make the file", &path, e))
            }
            Err(Errno::EXIST) => Err(self.obstacle(name, "no file")),
            Err(e) => Err(failed("cannot make the file", &path, e)),
        }
    }

    /// What `source` of the host is to be mounted on, at `below`: a directory or a file, as it is.
    pub(crate) fn mount_point(&self, below: &Path, source: &Path) -> Result<(), Failure> {
        let Ok(found) = std::fs::metadata(source) else {
            // What is missing is left out, or refused by whoever opens it.
            return Ok(());
        };
        if found.is_dir() {
            return self.directories(below).map(drop);
        }
        let parent = below.parent().unwrap_or(Path::new(""));
        let name = below.file_name().unwrap_or_default();
        self.directories(parent)?.file(name)
    }
}

/// The parts of a relative path that has nothing but names in it.
fn names(below: &Path) -> Result<Vec<&OsStr>, Failure> {
    let name = |component: Component<'_>| matches!(component, Component::Normal(_));
    if !below.components().all(name) || below.as_os_str().as_bytes().contains(&0) {
        return Err(Failure::Other(format!("{} is no path below a home", below.display()), None));
    }
    Ok(below.iter().collect())
}
