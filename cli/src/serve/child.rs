//! The command that is served: a child of ours in our own process group, with the caller's environment and no sandbox.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use agent_aws_protocol::{Exit, FailureCode, Refusal};
use nix::errno::Errno;
use nix::spawn::{PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};

use crate::failure::Failure;
use crate::spawn;

/// How long the command may take to end when the session has, in seconds: that of `docker stop`.
const GRACE_SECONDS: i64 = 10;

/// It runs.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    /// Starts it with the signal mask that we were started with.
    pub(super) fn start(command: &[OsString], mask: SigSet) -> Result<Self, Failure> {
        let name = command.first().map(OsString::as_os_str).unwrap_or_default();
        let pid = started(command, mask).map_err(|e| cannot(name, e))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty());
        pidfd.map(|pidfd| Self { pid, pidfd }).map_err(|e| Failure::Os("cannot watch the command", e.into()))
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<Exit> {
        let (_, status) = waitpid(Some(self.pid), WaitOptions::NOHANG).ok()??;
        status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
    }

    /// Passes a signal on.
    pub(super) fn tell(&self, signal: i32) {
        if let Some(signal) = Signal::from_named_raw(signal) {
            let _ = pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Ends it: asks first.
    pub(super) fn end(mut self) {
        self.tell(libc::SIGTERM);
        // Who is stopped hears nothing.
        self.tell(libc::SIGCONT);
        let grace = Timespec { tv_sec: GRACE_SECONDS, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&grace));
        self.tell(libc::SIGKILL);
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&grace));
        let _ = self.ended();
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn started(command: &[OsString], mask: SigSet) -> Result<Pid, Errno> {
    let words = spawn::words(command.iter().map(OsString::as_os_str))?;
    let program = words.first().ok_or(Errno::ENOENT)?;
    let (actions, attributes) = (PosixSpawnFileActions::init()?, spawn::attributes(mask, PosixSpawnFlags::empty())?);
    let child = posix_spawnp(program, &actions, &attributes, &words, &spawn::environment()?)?;
    Pid::from_raw(child.as_raw()).ok_or(Errno::ECHILD)
}

fn cannot(program: &OsStr, e: Errno) -> Failure {
    let program = program.display();
    let (code, text) = match e {
        Errno::ENOENT => (FailureCode::CommandNotFound, format!("`{program}` is not there")),
        e => {
            (FailureCode::CommandNotExecutable, format!("`{program}` cannot be executed: {}", std::io::Error::from(e)))
        }
    };
    Failure::Refused(Refusal { code, text, advice: None, audit: None })
}
