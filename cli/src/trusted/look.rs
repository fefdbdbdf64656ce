//! What stands at a place, told from any other thing that could stand there: no file is opened, no link is followed out
//! of the directory that is looked at.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use agent_aws_protocol::Bytes;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, openat, openat2, readlinkat, statx,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// Entries of one row that are looked at, and how deep.
const MOST_ENTRIES: usize = 2000;
const DEEPEST: usize = 16;
/// How often a look is tried while somebody renames directories on the way (openat2(2), EAGAIN).
const TRIES: usize = 64;

/// Seconds and nanoseconds.
pub(super) type Time = (i64, u32);

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A socket, FIFO or device.
    Other,
}

/// One thing. Of a directory only what it is itself: what is in it counts by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    mode: u16,
    owner: (u32, u32),
    /// Device, inode, size, and the times of the last change of content and of anything. Nobody can set the last one,
    /// so a file with the same numbers is the same file with the same content.
    stamp: Option<(u32, u32, u64, u64, Time, Time)>,
    /// Where a link leads.
    link: Option<Bytes>,
}

impl Thing {
    fn new(found: &Statx, link: Option<Bytes>) -> Self {
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        let (changed, content) = (changed_at(found), (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec));
        let device = (found.stx_dev_major, found.stx_dev_minor);
        let stamp = (device.0, device.1, found.stx_ino, found.stx_size, content, changed);
        let stamp = (kind != Kind::Directory).then_some(stamp);
        Self { kind, mode: found.stx_mode & 0o7777, owner: (found.stx_uid, found.stx_gid), stamp, link }
    }
}

/// When anything of it changed last.
pub(super) fn changed_at(found: &Statx) -> Time {
    (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec)
}

/// When it was made, where the file system knows.
pub(super) fn made_at(found: &Statx) -> Option<Time> {
    (found.stx_mask & StatxFlags::BTIME.bits() != 0).then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
}

/// What was seen where a row points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Seen {
    /// Nothing.
    Missing,
    /// A link on the way leads out of the directory, or round and round.
    Elsewhere,
    /// It could not be looked at: the number of the error.
    Unknown(i32),
    /// Something.
    There {
        /// The thing itself.
        itself: Thing,
        /// What a link leads to, within the directory.
        target: Option<Box<Thing>>,
        /// What is below it, by name, in order.
        below: Vec<(Bytes, Thing)>,
        /// Whether that is everything.
        whole: bool,
    },
}

impl Seen {
    /// The kind of the thing itself.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::There { itself, .. } => Some(itself.kind),
            _ => None,
        }
    }
}

/// A directory in which is looked.
#[derive(Debug)]
pub(super) struct Place(OwnedFd);

impl Place {
    /// Opens it.
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Opens what is below, without leaving this directory.
    pub(super) fn below(&self, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if tries > 0 => {}
                other => return other,
            }
        }
    }

    /// What stands at `row` and, with `deep`, everything below it.
    pub(super) fn look(&self, row: &OsStr, deep: bool) -> Seen {
        match self.try_look(row, deep) {
            Ok(seen) => seen,
            Err(Errno::NOENT | Errno::NOTDIR) => Seen::Missing,
            Err(Errno::XDEV | Errno::LOOP) => Seen::Elsewhere,
            Err(e) => Seen::Unknown(e.raw_os_error()),
        }
    }

    fn try_look(&self, row: &OsStr, deep: bool) -> Result<Seen, Errno> {
        let fd = self.below(row, OFlags::PATH | OFlags::NOFOLLOW)?;
        let itself = thing(fd.as_fd(), OsStr::new(""))?;
        let mut directory = (itself.kind == Kind::Directory).then_some(fd);
        let mut target = None;
        if itself.kind == Kind::Link
            && let Ok(fd) = self.below(row, OFlags::PATH)
        {
            let found = thing(fd.as_fd(), OsStr::new(""))?;
            directory = (found.kind == Kind::Directory).then_some(fd);
            target = Some(Box::new(found));
        }
        let mut walk = Walk { below: Vec::new(), whole: true };
        if let Some(fd) = directory.filter(|_| deep) {
            walk.directory(fd.as_fd(), &[], 0)?;
            walk.below.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Ok(Seen::There { itself, target, below: walk.below, whole: walk.whole })
    }
}

/// Type, mode, owner, size, inode and times. A file server that does not answer is not asked again.
pub(super) fn stat(at: BorrowedFd<'_>, name: &OsStr) -> Result<Statx, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(at, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)
}

fn thing(at: BorrowedFd<'_>, name: &OsStr) -> Result<Thing, Errno> {
    let found = stat(at, name)?;
    let is_link = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Symlink;
    let link = match is_link {
        true => Some(readlinkat(at, name, Vec::new())?.into_bytes()),
        false => None,
    };
    Ok(Thing::new(&found, link))
}

/// The names in a directory, with their types where the file system says them.
pub(super) fn names(directory: BorrowedFd<'_>) -> Result<impl Iterator<Item = (Bytes, FileType)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entries = Dir::new(openat(directory, c".", flags, Mode::empty())?)?;
    let named = entries.filter_map(|entry| entry.ok().map(|e| (e.file_name().to_bytes().to_vec(), e.file_type())));
    Ok(named.filter(|(name, _)| !matches!(name.as_slice(), b"." | b"..")))
}

struct Walk {
    below: Vec<(Bytes, Thing)>,
    whole: bool,
}

impl Walk {
    fn directory(&mut self, fd: BorrowedFd<'_>, prefix: &[u8], depth: usize) -> Result<(), Errno> {
        for (name, _) in names(fd)? {
            if self.below.len() >= MOST_ENTRIES || depth > DEEPEST {
                self.whole = false;
                return Ok(());
            }
            let name_of = OsStr::from_bytes(&name);
            let found = match thing(fd, name_of) {
                Ok(found) => found,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e),
            };
            let is_directory = found.kind == Kind::Directory;
            let path = [prefix, &name].concat();
            self.below.push((path.clone(), found));
            if is_directory {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match openat(fd, name_of, flags, Mode::empty()) {
                    Ok(inner) => match self.directory(inner.as_fd(), &[&path, &b"/"[..]].concat(), depth + 1) {
                        Ok(()) | Err(Errno::ACCESS) => {}
                        Err(e) => return Err(e),
                    },
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    fn scratch(name: &str) -> (PathBuf, Place) {
        let directory = crate::scratch::scratch(name);
        let place = Place::open(&directory).unwrap();
        (directory, place)
    }

    fn look(place: &Place, row: &str) -> Seen {
        place.look(OsStr::new(row), true)
    }

    type Change<'a> = (&'a str, &'a dyn Fn(&Path));

    #[test]
    fn the_same_place_looks_the_same_and_a_changed_one_does_not() {
        let (root, place) = scratch("changes");
        fs::create_dir_all(root.join("row/sub")).unwrap();
        fs::write(root.join("row/sub/file"), "one").unwrap();
        let first = look(&place, "row");
        assert_eq!(first, look(&place, "row"));
        let changes: [Change<'_>; 4] = [
            ("content of the same size", &|root| fs::write(root.join("row/sub/file"), "two").unwrap()),
            ("mode", &|root| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(root.join("row/sub/file"), mode).unwrap();
            }),
            ("one more", &|root| fs::write(root.join("row/more"), "").unwrap()),
            ("a link instead", &|root| {
                fs::remove_file(root.join("row/more")).unwrap();
                symlink("sub/file", root.join("row/more")).unwrap();
            }),
        ];
        let mut before = first;
        for (what, change) in changes {
            // Times of files are those of the kernel's last tick.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&root);
            let after = look(&place, "row");
            assert_ne!(before, after, "{what}");
            before = after;
        }
    }

    #[test]
    fn nothing_outside_is_looked_at_whatever_link_leads_there() {
        let (root, place) = scratch("links");
        fs::create_dir_all(root.join("real")).unwrap();
        fs::write(root.join("real/file"), "x").unwrap();
        for (name, to) in [("in", "real"), ("out", "/usr"), ("up", "../../usr"), ("round", "round"), ("none", "gone")] {
            symlink(to, root.join(name)).unwrap();
        }
        let target = |row: &str| match look(&place, row) {
            Seen::There { target, below, .. } => (target.map(|t| t.kind), below.len()),
            other => panic!("{row}: {other:?}"),
        };
        assert_eq!(target("in"), (Some(Kind::Directory), 1));
        for row in ["out", "up", "round", "none"] {
            assert_eq!(target(row), (None, 0), "{row}");
        }
        assert_eq!(look(&place, "out/bin"), Seen::Elsewhere);
        assert_eq!(look(&place, "none/x"), Seen::Missing);
        assert_eq!(look(&place, "real/file/x"), Seen::Missing);
    }

    #[test]
    fn a_fifo_is_seen_and_not_waited_for() {
        let (root, place) = scratch("fifo");
        assert!(std::process::Command::new("mkfifo").arg(root.join(".envrc")).status().unwrap().success());
        assert_eq!(look(&place, ".envrc").kind(), Some(Kind::Other));
    }

    #[test]
    fn a_row_of_any_size_costs_a_bounded_look() {
        let (root, place) = scratch("many");
        for n in 0..MOST_ENTRIES + 10 {
            fs::write(root.join(n.to_string()), "").unwrap();
        }
        let Seen::There { below, whole, .. } = look(&place, ".") else { panic!("not there") };
        assert_eq!((below.len(), whole), (MOST_ENTRIES, false));
        fs::remove_dir_all(&root).unwrap();
    }
}
