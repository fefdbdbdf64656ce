//! The agent's process: forked, held until the terminal is ready, watched until it ends.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use agent_aws_protocol::{Channel, ChannelError, Exit, InitToHelper};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::command::Command;
use crate::sys;

/// The child that becomes the agent.
pub(crate) struct Agent {
    pid: Pid,
    /// A byte here lets it execute; closing it makes it exit.
    gate: Option<OwnedFd>,
    /// Carries the error number if execve(2) failed; closed by the kernel if it worked.
    failure: OwnedFd,
}

impl Agent {
    /// Forks. The child says [`InitToHelper::Hello`] once it is in its own process group.
    pub(crate) fn fork(channel: &Channel, command: &Command, door: Option<(OwnedFd, i32)>) -> Result<Self, Errno> {
        let errno = |e: rustix::io::Errno| Errno::from_raw(e.raw_os_error());
        let (wait, gate) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        let (failure, report) = pipe_with(PipeFlags::CLOEXEC).map_err(errno)?;
        match sys::fork()? {
            ForkResult::Parent { child } => Ok(Self { pid: child, gate: Some(gate), failure }),
            ForkResult::Child => {
                drop(gate);
                let errno = become_agent(channel, command, door, wait);
                let _ = rustix::io::write(&report, &(errno as i32).to_ne_bytes());
                sys::exit(127)
            }
        }
    }

    /// Lets the agent execute its command.
    pub(crate) fn begin(&mut self) {
        if let Some(gate) = self.gate.take() {
            let _ = rustix::io::write(&gate, b"g");
        }
    }

    /// Sends a signal to the agent's process group. An unknown number or a group that is gone is nobody's fault.
    pub(crate) fn signal(&self, number: i32) {
        if let Ok(signal) = Signal::try_from(number) {
            let _ = killpg(self.pid, signal);
        }
    }

    /// Reaps everything that changed state; tells of stops; returns how the agent ended, if it did.
    pub(crate) fn reap(&self, channel: &Channel) -> Result<Option<Exit>, ChannelError> {
        let mut end = None;
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
            match waitpid(None::<Pid>, Some(flags)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => end = Some(Exit::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => end = Some(Exit::Signal(signal as i32)),
                Ok(WaitStatus::Stopped(pid, signal)) if pid == self.pid => {
                    channel.send(&InitToHelper::Stopped(signal as i32))?;
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(end),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(ChannelError::Os(e.into())),
            }
        }
    }

    /// The error number of execve(2), if that is why the child ended.
    pub(crate) fn exec_error(&self) -> Option<i32> {
        let mut number = [0u8; 4];
        let mut pipe = std::fs::File::from(self.failure.try_clone().ok()?);
        rustix::io::ioctl_fionbio(&self.failure, true).ok()?;
        pipe.read_exact(&mut number).ok()?;
        Some(i32::from_ne_bytes(number))
    }
}

/// In the child. Returns only with the error that kept it from becoming the agent.
fn become_agent(channel: &Channel, command: &Command, door: Option<(OwnedFd, i32)>, wait: OwnedFd) -> Errno {
    // In the caller's group, kill(0) would reach host processes, and a shell that exits would lose the terminal.
    if let Err(e) = nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0)) {
        return e;
    }
    if channel.send(&InitToHelper::Hello).is_err() {
        return Errno::EPIPE;
    }
    let mut byte = [0u8; 1];
    match rustix::io::retry_on_intr(|| rustix::io::read(&wait, &mut byte)) {
        Ok(1) => {}
        _ => return Errno::ECANCELED,
    }
    if let Some((capability, number)) = door
        && let Err(e) = sys::duplicate_to(capability.as_fd(), number)
    {
        return e;
    }
    // Blocked and ignored signals are inherited through execve(2), and the Rust runtime ignores SIGPIPE.
    sys::default_dispositions();
    if let Err(e) = SigSet::empty().thread_set_mask() {
        return e;
    }
    sys::execute(command)
}
