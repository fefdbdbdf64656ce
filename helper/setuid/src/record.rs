//! Records of running sessions: who runs what, so that it can be listed, counted and stopped. No secret is in them.
//!
//! A record is locked as long as its session lives; one that is not locked is left over from a death and is swept.

use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use agent_aws_protocol::{FailureCode, Fare, Refusal, SessionRow};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, mkdirat, openat, unlinkat};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::audit::now;
use crate::entry::Mode as Power;
use crate::installation::open_directory_of_root;
use crate::refusal::{advise, refuse};

/// The most sessions that one uid may have at once.
const MOST_SESSIONS: usize = 32;
/// The largest record, in bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// What a record holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Content {
    supervisor: i32,
    row: SessionRow,
}

/// The directory of records.
pub(crate) struct Records {
    directory: OwnedFd,
}

/// Our own record: locked while it is held, removed when it is dropped.
pub(crate) struct Record {
    directory: OwnedFd,
    content: Content,
    /// Locked.
    file: std::fs::File,
}

impl Record {
    /// Writes down that there are no newer credentials, and why.
    pub(crate) fn failed(&mut self, model: bool, why: &str) -> Result<(), Refusal> {
        let failed = Some((now(), why.to_owned()));
        let fare = self.fare(model).clone();
        self.tell(model, Fare { failed, ..fare })
    }

    fn fare(&mut self, model: bool) -> &mut Fare {
        let row = &mut self.content.row;
        row.model.as_mut().filter(|_| model).map_or(&mut row.credentials, |(_, fare)| fare)
    }

    /// Writes down how the credentials of the task, or of the model, fare now.
    pub(crate) fn tell(&mut self, model: bool, fare: Fare) -> Result<(), Refusal> {
        *self.fare(model) = fare;
        // Who reads it holds the directory.
        flock(&self.directory, FlockOperation::LockExclusive).map_err(fail)?;
        let written = self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(fail).and_then(|()| self.write());
        flock(&self.directory, FlockOperation::Unlock).map_err(fail)?;
        written
    }

    fn write(&mut self) -> Result<(), Refusal> {
        self.file.write_all(&postcard::to_stdvec(&self.content).map_err(fail)?).map_err(fail)
    }
}

fn fail(what: impl std::fmt::Display) -> Refusal {
    refuse(FailureCode::Installation, format_args!("the records of sessions: {what}"))
}

impl Records {
    /// Opens (and makes) the directory: root's own, or in unprivileged mode one in the caller's home.
    pub(crate) fn open(power: &Power, home: &Path) -> Result<Self, Refusal> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if power.is_privileged() {
            let run = open_directory_of_root(Path::new("/run")).map_err(fail)?;
            make(&run, "agent-aws")?;
            let ours = open_directory_of_root(Path::new("/run/agent-aws")).map_err(fail)?;
            make(&ours, "sessions")?;
            let directory = openat(&ours, "sessions", flags, Mode::empty()).map_err(fail)?;
            let found = rustix::fs::fstat(&directory).map_err(fail)?;
            if found.st_uid != 0 || found.st_mode & 0o077 != 0 {
                return Err(fail("/run/agent-aws/sessions is not root's own with mode 0700: remove it"));
            }
            return Ok(Self { directory });
        }
        let path: PathBuf = home.join(".local/share/agent-aws/sessions");
        std::fs::create_dir_all(&path).map_err(|e| fail(format_args!("{}: {e}", path.display())))?;
        let directory = openat(rustix::fs::CWD, &path, flags, Mode::empty()).map_err(fail)?;
        Ok(Self { directory })
    }

    /// Writes our record and locks it.
    pub(crate) fn begin(&self, row: &SessionRow, most_here: Option<u64>) -> Result<Record, Refusal> {
        // Between making a record and locking it, it would look like one that a death left over.
        flock(&self.directory, FlockOperation::LockExclusive).map_err(fail)?;
        let mine: Vec<_> = self.swept()?.into_iter().filter(|c| c.row.uid == row.uid).collect();
        let here = mine.iter().filter(|c| c.row.sandbox == row.sandbox).count() as u64;
        if mine.len() >= MOST_SESSIONS || most_here.is_some_and(|most| here >= most) {
            let text = format!("you have {} sessions running, which is as many as one user may have", mine.len());
            return Err(advise(
                FailureCode::BadRequest,
                text,
                "`agent-aws sessions` lists them, `agent-aws stop ID` ends one",
            ));
        }
        let content = Content { supervisor: std::process::id().cast_signed(), row: row.clone() };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.directory, &row.id, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(fail)?;
        let directory = self.directory.try_clone().map_err(fail)?;
        let mut record = Record { directory, content, file: file.into() };
        record.write()?;
        flock(&self.directory, FlockOperation::Unlock).map_err(fail)?;
        Ok(record)
    }

    /// The sessions that live, of one uid or of all. What is left of dead ones is removed.
    pub(crate) fn rows(&self, uid: Option<u32>) -> Result<Vec<SessionRow>, Refusal> {
        let all = self.all()?.into_iter().map(|c| c.row);
        Ok(all.filter(|row| uid.is_none_or(|u| u == row.uid)).collect())
    }

    /// Tells the supervisor of a session to end it; whether there was such a session for that uid.
    pub(crate) fn stop(&self, id: &str, uid: Option<u32>) -> Result<bool, Refusal> {
        let found = self.all()?.into_iter().find(|c| c.row.id == id && uid.is_none_or(|u| u == c.row.uid));
        let Some(content) = found else { return Ok(false) };
        let pid = Pid::from_raw(content.supervisor).ok_or_else(|| fail("a record without a process"))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(fail)?;
        // The number may have been reused since we read it: while the record is locked its owner lives.
        if !self.is_locked(id) {
            return Ok(false);
        }
        pidfd_send_signal(&pidfd, Signal::TERM).map_err(fail)?;
        Ok(true)
    }

    fn all(&self) -> Result<Vec<Content>, Refusal> {
        flock(&self.directory, FlockOperation::LockExclusive).map_err(fail)?;
        let all = self.swept();
        flock(&self.directory, FlockOperation::Unlock).map_err(fail)?;
        all
    }

    fn swept(&self) -> Result<Vec<Content>, Refusal> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            if !self.is_locked(name) {
                let _ = unlinkat(&self.directory, name, AtFlags::empty());
            } else if let Some(content) = self.read(name) {
                found.push(content);
            }
        }
        found.sort_by_key(|c| c.row.started);
        Ok(found)
    }

    fn open_one(&self, name: &str) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(&self.directory, name, flags, Mode::empty()).ok()
    }

    fn is_locked(&self, name: &str) -> bool {
        self.open_one(name).is_some_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    fn read(&self, name: &str) -> Option<Content> {
        let file = self.open_one(name)?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        agent_aws_protocol::decode(&bytes).ok()
    }
}

fn make(at: &OwnedFd, name: &str) -> Result<(), Refusal> {
    match mkdirat(at, name, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(e) => Err(fail(e)),
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = unlinkat(&self.directory, &self.content.row.id, AtFlags::empty());
    }
}
