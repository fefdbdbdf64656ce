//! agent-aws-init: pid 1 of the sandbox.
//!
//! Executed by descriptor after privilege was dropped, with an empty environment, and not dumpable (its file is 0711).
//! It forks the agent into a process group of its own, reaps what is orphaned, passes signals on, and says how the
//! agent ended. When it exits, the kernel ends everything else in the pid namespace.

mod agent;
mod command;
mod sys;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_protocol::{Channel, ChannelError, Exit, HelperToInit, InitToHelper};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use agent::Agent;

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let Some(channel) = sys::inherited_channel() else {
        return ExitCode::from(125);
    };
    let channel = Channel::new(channel, PATIENCE);
    // `/proc/1/environ` and `/proc/1/mem` must be closed to the agent, which has the same uid.
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).is_err() {
        return ExitCode::from(125);
    }
    let command: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&channel, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(125),
    }
}

/// The whole life of a session's pid 1.
fn run(channel: &Channel, command: Vec<OsString>) -> Result<(), ChannelError> {
    let children = watch_children().map_err(|e| ChannelError::Os(e.into()))?;
    let launch = channel.receive::<HelperToInit>(None)?;
    let HelperToInit::Launch { environment, directory, door } = launch.message else {
        return Ok(());
    };
    let capability = launch.descriptors.into_iter().next();
    let directory = OsString::from_vec(directory);
    if let Err(errno) = nix::unistd::chdir(directory.as_os_str()) {
        return channel.send(&InitToHelper::CannotExecute { errno: errno as i32, directory: true });
    }
    let command = match command::resolve(command, &environment) {
        Ok(command) => command,
        Err(errno) => {
            return channel.send(&InitToHelper::CannotExecute { errno: errno as i32, directory: false });
        }
    };
    let agent = match Agent::fork(channel, &command, door_at(capability, door)) {
        Ok(agent) => agent,
        Err(errno) => {
            return channel.send(&InitToHelper::CannotExecute { errno: errno as i32, directory: false });
        }
    };
    attend(channel, &children, agent)
}

fn door_at(capability: Option<OwnedFd>, number: i32) -> Option<(OwnedFd, i32)> {
    capability.map(|fd| (fd, number))
}

/// SIGCHLD as a descriptor; every signal is blocked, so pid 1 does nothing by surprise.
fn watch_children() -> Result<SignalFd, Errno> {
    SigSet::all().thread_set_mask()?;
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Until the agent ends or the supervisor is gone.
fn attend(channel: &Channel, children: &SignalFd, mut agent: Agent) -> Result<(), ChannelError> {
    loop {
        let mut fds =
            [PollFd::new(channel.as_fd(), PollFlags::POLLIN), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(ChannelError::Os(e.into())),
        }
        let [said, died] = fds.map(|fd| fd.any().unwrap_or(true));
        if said {
            // The channel is the lifeline too: only the supervisor holds its other end.
            match channel.receive::<HelperToInit>(Some(PATIENCE))?.message {
                HelperToInit::Begin => agent.begin(),
                HelperToInit::Signal(number) => agent.signal(number),
                HelperToInit::Launch { .. } => return Ok(()),
            }
        }
        if died {
            while let Ok(Some(_)) = children.read_signal() {}
            if let Some(end) = agent.reap(channel)? {
                return finish(channel, &agent, end);
            }
        }
    }
}

fn finish(channel: &Channel, agent: &Agent, end: Exit) -> Result<(), ChannelError> {
    match agent.exec_error() {
        Some(errno) => channel.send(&InitToHelper::CannotExecute { errno, directory: false }),
        None => channel.send(&InitToHelper::Ended(end)),
    }
}
