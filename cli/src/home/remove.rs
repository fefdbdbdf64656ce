//! Taking away what an agent left: whatever it planted, nothing outside of the tree is touched, and no tree is too deep.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, renameat, unlinkat};
use rustix::io::Errno;

use super::beneath::Directory;
use crate::failure::Failure;

/// Directories held open at once. What lies deeper is moved up first, so that neither descriptors nor the stack run out.
const MOST_OPEN: usize = 64;

/// Beginning of the name of a home that is being deleted. No home is called so.
const ASIDE: &str = ".gone-";

/// Gives the home `name` another name, beside it, under which nobody uses it. `None` if there is none.
pub(crate) fn aside(around: &Directory, name: &OsStr) -> Result<Option<OsString>, Failure> {
    let failed = |e: Errno| Failure::Path(around.path().join(name), e.into());
    for nth in 0..1000 {
        let mut other = OsString::from(format!("{ASIDE}{}-{nth}-", std::process::id()));
        other.push(name);
        let taken = rustix::fs::statat(around, &other, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        match (taken, renameat(around, name, around, &other)) {
            (true, _) => {}
            (false, Ok(())) => return Ok(Some(other)),
            (false, Err(Errno::NOENT)) => return Ok(None),
            (false, Err(e)) => return Err(failed(e)),
        }
    }
    Err(failed(Errno::EXIST))
}

/// What was put aside by runs that ended before it was deleted.
pub(crate) fn left_aside(around: &Directory) -> Vec<OsString> {
    let Ok(all) = entries(around) else { return Vec::new() };
    all.into_iter().map(|(name, _)| name).filter(|name| name.as_bytes().starts_with(ASIDE.as_bytes())).collect()
}

/// Deletes the file or tree `name`. Goes on after what cannot be deleted; the first such thing is the error.
pub(crate) fn tree(around: &Directory, name: &OsStr) -> Result<(), Failure> {
    let fail = |path: &Path, e: Errno| Failure::Path(path.to_owned(), e.into());
    let top = match around.at(name) {
        Ok(top) => top,
        // A link or a file: the thing itself goes, not what it leads to.
        Err(Errno::LOOP | Errno::NOTDIR) => {
            return unlinkat(around, name, AtFlags::empty()).map_err(|e| fail(&around.path().join(name), e));
        }
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(fail(&around.path().join(name), e)),
    };
    let mut deletion = Deletion { top, moved: 0, failure: None };
    deletion.empty();
    let path = deletion.top.path().to_owned();
    match (deletion.failure, unlinkat(around, name, AtFlags::REMOVEDIR)) {
        (Some(first), _) => Err(first),
        (None, Ok(()) | Err(Errno::NOENT)) => Ok(()),
        (None, Err(e)) => Err(fail(&path, e)),
    }
}

struct Deletion {
    top: Directory,
    /// How many directories were moved up: the number makes their names.
    moved: u64,
    failure: Option<Failure>,
}

/// A directory that is being emptied: itself, its name in the one above, and the directories in it that are left.
struct Level {
    here: Directory,
    name: OsString,
    below: Vec<OsString>,
}

impl Deletion {
    /// What is not there any more was deleted by somebody else.
    fn note(&mut self, path: &Path, e: Errno) {
        if e == Errno::NOENT {
            return;
        }
        self.failure.get_or_insert_with(|| Failure::Path(path.to_owned(), e.into()));
    }

    /// Empties the top, until a look at it finds nothing new.
    fn empty(&mut self) {
        loop {
            let before = self.moved;
            let Ok(top) = self.top.again() else { return };
            let Some(level) = self.files_of(top, OsString::new()) else { return };
            self.descend(level);
            if self.moved == before {
                return;
            }
        }
    }

    fn descend(&mut self, first: Level) {
        let mut way = vec![first];
        while let Some(level) = way.last_mut() {
            let Some(name) = level.below.pop() else {
                let Some(done) = way.pop() else { return };
                let above = way.last().map_or(&self.top, |level| &level.here);
                if way.is_empty() {
                    return;
                }
                if let Err(e) = unlinkat(above, &done.name, AtFlags::REMOVEDIR) {
                    self.note(done.here.path(), e);
                }
                continue;
            };
            if way.len() >= MOST_OPEN {
                self.move_up(&way, &name);
                continue;
            }
            let opened = way.last().map(|level| level.here.at(&name));
            match opened {
                Some(Ok(here)) => way.extend(self.files_of(here, name)),
                Some(Err(e)) => {
                    let path = way.last().map(|level| level.here.path().join(&name)).unwrap_or_default();
                    self.note(&path, e);
                }
                None => return,
            }
        }
    }

    /// Deletes the files of a directory; what is left are its directories.
    fn files_of(&mut self, here: Directory, name: OsString) -> Option<Level> {
        // Nobody but the one who made it so could look in, and that is us.
        let all = entries(&here).or_else(|_| here.set_mode(Mode::RWXU).and_then(|()| entries(&here)));
        let all = match all {
            Ok(all) => all,
            Err(e) => {
                self.note(here.path(), e);
                return None;
            }
        };
        let mut below = Vec::new();
        let mut writable = false;
        for (entry, is_directory) in all {
            if !is_directory {
                let mut gone = unlinkat(&here, &entry, AtFlags::empty());
                if gone == Err(Errno::ACCESS) && !writable {
                    writable = here.set_mode(Mode::RWXU).is_ok();
                    gone = unlinkat(&here, &entry, AtFlags::empty());
                }
                match gone {
                    Ok(()) => continue,
                    Err(Errno::ISDIR) => {}
                    Err(e) => {
                        self.note(&here.path().join(&entry), e);
                        continue;
                    }
                }
            }
            below.push(entry);
        }
        if !below.is_empty() && !writable {
            let _ = here.set_mode(Mode::RWXU);
        }
        Some(Level { here, name, below })
    }

    /// A directory may be moved by whoever may write in it, and in where it was.
    fn move_up(&mut self, way: &[Level], name: &OsStr) {
        let Some(level) = way.last() else { return };
        let path = level.here.path().join(name);
        if let Ok(itself) = level.here.at(name) {
            let _ = itself.set_mode(Mode::RWXU);
        }
        let up = format!("{ASIDE}{}-{}", std::process::id(), self.moved);
        match renameat(&level.here, name, &self.top, &up) {
            Ok(()) => self.moved += 1,
            Err(e) => self.note(&path, e),
        }
    }
}

/// The names in a directory, and whether each is a directory.
fn entries(directory: &Directory) -> Result<Vec<(OsString, bool)>, Errno> {
    let readable: OwnedFd = directory.readable()?;
    let mut all = Vec::new();
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let name = OsStr::from_bytes(name).to_owned();
        let kind = match entry.file_type() {
            FileType::Unknown => rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode)),
            known => known,
        };
        all.push((name, kind == FileType::Directory));
    }
    Ok(all)
}
