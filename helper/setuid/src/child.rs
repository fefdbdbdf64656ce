//! Short-lived children: whatever may hang or run foreign code does so in one of these, under a deadline.

use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use agent_aws_protocol::{Channel, FailureCode, Refusal, wait_for};
use agent_aws_sandbox::sys::Cloned;
use agent_aws_sandbox::{Group, Namespaces, spawn};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::refusal::refuse;
use crate::sys;

/// A child of ours, held by a descriptor that no reuse of its number can mislead. Dropping it ends it.
pub(crate) struct Process {
    pidfd: OwnedFd,
    /// Its process id here.
    pub(crate) pid: i32,
    /// Dropped, and so removed, when the process has ended.
    pub(crate) group: Option<Group>,
}

/// A child of ours that we talk with.
pub(crate) struct Child {
    /// The process.
    pub(crate) process: Process,
    /// Our end of the conversation with it.
    pub(crate) channel: Channel,
}

impl Child {
    /// Forks; the child runs `work` with its end of a channel and never returns from it.
    /// `step` is what messages call that.
    pub(crate) fn start(
        step: impl Display,
        namespaces: Option<Namespaces>,
        patience: Duration,
        work: impl FnOnce(OwnedFd) -> i32,
    ) -> Result<Self, Refusal> {
        let fail = |e: std::io::Error| refuse(FailureCode::Kernel, format_args!("{step}: {e}"));
        let (ours, theirs) = Channel::pair().map_err(|e| fail(e.into()))?;
        match spawn(namespaces.as_ref()).map_err(fail)? {
            Cloned::Parent { pid, pidfd } => {
                drop(theirs);
                let group = namespaces.and_then(|n| n.group);
                group.iter().for_each(Group::occupied);
                Ok(Self { process: Process { pidfd, pid, group }, channel: Channel::new(ours, patience) })
            }
            Cloned::Child => {
                drop(ours);
                sys::exit(work(theirs))
            }
        }
    }
}

impl Process {
    /// Ends it, whatever it does. Its own ids do not matter: we are root, keep CAP_KILL, or have the same uid.
    pub(crate) fn kill(&self) {
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Ends it and reaps it.
    fn end(&self) {
        self.kill();
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        let _ = wait_for(&mut fds, Some(Duration::from_secs(1)));
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
