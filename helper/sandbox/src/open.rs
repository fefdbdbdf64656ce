//! Opening what the plan needs, once, and from then on by descriptor only.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use agent_aws_plan::{Kind, Source};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, mkdirat, openat, openat2, statx,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::Failure;

/// Opens `source` with the rights of this process: O_PATH, never usable to read or write by itself. Magic links are
/// never followed; a last component that is a link is taken as the link where the source says so. Missing is no error.
pub fn open_source(source: &Source) -> Result<Option<OwnedFd>, Failure> {
    match open_path(&source.path, source.keep_link) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(Failure::os("opening", &source.path, e)),
    }
}

/// Whether there is something at `path`, by its own name: no link is followed.
pub fn is_there(path: &Path) -> bool {
    openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS).is_ok()
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

/// Whether both are the same, by whatever path or mount they were reached: device and inode.
pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool, Failure> {
    let place = |fd| look(fd, StatxFlags::INO).map(|s| (s.stx_dev_major, s.stx_dev_minor, s.stx_ino));
    Ok(place(one)? == place(other)?)
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

/// Whether it is a file or a directory: no link, socket, FIFO or device.
pub fn is_plain(fd: BorrowedFd<'_>) -> Result<bool, Failure> {
    Ok(matches!(type_of(fd)?, FileType::Directory | FileType::RegularFile))
}

fn type_of(fd: BorrowedFd<'_>) -> Result<FileType, Failure> {
    look(fd, StatxFlags::TYPE).map(|found| FileType::from_raw_mode(found.stx_mode.into()))
}

fn look(fd: BorrowedFd<'_>, what: StatxFlags) -> Result<Statx, Failure> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(fd, c"", flags, what).map_err(|e| Failure::plain("looking at a descriptor", e))
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
