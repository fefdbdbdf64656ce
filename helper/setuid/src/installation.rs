//! Our own files: the helper itself and the programs beside it, by descriptor.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use agent_aws_protocol::Refusal;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};

use crate::refusal::installation;

const ADVICE: &str = "reinstall agent-aws, or run `make install` as root";
/// proc(5) by its magic number: a caller must not be able to show us another one.
const PROC_MAGIC: i64 = 0x9fa0;

/// Where we are installed.
pub(crate) struct Installation {
    directory: OwnedFd,
    path: PathBuf,
    /// Whether our own file has the setuid bit.
    pub(crate) setuid: bool,
    /// What is wrong with it, where root depends on it.
    fault: Option<String>,
    /// Whether root depends on it.
    strict: bool,
}

/// Looks at our own file. Nothing is executed from anywhere but its directory.
pub(crate) fn look() -> Result<Installation, Refusal> {
    let fail = |what: String| installation(what, ADVICE);
    let magic = rustix::fs::statfs("/proc").map(|s| s.f_type);
    if magic != Ok(PROC_MAGIC) {
        return Err(fail("/proc is not mounted, or is something else".into()));
    }
    let path = std::fs::read_link("/proc/self/exe").map_err(|e| fail(format!("/proc/self/exe: {e}")))?;
    let me = std::fs::metadata("/proc/self/exe").map_err(|e| fail(format!("/proc/self/exe: {e}")))?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(fail("the helper does not know where it lies".into()));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory =
        openat(CWD, parent, flags, Mode::empty()).map_err(|e| fail(format!("{}: {e}", parent.display())))?;
    let there =
        statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| fail(format!("{}: {e}", path.display())))?;
    if (there.st_dev, there.st_ino) != (me.dev(), me.ino()) {
        return Err(fail("the helper was moved or replaced while it started".into()));
    }
    let fault = fault(&me, parent);
    Ok(Installation { directory, path: parent.into(), setuid: me.mode() & 0o4000 != 0, fault, strict: false })
}

/// What would let somebody else decide what root executes.
fn fault(me: &std::fs::Metadata, parent: &Path) -> Option<String> {
    if me.uid() != 0 || me.mode() & 0o022 != 0 {
        return Some("the helper is not root's own, or others may write to it".into());
    }
    if me.nlink() != 1 {
        return Some("the helper is hard-linked elsewhere: an old version may have been kept".into());
    }
    for directory in parent.ancestors() {
        let Ok(found) = std::fs::symlink_metadata(directory) else {
            return Some(format!("{}", directory.display()));
        };
        let sticky = found.mode() & 0o1000 != 0;
        if found.uid() != 0 || (found.mode() & 0o022 != 0 && !sticky) {
            return Some(format!("{} is not root's own, or others may write to it", directory.display()));
        }
    }
    None
}

impl Installation {
    /// As root, nothing may be executed that somebody else could have put there.
    pub(crate) fn must_be_trustworthy(&mut self) -> Result<(), Refusal> {
        self.strict = true;
        match &self.fault {
            Some(what) => Err(installation(what, ADVICE)),
            None => Ok(()),
        }
    }

    /// The same directory in the mount namespace of this process: a descriptor from before a namespace cannot be
    /// cloned in it.
    pub(crate) fn reopened(&self) -> Result<Self, Refusal> {
        let fail = |what: String| installation(format!("{}: {what}", self.path.display()), ADVICE);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &self.path, flags, Mode::empty()).map_err(|e| fail(e.to_string()))?;
        let place = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|s| (s.st_dev, s.st_ino)).map_err(|e| fail(e.to_string()));
        match place(&directory)? == place(&self.directory)? {
            true => Ok(Self { directory, path: self.path.clone(), fault: self.fault.clone(), ..*self }),
            false => Err(fail("was replaced while we started".into())),
        }
    }

    /// Opens one of our programs: to be executed by descriptor, or mounted.
    pub(crate) fn program(&self, name: &str) -> Result<OwnedFd, Refusal> {
        let fail = |what: String| installation(format!("{}/{name}: {what}", self.path.display()), ADVICE);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let program = openat(&self.directory, name, flags, Mode::empty()).map_err(|e| fail(e.to_string()))?;
        let found = rustix::fs::fstat(&program).map_err(|e| fail(e.to_string()))?;
        if self.strict && (found.st_uid != 0 || found.st_mode & 0o022 != 0) {
            return Err(fail("is not root's own, or others may write to it".into()));
        }
        Ok(program)
    }

    /// What is wrong with it where root depends on it, for `doctor`.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref().filter(|_| self.setuid)
    }
}

/// A directory that only root can change, opened component by component without following a link.
pub(crate) fn open_directory_of_root(path: &Path) -> Result<OwnedFd, String> {
    let mut here = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| format!("/: {e}"))?;
    let mut walked = PathBuf::from("/");
    for name in path.iter().skip(1).map(OsString::from) {
        walked.push(&name);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        here = openat(&here, &name, flags, Mode::empty()).map_err(|e| format!("{}: {e}", walked.display()))?;
        let found = rustix::fs::fstat(&here).map_err(|e| format!("{}: {e}", walked.display()))?;
        if found.st_uid != 0 || (found.st_mode & 0o022 != 0 && found.st_mode & 0o1000 == 0) {
            return Err(format!("{}: is not root's own, or others may write to it", walked.display()));
        }
    }
    Ok(here)
}

/// A regular file in `directory` that only root can change (and, if `secret`, read).
pub(crate) fn open_file_of_root(directory: &OwnedFd, name: &Path, secret: bool) -> Result<OwnedFd, String> {
    // O_NONBLOCK: a FIFO must not hang us before we see that it is one.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = openat(directory, name, flags, Mode::empty()).map_err(|e| match e {
        rustix::io::Errno::LOOP => "is a symbolic link".to_string(),
        e => e.to_string(),
    })?;
    let found = rustix::fs::fstat(&file).map_err(|e| e.to_string())?;
    let forbidden = if secret { 0o077 } else { 0o022 };
    match rustix::fs::FileType::from_raw_mode(found.st_mode) {
        rustix::fs::FileType::RegularFile => {}
        other => return Err(format!("is no regular file ({other:?})")),
    }
    if found.st_uid != 0 {
        return Err("is not owned by root".into());
    }
    match found.st_mode & forbidden {
        0 => Ok(file),
        _ if secret => Err("can be read or changed by others: it must have mode 0600".into()),
        _ => Err("can be changed by others".into()),
    }
}
