//! The agents' homes on disk: `homes/SANDBOX/IDENTITY/NAME` below the caller's own directory of agent-aws.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;

use super::beneath::Directory;
use super::lock;
use super::walk::{self, Entry, Limits, Visitor};
use crate::failure::Failure;

/// Below the caller's home by the user database, which is where the helper puts them.
const HOMES: &str = ".local/share/agent-aws/homes";
/// No name is longer.
const LONGEST_NAME: usize = 64;

/// One home of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// Sandbox, as policy names it.
    pub(crate) sandbox: String,
    /// Identity, as policy or the caller names it, or `@shared` where several share one.
    pub(crate) identity: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// What a listing says of a home.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    /// What it takes on the disk, in bytes; `None` if that was too much to count.
    pub(crate) size: Option<u64>,
    /// Start or end of the last session, seconds since 1970.
    pub(crate) last_use: Option<u64>,
    /// Whether a session has it now.
    pub(crate) in_use: bool,
}

/// The caller's home by the user database.
pub(crate) fn callers_home() -> Result<PathBuf, Failure> {
    let unknown = || {
        let text = format!("the user database has no home directory for uid {}", Uid::current());
        Failure::Other(text, Some("ask your administrator".into()))
    };
    let user = User::from_uid(Uid::current()).ok().flatten().ok_or_else(unknown)?;
    Some(user.dir).filter(|dir| dir.is_absolute()).ok_or_else(unknown)
}

/// A name for `--home`.
pub(crate) fn valid_name(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) || name.starts_with(['.', '-']) {
        return Err(format!("a name has 1 to {LONGEST_NAME} letters, digits, `.`, `_` or `-`"));
    }
    Ok(name.to_owned())
}

/// `own%3adev` is `own:dev`.
fn decoded(name: &OsStr) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The directories in one of ours. What begins with a dot is a lock, or was put aside.
fn directories(at: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(at).into_iter().flatten().filter_map(Result::ok);
    let real = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<OsString> = real.map(|e| e.file_name()).filter(|n| !n.as_bytes().starts_with(b".")).collect();
    names.sort();
    names
}

/// All homes of the caller's agents.
pub(crate) fn all(callers_home: &Path) -> Vec<Home> {
    let top = callers_home.join(HOMES);
    let mut found = Vec::new();
    for sandbox in directories(&top) {
        for identity in directories(&top.join(&sandbox)) {
            let around = top.join(&sandbox).join(&identity);
            for name in directories(&around) {
                found.push(Home {
                    sandbox: decoded(&sandbox),
                    identity: decoded(&identity),
                    name: decoded(&name),
                    path: around.join(&name),
                });
            }
        }
    }
    found
}

impl Home {
    /// The directory that it lies in, and its name there.
    pub(crate) fn place(&self) -> Result<(Directory, OsString), Failure> {
        let around = self.path.parent().unwrap_or(Path::new("/"));
        let name = self.path.file_name().unwrap_or_default().to_owned();
        let around = Directory::open(around).map_err(|e| Failure::Path(around.to_owned(), e.into()))?;
        Ok((around, name))
    }

    /// What there is to say of it.
    pub(crate) fn state(&self) -> Result<State, Failure> {
        let (around, name) = self.place()?;
        let locked = statat(&around, lock::session_file(&name), AtFlags::SYMLINK_NOFOLLOW).ok();
        let last_use = locked.and_then(|found| u64::try_from(found.st_mtime).ok());
        let size = around.at(&name).ok().and_then(|top| size_of(&top));
        Ok(State { size, last_use, in_use: lock::is_in_use(&around, &name) })
    }
}

/// No home is counted for longer.
const MOST_ENTRIES: u64 = 2_000_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts what a tree takes on the disk. A file with several names counts once for each.
#[derive(Default)]
struct Blocks(u64);

impl Visitor for Blocks {
    fn entry(&mut self, entry: &Entry<'_>) -> bool {
        let found = statat(entry.around, entry.name, AtFlags::SYMLINK_NOFOLLOW);
        self.0 += found.map_or(0, |found| u64::try_from(found.st_blocks).unwrap_or_default());
        true
    }

    fn closed(&mut self, _: &Path, _: Errno) {}
}

/// In bytes.
fn size_of(top: &Directory) -> Option<u64> {
    let mut blocks = Blocks::default();
    let limits = Limits { entries: MOST_ENTRIES, end: Instant::now() + PATIENCE };
    walk::walk(top.as_fd(), limits, &mut blocks).ok()?;
    Some(blocks.0 * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_slash_and_begins_like_one() {
        for good in ["default", "a", "Build_2", "x-1", "a.b"] {
            assert_eq!(valid_name(good).as_deref(), Ok(good));
        }
        let long = "a".repeat(65);
        for bad in ["", ".", "..", "a/b", "a b", "-x", "é", ".a", "a\nb", &long] {
            assert!(valid_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_of_directories_are_read_back() {
        for (written, meant) in
            [("own%3adev", "own:dev"), ("a-b_c", "a-b_c"), ("%", "%"), ("x%zz", "x%zz"), ("%c3%a9", "é")]
        {
            assert_eq!(decoded(OsStr::new(written)), meant);
        }
    }
}
