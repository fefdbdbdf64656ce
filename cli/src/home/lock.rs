//! Two locks beside each home, where no agent can reach them. One is exclusive and held while a home is being made
//! ready, one is shared and held by each session for as long as it lasts, so that a home in use is not deleted.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, flock, futimens, openat};
use rustix::io::Errno;

use super::beneath::Directory;
use crate::failure::Failure;

/// Making a home ready takes milliseconds. Whoever needs longer is stopped, or on a file system that does not answer.
const WAIT: Duration = Duration::from_secs(10);
/// A look at a lock takes it for a moment: that is no use of the home.
const MOMENT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);

/// No home is called so: a name does not begin with a dot.
fn beside(name: &OsStr, what: &str) -> OsString {
    let mut file = OsString::from(".");
    file.push(name);
    file.push(what);
    file
}

/// The file of the lock of sessions; it is touched when one begins and when one ends.
pub(crate) fn session_file(name: &OsStr) -> OsString {
    beside(name, ".session")
}

fn open(around: &Directory, file: &OsStr) -> Result<OwnedFd, Failure> {
    // Writable, because a file server grants an exclusive lock to writers only.
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = || around.path().join(file);
    openat(around, file, flags, Mode::RUSR | Mode::WUSR).map_err(|e| Failure::Path(path(), e.into()))
}

/// Whether the lock could be had within `patience`; `how` does not block.
pub(crate) fn within(patience: Duration, lock: &OwnedFd, how: FlockOperation) -> Result<bool, Errno> {
    let end = Instant::now() + patience;
    loop {
        match flock(lock, how) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if Instant::now() < end => std::thread::sleep(PAUSE),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn take(lock: &OwnedFd, how: FlockOperation, patience: Duration) -> Result<bool, Failure> {
    within(patience, lock, how).map_err(|e| {
        let text = format!("the file system of your homes has no locks: {}", std::io::Error::from(e));
        Failure::Other(text, Some("~/.local/share/agent-aws may be a link to another one".into()))
    })
}

/// Held while a home is made ready or taken away.
#[derive(Debug)]
pub(crate) struct SetUp(#[allow(dead_code)] OwnedFd);

impl SetUp {
    /// Waits for whoever has it, but not for ever.
    pub(crate) fn begin(around: &Directory, name: &OsStr) -> Result<Self, Failure> {
        let file = beside(name, ".setup");
        let lock = open(around, &file)?;
        if take(&lock, FlockOperation::NonBlockingLockExclusive, WAIT)? {
            return Ok(Self(lock));
        }
        let text = format!(
            "another agent-aws has been making this home ready for {} s: {}",
            WAIT.as_secs(),
            around.path().join(file).display()
        );
        Err(Failure::Other(text, Some("end it, or take another home: --home NAME".into())))
    }
}

/// Held by a session, or by whoever takes a home away.
#[derive(Debug)]
pub(crate) struct InUse(OwnedFd);

impl InUse {
    /// Together with other sessions. Only with the lock of set-up.
    pub(crate) fn with_others(around: &Directory, name: &OsStr, _: &SetUp) -> Result<Self, Failure> {
        let lock = open(around, &session_file(name))?;
        if take(&lock, FlockOperation::NonBlockingLockShared, WAIT)? {
            let held = Self(lock);
            held.touch();
            return Ok(held);
        }
        let text = format!("the home {} is being taken away", around.path().join(name).display());
        Err(Failure::Other(text, Some("try again".into())))
    }

    /// Alone; `None` while a session has the home.
    pub(crate) fn alone(around: &Directory, name: &OsStr, _: &SetUp) -> Result<Option<Self>, Failure> {
        let lock = open(around, &session_file(name))?;
        Ok(take(&lock, FlockOperation::NonBlockingLockExclusive, MOMENT)?.then_some(Self(lock)))
    }

    /// Lets other sessions in from now on. Only with the lock of set-up, since a lock is not changed at once (flock(2)).
    pub(crate) fn share(self, _: &SetUp) -> Result<Self, Failure> {
        take(&self.0, FlockOperation::NonBlockingLockShared, MOMENT)?;
        self.touch();
        Ok(self)
    }

    /// Notes the time of the last use.
    fn touch(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        // It is shown to people only.
        let _ = futimens(&self.0, &Timestamps { last_access: now, last_modification: now });
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.touch();
    }
}

/// Whether a session has the home now.
pub(crate) fn is_in_use(around: &Directory, name: &OsStr) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(lock) = openat(around, session_file(name), flags, Mode::empty()) else {
        return false;
    };
    flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}
