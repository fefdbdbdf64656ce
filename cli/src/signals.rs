//! Signals of a run, as events. All that we forward are blocked from before the helper starts, so none can come in a
//! bad moment; they are read from a descriptor in the same loop as the helper's messages.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::sys;

/// What the agent gets when we get it. Job control and terminal signals come to us while our process group has the
/// foreground, the others when somebody sends them to the process that they started.
const FORWARDED: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGHUP,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// The signals of this process, blocked and readable.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    at_start: SigSet,
}

impl Signals {
    /// Blocks what is forwarded, except what was ignored when we were started (`nohup`, `&` in scripts): that stays
    /// ignored. SIGTTOU is blocked too, because we set the terminal's foreground group from the background.
    pub(crate) fn block() -> io::Result<Self> {
        let mut readable = SigSet::empty();
        for signal in FORWARDED {
            if signal == Signal::SIGCONT || !sys::is_ignored(signal as i32) {
                readable.add(signal);
            }
        }
        let descriptor = SignalFd::with_flags(&readable, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let at_start = SigSet::thread_get_mask()?;
        readable.add(Signal::SIGTTOU);
        readable.thread_block()?;
        Ok(Self { descriptor, at_start })
    }

    /// The mask before any was blocked.
    pub(crate) fn at_start(&self) -> SigSet {
        self.at_start
    }

    /// What came since the last call.
    pub(crate) fn take(&self) -> Vec<i32> {
        let mut came = Vec::new();
        while let Ok(Some(info)) = self.descriptor.read_signal() {
            came.extend(i32::try_from(info.ssi_signo));
        }
        came
    }

    /// Sends a signal to our process group, as the terminal would have done. For us it is blocked, or ignored.
    pub(crate) fn tell_group(&self, signal: i32) {
        if let Ok(signal) = Signal::try_from(signal) {
            let _ = kill(Pid::from_raw(0), signal);
        }
    }

    /// Stops this process as `signal` stopped the agent, and with it the rest of our process group where the terminal
    /// would have stopped it. Returns, after somebody continued us, whether we were stopped at all: the kernel lets no
    /// terminal stop an orphaned process group, and a signal that was ignored at our start stays ignored.
    ///
    /// A stop signal that is generated removes a pending SIGCONT and the reverse (signal(7)), so the SIGCONT that is
    /// pending afterwards is the one that continued us.
    pub(crate) fn stop(&self, signal: i32) -> (bool, Vec<i32>) {
        let signal = Signal::try_from(signal).unwrap_or(Signal::SIGSTOP);
        // SIGSTOP never comes from a terminal: only the one process that it was sent to is to stop.
        let whom = if signal == Signal::SIGSTOP { Pid::this() } else { Pid::from_raw(0) };
        let _ = kill(whom, signal);
        let mut only = SigSet::empty();
        only.add(signal);
        let _ = only.thread_unblock();
        if signal != Signal::SIGTTIN {
            let _ = only.thread_block();
        }
        let (continued, rest) = self.take().into_iter().partition::<Vec<i32>, _>(|s| *s == libc::SIGCONT);
        (!continued.is_empty(), rest)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
