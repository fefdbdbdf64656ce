//! The agent's process: forked, held until the terminal is ready, watched until it ends.

use agent_aws_protocol::{Channel, ChannelError, Exit, InitToHelper};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, setpgid, wait};

use crate::command::Command;
use crate::sys::{self, Arguments};

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
    pub(crate) fn fork(
        channel: &Channel,
        command: &Command,
        arguments: &Arguments,
        door: Option<(OwnedFd, i32)>,
    ) -> Result<Self, Errno> {
        let (wait, gate) = pipe_with(PipeFlags::CLOEXEC)?;
        let (failure, report) = pipe_with(PipeFlags::CLOEXEC)?;
        match sys::fork()? {
            Some(pid) => Ok(Self { pid, gate: Some(gate), failure }),
            None => {
                drop(gate);
                let errno = become_agent(channel, command, arguments, door, &wait);
                let _ = rustix::io::write(&report, &errno.raw_os_error().to_ne_bytes());
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
        if let Some(signal) = Signal::from_named_raw(number) {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Reaps everything that changed state; tells of stops; returns how the agent ended, if it did.
    pub(crate) fn reap(&self, channel: &Channel) -> Result<Option<Exit>, ChannelError> {
        let mut end = None;
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some(changed)) => changed,
                Ok(None) | Err(Errno::CHILD) => return Ok(end),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(ChannelError::Os(e)),
            };
            if pid != self.pid {
                continue;
            }
            if let Some(signal) = status.stopping_signal() {
                channel.send(&InitToHelper::Stopped(signal))?;
            }
            let killed = status.terminating_signal().map(Exit::Signal);
            end = status.exit_status().map(Exit::Code).or(killed).or(end);
        }
    }

    /// The error number of execve(2), if that is why the child ended.
    pub(crate) fn exec_error(&self) -> Option<i32> {
        let mut number = [0u8; 4];
        rustix::io::ioctl_fionbio(&self.failure, true).ok()?;
        let read = rustix::io::read(&self.failure, &mut number).ok()?;
        (read == number.len()).then(|| i32::from_ne_bytes(number))
    }
}

/// In the child. Returns only with the error that kept it from becoming the agent.
fn become_agent(
    channel: &Channel,
    command: &Command,
    arguments: &Arguments,
    door: Option<(OwnedFd, i32)>,
    wait: &OwnedFd,
) -> Errno {
    // In the caller's group, kill(0) would reach host processes, and a shell that exits would lose the terminal.
    if let Err(e) = setpgid(None, None) {
        return e;
    }
    if channel.send(&InitToHelper::Hello).is_err() {
        return Errno::PIPE;
    }
    let mut byte = [0u8; 1];
    match rustix::io::retry_on_intr(|| rustix::io::read(wait, &mut byte)) {
        Ok(1) => {}
        _ => return Errno::CANCELED,
    }
    if let Some((capability, number)) = door
        && let Err(e) = sys::duplicate_to(capability.as_fd(), number)
    {
        return e;
    }
    // Blocked and ignored signals are inherited through execve(2).
    sys::default_dispositions();
    match sys::block_signals(false) {
        Ok(()) => sys::execute(command, arguments),
        Err(e) => e,
    }
}
