//! Opening what the plan needs, once, and from then on by descriptor only.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use agent_aws_plan::{Kind, Opener, Source};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, mkdirat, openat, openat2, statx};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::Failure;

/// What an attempt to open a source gave.
#[derive(Debug)]
pub struct Opened {
    /// The place, if there is one: O_PATH, never usable to read or write by itself.
    pub descriptor: Option<OwnedFd>,
    /// Whether the one who opened it may write there.
    pub writable: bool,
}

/// Opens `source` with the rights of this process. Magic links are never followed; a last component that is a link is
/// taken as the link where the source says so. Missing is no error.
pub fn open_source(source: &Source) -> Result<Opened, Failure> {
    let path = &source.path;
    match open_path(path, source.keep_link) {
        Ok(fd) => {
            let plain = matches!(type_of(fd.as_fd())?, FileType::Directory | FileType::RegularFile | FileType::Symlink);
            // What is only hidden, or bound onto itself read-only, may be a socket or a FIFO.
            if !plain && source.opener == Opener::Caller && !source.keep_link {
                return Err(Failure {
                    step: "opening",
                    object: Some(path.clone()),
                    cause: "it is no file or directory".into(),
                });
            }
            // By the real uid, so that the capabilities of a user namespace do not count: the agent has none.
            let access = rustix::fs::Access::WRITE_OK;
            let writable = rustix::fs::accessat(CWD, path, access, AtFlags::empty()).is_ok();
            Ok(Opened { descriptor: Some(fd), writable })
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Opened { descriptor: None, writable: false }),
        Err(e) => Err(Failure::os("opening", path, e)),
    }
}

fn open_path(path: &Path, keep_link: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if keep_link {
        flags |= OFlags::NOFOLLOW;
    }
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
}

/// Opens the directory `name` in `at`, making it if it is missing.
pub(crate) fn enter(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    match mkdirat(at, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
        Err(e) => return Err(e),
    }
    openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// The parts of a path that has nothing but names in it.
pub(crate) fn normal_components(path: &Path) -> Result<Vec<&OsStr>, Failure> {
    let name = |c: Component<'_>| !matches!(c, Component::RootDir | Component::Normal(_));
    if path.components().any(name) {
        return Err(Failure { step: "a path", object: Some(path.into()), cause: "has `.` or `..` in it".into() });
    }
    Ok(path.iter().filter(|part| part.as_bytes() != b"/").collect())
}

/// A place, whatever it is called: device and inode.
type Place = (u32, u32, u64);

fn place(fd: BorrowedFd<'_>, path: &CStr) -> Result<Place, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = statx(fd, path, flags, StatxFlags::INO)?;
    Ok((found.stx_dev_major, found.stx_dev_minor, found.stx_ino))
}

fn place_of(path: &Path) -> Option<Place> {
    open_path(path, false).and_then(|fd| place(fd.as_fd(), c"")).ok()
}

/// The places of secret stores that must not be shown, and of everything above them.
#[derive(Debug)]
pub struct Secrets {
    stores: Vec<(Option<Place>, PathBuf)>,
    above: Vec<(Option<Place>, PathBuf)>,
}

impl Secrets {
    /// Looks at the stores (absolute paths) with the rights of this process. One that is missing is not there.
    pub fn look(stores: impl Iterator<Item = PathBuf>) -> Self {
        let mut found = Self { stores: Vec::new(), above: Vec::new() };
        for store in stores {
            // Nothing is in a directory that is not there.
            let parent = store.parent().and_then(|parent| found.look_above(parent));
            let here = parent.and_then(|_| place_of(&store));
            // A store may be a link (into a repository of dotfiles): what contains its target contains it too.
            let real = here.and_then(|_| store.canonicalize().ok());
            real.as_deref().and_then(Path::parent).map(|parent| found.look_above(parent));
            found.stores.push((here, store));
        }
        found
    }

    /// Looks at `path` and everything above it, at each once. As bytes: paths are compared part by part.
    fn look_above(&mut self, path: &Path) -> Option<Place> {
        if let Some((place, _)) = self.above.iter().find(|(_, known)| known.as_os_str() == path.as_os_str()) {
            return *place;
        }
        let place = place_of(path);
        self.above.push((place, path.into()));
        path.parent().map(|parent| self.look_above(parent));
        place
    }

    /// The store, if what `fd` shows is one, contains one or lies inside one, by whatever path or mount it was reached.
    /// An ancestor that cannot be looked at is an error: nobody can say then.
    pub fn shown_by(&self, fd: BorrowedFd<'_>) -> Result<Option<&Path>, Errno> {
        let find = |list: &'_ [(_, PathBuf)], at| list.iter().position(|(p, _)| *p == Some(at));
        let mut at = place(fd, c"")?;
        if let Some(n) = find(&self.above, at) {
            return Ok(self.above.get(n).map(|(_, path)| path.as_path()));
        }
        let mut here = rustix::io::fcntl_dupfd_cloexec(fd, 0)?;
        loop {
            if let Some(n) = find(&self.stores, at) {
                return Ok(self.stores.get(n).map(|(_, path)| path.as_path()));
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            here = match openat(&here, c"..", flags, Mode::empty()) {
                Err(Errno::NOTDIR) => {
                    let file = real_path(fd).map_err(|_| Errno::NOENT)?;
                    open_path(file.parent().ok_or(Errno::NOENT)?, false)?
                }
                other => other?,
            };
            let above = place(here.as_fd(), c"")?;
            if above == at {
                return Ok(None);
            }
            at = above;
        }
    }
}

/// What a descriptor is. A file server that does not answer is not asked (AT_STATX_DONT_SYNC).
pub fn kind_of(fd: BorrowedFd<'_>) -> Result<Kind, Failure> {
    Ok(match type_of(fd)? {
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            let to = rustix::fs::readlinkat(fd, c"", Vec::new()).map_err(|e| Failure::plain("reading a link", e))?;
            Kind::Link(OsStr::from_bytes(to.as_bytes()).into())
        }
        _ => Kind::File,
    })
}

fn type_of(fd: BorrowedFd<'_>) -> Result<FileType, Failure> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let found = statx(fd, c"", flags, StatxFlags::TYPE).map_err(|e| Failure::plain("looking at a descriptor", e))?;
    Ok(FileType::from_raw_mode(found.stx_mode.into()))
}

/// Where the kernel says that a descriptor leads.
pub fn real_path(fd: BorrowedFd<'_>) -> Result<PathBuf, Failure> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    std::fs::read_link(&link).map_err(|e| Failure::os("reading", Path::new(&link), e))
}

/// A detached copy of the tree at `fd`, with everything mounted below it. In setuid mode this must happen in the
/// host's mount namespace: a descriptor from before a new one cannot be cloned in it.
pub fn clone_tree(fd: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(fd.as_fd(), c"", flags).map_err(|e| Failure::os("cloning the mount of", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_store_is_known_by_any_name_that_leads_to_it() {
        let home = std::env::temp_dir().join(format!("agent-aws-open-{}", std::process::id()));
        std::fs::create_dir_all(home.join(".aws/sso")).unwrap();
        std::fs::create_dir_all(home.join("src/p")).unwrap();
        for (name, to) in [("inside", ".aws/sso"), ("itself", ".aws"), ("around", "src/.."), ("other", "src/p")] {
            std::os::unix::fs::symlink(home.join(to), home.join("src").join(name)).unwrap();
        }
        let secrets = Secrets::look([home.join(".aws"), home.join(".ssh")].into_iter());
        let shown = |name: &str| {
            let fd = open_path(&home.join("src").join(name), false).unwrap();
            secrets.shown_by(fd.as_fd()).unwrap().is_some()
        };
        let all = ["inside", "itself", "around", "other"].map(shown);
        std::fs::remove_dir_all(&home).unwrap();
        assert_eq!(all, [true, true, true, false]);
    }
}
