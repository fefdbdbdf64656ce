//! Files in the agent's own home. An agent has been there before, or is at this moment: what stands there may be a link,
//! a FIFO or anything else. No link is followed, nothing is waited for, and a file is replaced as a whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fchmod, fstat, mkdirat, openat2, renameat, unlinkat};
use rustix::io::Errno;

/// Of a file that is new.
pub(super) const PRIVATE: Mode = Mode::from_raw_mode(0o600);
/// Agents keep their history beside their settings.
const LARGEST: u64 = 64 << 20;
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// What a file holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) mode: Mode,
}

fn said(e: Errno) -> String {
    match e {
        Errno::LOOP => "a symbolic link stands there".into(),
        e => std::io::Error::from(e).to_string(),
    }
}

/// A file below `home`; nothing where there is none.
pub(super) fn read(home: BorrowedFd<'_>, below: &str) -> Result<Option<Found>, String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat2(home, below, flags, Mode::empty(), BENEATH) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(said(e)),
    };
    let facts = fstat(&file).map_err(said)?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err("something that is no file stands there".into());
    }
    let mut text = String::new();
    let mut file = File::from(file).take(LARGEST + 1);
    file.read_to_string(&mut text).map_err(|e| e.to_string())?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= LARGEST => {
            let mode = Mode::from_raw_mode(facts.st_mode) & Mode::from_raw_mode(0o777);
            Ok(Some(Found { text, mode }))
        }
        _ => Err(format!("it is over the limit of {} MiB", LARGEST >> 20)),
    }
}

/// Replaces a file below `home`: who reads it sees the old one or the new one.
pub(super) fn write(home: BorrowedFd<'_>, below: &str, text: &str, mode: Mode) -> Result<(), String> {
    let below = Path::new(below);
    let (parent, name) = (below.parent().unwrap_or(Path::new("")), below.file_name().unwrap_or_default());
    let directory = directories(home, parent)?;
    let mut new = OsString::from(".");
    new.push(name);
    new.push(format!(".agent-aws-{}", std::process::id()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat2(&directory, &new, flags, PRIVATE, BENEATH).map_err(said)?;
    let moved = fill(file, text, mode).and_then(|()| renameat(&directory, &new, &directory, name).map_err(said));
    if moved.is_err() {
        let _ = unlinkat(&directory, &new, AtFlags::empty());
    }
    moved
}

fn fill(file: OwnedFd, text: &str, mode: Mode) -> Result<(), String> {
    fchmod(&file, mode).map_err(said)?;
    File::from(file).write_all(text.as_bytes()).map_err(|e| e.to_string())
}

/// Each directory of `below`, made if it is missing.
fn directories(home: BorrowedFd<'_>, below: &Path) -> Result<OwnedFd, String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = openat2(home, ".", flags, Mode::empty(), BENEATH).map_err(said)?;
    for name in below {
        match mkdirat(&here, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(said(e)),
        }
        here = openat2(&here, name, flags, Mode::empty(), BENEATH).map_err(said)?;
    }
    Ok(here)
}
