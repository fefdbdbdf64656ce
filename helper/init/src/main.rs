//! agent-aws-init: pid 1 of the sandbox.
//!
//! Executed by descriptor after privilege was dropped, with an empty environment, and not dumpable (its file is 0711).
//! It forks the agent into a process group of its own, reaps what is orphaned, passes signals on, and says how the
//! agent ended. When it exits, the kernel ends everything else in the pid namespace.
//!
//! What ships has no C library: the start of one asks the processor some fifty questions, each of which traps in a
//! virtual machine, and takes longer than all that is done here. Tests and debug builds are ordinary programs.
#![cfg_attr(all(panic = "abort", not(test)), no_std, no_main)]

extern crate alloc;

mod agent;
mod command;
mod sys;

use core::time::Duration;

use agent_aws_protocol::{Channel, ChannelError, Exit, HelperToInit, InitToHelper};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use agent::Agent;
use sys::Arguments;

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Exit status of an init that failed.
const FAILED: i32 = 125;

/// From the first instruction of ours to the exit status.
fn start(arguments: &Arguments) -> i32 {
    let Some(channel) = sys::inherited_channel() else {
        return FAILED;
    };
    let channel = Channel::new(channel, PATIENCE);
    // `/proc/1/environ` and `/proc/1/mem` must be closed to the agent, which has the same uid.
    if set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err() {
        return FAILED;
    }
    match run(&channel, arguments) {
        Ok(()) => 0,
        Err(_) => FAILED,
    }
}

/// The whole life of a session's pid 1.
fn run(channel: &Channel, arguments: &Arguments) -> Result<(), ChannelError> {
    // Every signal is blocked, so pid 1 does nothing by surprise.
    sys::block_signals(true).map_err(ChannelError::Os)?;
    let children = sys::watch_children().map_err(ChannelError::Os)?;
    let launch = channel.receive::<HelperToInit>(None)?;
    let HelperToInit::Launch { environment, directory, door } = launch.message else {
        return Ok(());
    };
    let door = launch.descriptors.into_iter().next().map(|capability| (capability, door));
    if let Err(errno) = rustix::process::chdir(directory) {
        return channel.send(&InitToHelper::CannotExecute { errno: errno.raw_os_error(), directory: true });
    }
    let command = command::resolve(arguments.get(0).unwrap_or_default().to_bytes(), &environment);
    match command.and_then(|command| Agent::fork(channel, &command, arguments, door)) {
        Ok(agent) => attend(channel, &children, agent),
        Err(errno) => channel.send(&InitToHelper::CannotExecute { errno: errno.raw_os_error(), directory: false }),
    }
}

/// Until the agent ends or the supervisor is gone.
fn attend(channel: &Channel, children: &OwnedFd, mut agent: Agent) -> Result<(), ChannelError> {
    loop {
        let mut fds = [PollFd::new(channel, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(ChannelError::Os(e)),
        }
        let [said, died] = fds.map(|fd| !fd.revents().is_empty());
        if said {
            // The channel is the lifeline too: only the supervisor holds its other end.
            match channel.receive::<HelperToInit>(Some(PATIENCE))?.message {
                HelperToInit::Begin => agent.begin(),
                HelperToInit::Signal(number) => agent.signal(number),
                HelperToInit::Launch { .. } => return Ok(()),
            }
        }
        if died {
            // One of these is as good as many.
            let mut told = [0u8; sys::TOLD_OF_A_CHILD];
            while rustix::io::read(children, &mut told).is_ok_and(|n| n > 0) {}
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

#[cfg(any(test, not(panic = "abort")))]
fn main() {
    sys::as_ordinary_program();
}
