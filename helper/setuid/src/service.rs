//! Starting a program of ours that serves a session: another uid, nothing inherited but its channels.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use agent_aws_protocol::Refusal;
use agent_aws_sandbox::{Failure, Ids, become_permanently, become_plumber, forbid_gaining_unprivileged};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::SigSet;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::child::Child;
use crate::confine::empty_root;
use crate::entry::{Entered, null};
use crate::refusal::installation;
use crate::sys;

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What it is and what it gets.
pub(crate) struct Service {
    /// Its name, which is its file's and its first argument.
    pub(crate) name: &'static str,
    /// Its file.
    pub(crate) program: OwnedFd,
    /// Whose ids it has; `None` keeps the caller's (no setuid bit).
    pub(crate) ids: Option<Ids>,
    /// More arguments.
    pub(crate) arguments: Vec<CString>,
    /// Its whole environment.
    pub(crate) environment: Vec<CString>,
    /// What it gets as descriptor 4, if that is known before it is started.
    pub(crate) channel: Option<OwnedFd>,
    /// How it is confined before it begins.
    pub(crate) manner: Manner,
}

/// What a service keeps of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The host's files, as its user may read them.
    Files,
    /// No file: an empty root, where we can make one.
    NoFiles,
    /// The capabilities to lay the pipes of the network namespace.
    Plumber,
}

/// Whose ids a service has that is not to be the caller: those of a system user of ours.
pub(crate) fn ids_of(entered: &Entered, user: Option<(u32, u32)>, name: &str) -> Result<Option<Ids>, Refusal> {
    match user {
        _ if !entered.mode.is_privileged() => Ok(None),
        Some((uid, gid)) if uid != 0 && gid != 0 && uid != entered.caller.uid => {
            Ok(Some(Ids { uid, gid, groups: Some(vec![]) }))
        }
        _ => Err(installation(
            format!("there is no usable user `{name}`"),
            "reinstall agent-aws, or run `make install` as root",
        )),
    }
}

impl Service {
    /// Starts it.
    pub(crate) fn start(&self, channel: Option<BorrowedFd<'_>>) -> Result<Child, Refusal> {
        let channel = channel.or(self.channel.as_ref().map(AsFd::as_fd));
        let null = null().map_err(|e| installation(format!("/dev/null: {e}"), "the machine is broken"))?;
        Child::start(format_args!("starting {}", self.name), None, PATIENCE, |socket| {
            let failure = self.become_it(&null, socket, channel);
            drop(failure);
            125
        })
    }

    /// In the child. Returns only with what kept it from becoming the service.
    fn become_it(&self, null: &OwnedFd, socket: OwnedFd, channel: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
        let os = |e: std::io::Error| Failure::plain("starting a service", e);
        // A process in the caller's group would get the signals of the caller's terminal.
        nix::unistd::setsid().map_err(|e| Failure::plain("setsid", e))?;
        for number in 0..=2 {
            sys::duplicate_to(null.as_fd(), number).map_err(os)?;
        }
        sys::duplicate_to(socket.as_fd(), sys::CHANNEL).map_err(os)?;
        // For what must not be swapped out. Who may not have it does with what there is.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, libc::RLIM_INFINITY, libc::RLIM_INFINITY);
        match (self.manner, &self.ids) {
            (Manner::Plumber, ids) => become_plumber(ids.as_ref())?,
            (manner, Some(ids)) => {
                if manner == Manner::NoFiles {
                    empty_root()?;
                }
                become_permanently(ids)?;
            }
            (_, None) => forbid_gaining_unprivileged()?,
        }
        rustix::process::chdir("/").map_err(|e| Failure::plain("chdir", e))?;
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| Failure::plain("PDEATHSIG", e))?;
        SigSet::empty().thread_set_mask().map_err(|e| Failure::plain("signal mask", e))?;
        // Its descriptor may have the number that the other channel is to have.
        let program = rustix::io::fcntl_dupfd_cloexec(&self.program, 5).map_err(|e| os(e.into()))?;
        if let Some(channel) = channel {
            sys::duplicate_to(channel, sys::CHANNEL + 1).map_err(os)?;
        }
        let name = CString::new(self.name).map_err(|e| Failure::plain("starting a service", e))?;
        let arguments: Vec<CString> = [name].into_iter().chain(self.arguments.iter().cloned()).collect();
        Err(os(sys::execute(program.as_fd(), &arguments, &self.environment)))
    }
}
