//! The caller's terminal, shared with an agent that runs in a process group of its own.
//!
//! A terminal has one foreground process group (tcsetpgrp(3)). Only its members may read from the terminal; the
//! others are stopped by SIGTTIN when they try, and by SIGTTOU when they change its modes. Keys such as Ctrl-C become
//! signals to that group and to no other. A shell starts us in a group of our own, together with the other commands
//! of the pipeline, and makes that group the foreground; the agent must not be a member of it (a `kill(0)` of the agent
//! would reach the whole pipeline, and an interactive shell inside would leave the terminal without an owner). So
//! there are two groups, *ours* and the *agent's*, and everything here is about which one has the foreground:
//!
//! - **Start.** If our group has the foreground and both standard input and standard output are the terminal, the
//!   agent's group gets it before the agent's first instruction. Otherwise (background job, either side of a pipe) it
//!   stays where it is: in `agent | less` the pager must be able to read keys.
//! - **Lazy hand-over.** If the agent is then stopped by SIGTTIN or SIGTTOU while our group has the foreground, it
//!   needs the terminal: the foreground moves to it and it is continued. Its system call starts over by itself.
//! - **Signals.** While our group has the foreground, the kernel tells us and we forward. While the agent's has it, the
//!   kernel tells the agent. What is sent to our process by hand is forwarded in both cases.
//! - **Stop** (Ctrl-Z and the like). The shell that waits for us knows nothing of the agent, so when the agent stops we
//!   take the foreground back, put the caller's terminal modes back (remembering the agent's) and stop ourselves and
//!   our group. When we are continued in the foreground, the agent gets its modes and the foreground again; in the
//!   background (`bg`) it only goes on.
//! - **End.** However it ends, the foreground is ours again if it was the agent's, the modes are those of the start,
//!   and what was typed for an agent that was killed is thrown away instead of becoming the shell's input. An agent that
//!   Ctrl-C ended takes the rest of our group with it.
//!
//! SIGTTOU is blocked all the while ([`crate::signals`]), so that we may do all this from the background.
//! [`decide`] holds the decisions without any terminal; the rest carries them out.

use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};

use agent_aws_protocol::Exit;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::termios::{Action, LocalModes, OptionalActions, QueueSelector, Termios};
use rustix::termios::{ioctl_tiocnxcl, tcflow, tcflush, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

/// Which process group has the foreground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreground {
    /// There is no terminal, or another group has it: the shell's, or that of another job.
    Others,
    /// The group that we were started in.
    Ours,
    /// The agent's group.
    Agents,
    /// A group that a shell inside the sandbox made and gave the foreground to.
    Inside,
}

/// What to do when the agent was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStop {
    /// It only wants the terminal and may have it: give it and continue the agent.
    HandOver,
    /// It stopped for a terminal that it has got meanwhile: continue it.
    Continue,
    /// Stop as well.
    Stop,
}

fn wants_terminal(signal: i32) -> bool {
    matches!(signal, libc::SIGTTIN | libc::SIGTTOU)
}

/// What to do when the agent was stopped by `signal`.
pub(crate) fn decide(signal: i32, foreground: Foreground) -> OnStop {
    match foreground {
        Foreground::Ours | Foreground::Inside if wants_terminal(signal) => OnStop::HandOver,
        Foreground::Agents if wants_terminal(signal) => OnStop::Continue,
        _ => OnStop::Stop,
    }
}

/// The signal of a key that ended the agent and, without us, would have reached our whole group: a script that waits for
/// us would go on otherwise, because a shell takes SIGINT for a key only if it has got it as well.
pub(crate) fn key_that_ended(exit: Exit, foreground: Foreground) -> Option<i32> {
    match exit {
        Exit::Signal(signal @ (libc::SIGINT | libc::SIGQUIT)) if foreground == Foreground::Agents => Some(signal),
        _ => None,
    }
}

/// The caller's terminal, if there is one.
#[derive(Debug)]
pub(crate) struct Terminal {
    device: Option<OwnedFd>,
    ours: Pid,
    agents: Option<Pid>,
    /// Terminal modes of the caller.
    modes: Option<Termios>,
    /// Terminal modes of the agent when it was stopped.
    agents_modes: Option<Termios>,
    /// The agent has the foreground by our doing.
    handed: bool,
    /// It has had it at some time.
    was_handed: bool,
}

/// The controlling terminal: by its own name, or (where a container has no /dev/tty) as a standard descriptor.
fn controlling_terminal() -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(tty) = rustix::fs::open("/dev/tty", flags, Mode::empty()) {
        return Some(tty);
    }
    let duplicate = |fd: std::io::Result<OwnedFd>| fd.ok().filter(|fd| tcgetpgrp(fd).is_ok());
    duplicate(stdin().as_fd().try_clone_to_owned())
        .or_else(|| duplicate(stdout().as_fd().try_clone_to_owned()))
        .or_else(|| duplicate(stderr().as_fd().try_clone_to_owned()))
}

impl Terminal {
    /// Finds the controlling terminal and remembers its modes.
    pub(crate) fn open() -> Self {
        let device = controlling_terminal();
        Self {
            modes: device.as_ref().and_then(|tty| tcgetattr(tty).ok()),
            device,
            ours: getpgrp(),
            agents: None,
            agents_modes: None,
            handed: false,
            was_handed: false,
        }
    }

    /// Who has the foreground now.
    pub(crate) fn foreground(&self) -> Foreground {
        match self.device.as_ref().and_then(|tty| tcgetpgrp(tty).ok()) {
            Some(group) if group == self.ours => Foreground::Ours,
            group @ Some(_) if group == self.agents => Foreground::Agents,
            Some(_) if self.handed => Foreground::Inside,
            _ => Foreground::Others,
        }
    }

    fn give(&mut self) {
        if let (Some(tty), Some(agents)) = (&self.device, self.agents)
            && tcsetpgrp(tty, agents).is_ok()
        {
            self.handed = true;
            self.was_handed = true;
        }
    }

    fn take_back(&mut self) {
        if let Some(tty) = &self.device {
            let _ = tcsetpgrp(tty, self.ours);
        }
        self.handed = false;
    }

    fn set_modes(&self, modes: Option<&Termios>) {
        if let (Some(tty), Some(modes)) = (&self.device, modes) {
            // What no mode says: output stopped by tcflow(3), which Ctrl-Q does not undo, and a terminal that nobody
            // else may open.
            let _ = tcflow(tty, Action::OOn);
            let _ = ioctl_tiocnxcl(tty);
            let _ = tcsetattr(tty, OptionalActions::Drain, modes);
        }
    }

    /// The agent waits in `group`: gives it the terminal if it is the one to have it from the start.
    pub(crate) fn ready(&mut self, group: i32) {
        self.agents = Pid::from_raw(group).filter(|g| g.as_raw_nonzero().get() > 1);
        // Only the controlling terminal has a foreground group for us.
        let both = tcgetpgrp(stdin()).is_ok() && tcgetpgrp(stdout()).is_ok();
        if both && self.foreground() == Foreground::Ours {
            self.give();
        }
    }

    /// Gives the agent the foreground because it asked for it.
    pub(crate) fn hand_over(&mut self) {
        self.give();
    }

    /// The agent stopped and we are about to: the terminal is the caller's. Returns whether the agent had it.
    pub(crate) fn before_stop(&mut self) -> bool {
        let had = matches!(self.foreground(), Foreground::Agents | Foreground::Inside);
        if had {
            self.agents_modes = self.device.as_ref().and_then(|tty| tcgetattr(tty).ok());
            self.take_back();
            self.set_modes(self.modes.as_ref());
        }
        had
    }

    /// We were continued after a stop by `signal`: in the foreground the agent gets back what it `had`.
    pub(crate) fn after_stop(&mut self, signal: i32, had: bool) {
        if self.foreground() != Foreground::Ours || !(had || wants_terminal(signal)) {
            return;
        }
        if let Some(agents) = self.agents_modes.take() {
            // The caller may have changed them in the meantime, with stty.
            self.modes = self.device.as_ref().and_then(|tty| tcgetattr(tty).ok());
            self.set_modes(Some(&agents));
        }
        self.give();
    }

    /// Somebody continued us without our having stopped for the agent (a SIGSTOP, which nobody can catch): the shell may
    /// have taken the terminal, or given it to our group again.
    pub(crate) fn continued(&mut self) {
        match self.foreground() {
            Foreground::Ours if self.handed => self.give(),
            Foreground::Agents | Foreground::Ours => {}
            Foreground::Inside | Foreground::Others => self.handed = false,
        }
    }

    /// The agent is gone: foreground, modes and input as they were. `killed` says that it had no time to read its input.
    pub(crate) fn restore(&mut self, killed: bool) {
        let Some(tty) = self.device.as_ref().filter(|_| self.was_handed) else {
            return;
        };
        // A group inside may be gone already, with the terminal left to nobody.
        let nobodys = tcgetpgrp(tty).is_ok_and(|group| test_kill_process_group(group).is_err());
        if nobodys || matches!(self.foreground(), Foreground::Agents | Foreground::Inside) {
            self.take_back();
        }
        if self.foreground() != Foreground::Ours {
            return;
        }
        self.set_modes(self.modes.as_ref());
        if let Some(tty) = self.device.as_ref().filter(|_| killed) {
            let _ = tcflush(tty, QueueSelector::IFlush);
        }
    }

    /// Whether it is a terminal that nobody has taken out of line mode.
    pub(crate) fn is_in_line_mode(&self) -> bool {
        let modes = self.device.as_ref().and_then(|device| tcgetattr(device).ok());
        modes.is_some_and(|modes| modes.local_modes.contains(LocalModes::ICANON))
    }

    /// Whether the agent has the terminal, so that a line of ours would fall into its picture.
    pub(crate) fn is_agents(&self) -> bool {
        self.handed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_wants_the_terminal_gets_it_only_while_it_is_ours_to_give() {
        for signal in [libc::SIGTTIN, libc::SIGTTOU] {
            assert_eq!(decide(signal, Foreground::Ours), OnStop::HandOver);
            assert_eq!(decide(signal, Foreground::Inside), OnStop::HandOver);
            assert_eq!(decide(signal, Foreground::Agents), OnStop::Continue);
            assert_eq!(decide(signal, Foreground::Others), OnStop::Stop);
        }
    }

    #[test]
    fn a_stop_key_stops_us_whoever_has_the_terminal() {
        for foreground in [Foreground::Ours, Foreground::Inside, Foreground::Agents, Foreground::Others] {
            assert_eq!(decide(libc::SIGTSTP, foreground), OnStop::Stop);
            assert_eq!(decide(libc::SIGSTOP, foreground), OnStop::Stop);
        }
    }

    #[test]
    fn only_a_key_that_ended_an_agent_in_the_foreground_is_for_our_group_too() {
        for signal in [libc::SIGINT, libc::SIGQUIT] {
            assert_eq!(key_that_ended(Exit::Signal(signal), Foreground::Agents), Some(signal));
            // The kernel has told our group itself, or nobody has pressed a key.
            for foreground in [Foreground::Ours, Foreground::Others, Foreground::Inside] {
                assert_eq!(key_that_ended(Exit::Signal(signal), foreground), None);
            }
        }
        for exit in [Exit::Signal(libc::SIGTERM), Exit::Signal(libc::SIGKILL), Exit::Code(130)] {
            assert_eq!(key_that_ended(exit, Foreground::Agents), None);
        }
    }
}
