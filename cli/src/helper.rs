//! The helper: where it is, how it is started, and the conversation with it.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::time::Duration;

use agent_aws_plan::Plan;
use agent_aws_protocol::{
    Ask, Channel, ChannelError, CliToHelper, EnvVar, FrameError, HelperToCli, Prepared, Request, encode,
};
use nix::errno::Errno;
use nix::spawn::{PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

use crate::failure::Failure;
use crate::spawn;

const NAME: &str = "agent-aws-helper";
/// Number of the helper's end of the channel.
const CHANNEL: i32 = 3;
/// How long one frame may take, once it has begun.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the helper may take to clean up after its last message, in seconds.
const CLEANUP_SECONDS: i64 = 5;

/// Where the helper must be: beside the directory of this very program, not of a link to it, and nowhere that the
/// environment could name.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    if let Some(directory) = option_env!("AGENT_AWS_LIBEXEC") {
        return Ok(PathBuf::from(directory).join(NAME));
    }
    let own = std::env::current_exe()
        .and_then(|exe| exe.canonicalize())
        .map_err(|e| Failure::Os("cannot find the directory of this program", e))?;
    let prefix = own.parent().and_then(|bin| bin.parent()).unwrap_or(&own);
    Ok(prefix.join("libexec/agent-aws").join(NAME))
}

/// A helper that runs and has been asked nothing yet.
#[derive(Debug)]
pub(crate) struct Helper {
    pub(crate) channel: Channel,
    /// What it was given as standard output, if that is ours to read.
    pub(crate) output: Option<ChildStdout>,
    child: Pid,
}

impl Helper {
    /// Starts the helper with the command as its own arguments. It gets a process group of its own: keys and stops of
    /// the terminal are for the agent, and the session must go on being looked after while its job is stopped.
    pub(crate) fn start(command: &[OsString], stdout: Output, mask: SigSet) -> Result<Self, Failure> {
        let path = path()?;
        let (output, stdout) = stdout.open().map_err(|e| Failure::Os("cannot make a pipe", e.into()))?;
        let (ours, theirs) = Channel::pair().map_err(|e| Failure::Os("cannot make a socket pair", e.into()))?;
        let child = spawn(&path, command, &theirs, stdout.as_ref(), mask);
        let child = child.map_err(|e| Failure::HelperStart(path, e.into()))?;
        Ok(Self { channel: Channel::new(ours, PATIENCE), output, child })
    }

    /// Asks. There is one request in a conversation.
    pub(crate) fn ask(&self, request: Request) -> Result<(), Failure> {
        self.tell(&CliToHelper::Request(request))
    }

    /// Says something that may be too large for a message.
    pub(crate) fn tell(&self, message: &CliToHelper) -> Result<(), Failure> {
        if let Err(FrameError::TooLarge(size)) = encode(message, 0) {
            return Err(too_large(message, size));
        }
        match self.channel.send(message) {
            // It has refused us before it read anything: its answer waits.
            Ok(()) | Err(ChannelError::Closed) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The next message, waited for as long as it takes.
    pub(crate) fn next(&mut self) -> Result<HelperToCli, Failure> {
        match self.channel.receive(None) {
            Ok(received) => Ok(received.message),
            Err(ChannelError::Closed) => Err(self.gone()),
            Err(e) => Err(e.into()),
        }
    }

    /// Why the helper is silent.
    pub(crate) fn gone(&mut self) -> Failure {
        self.wait();
        Failure::HelperGone(self.reap().map(|s| match (s.terminating_signal(), s.exit_status()) {
            (Some(signal), _) => format!("killed by signal {signal}"),
            (None, code) => format!("exit status {}", code.unwrap_or(-1)),
        }))
    }

    /// How it ended, if it did and nobody has asked before.
    fn reap(&self) -> Option<WaitStatus> {
        waitpid(Some(self.child), WaitOptions::NOHANG).ok().flatten().map(|(_, status)| status)
    }

    /// Waits until the helper has put everything away and is gone itself.
    fn wait(&self) {
        wait_for(self.pidfd());
    }

    /// Everything until the end of an answer, piece by piece.
    fn answer(&mut self, each: &mut impl FnMut(HelperToCli) -> Result<(), Failure>) -> Result<(), Failure> {
        loop {
            match self.next()? {
                HelperToCli::Done => return Ok(()),
                HelperToCli::Refused(refusal) => return Err(Failure::Refused(refusal)),
                HelperToCli::Notice(text) => crate::say::line(&text),
                message => each(message)?,
            }
        }
    }

    /// Leaves the conversation, so that the helper ends what it may still be doing, and waits for its end.
    pub(crate) fn close_and_wait(self) {
        let Self { channel, child, .. } = self;
        let pidfd = pidfd_open(child, PidfdFlags::empty()).ok();
        drop(channel);
        wait_for(pidfd);
        // Reaped by us: pid 1 of a container often reaps nobody.
        let _ = waitpid(Some(child), WaitOptions::NOHANG);
    }

    /// A descriptor that becomes readable when the helper is dead.
    pub(crate) fn pidfd(&self) -> Option<OwnedFd> {
        pidfd_open(self.child, PidfdFlags::empty()).ok()
    }
}

/// Where the helper's standard output, which is the agent's, goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Where ours goes.
    Ours,
    /// To us.
    Kept,
    /// Nowhere.
    Nowhere,
}

impl Output {
    /// What is ours to read, and what is the helper's.
    fn open(self) -> Result<(Option<ChildStdout>, Option<OwnedFd>), rustix::io::Errno> {
        match self {
            Self::Ours => Ok((None, None)),
            Self::Kept => pipe_with(PipeFlags::CLOEXEC).map(|(ours, theirs)| (Some(ours.into()), Some(theirs))),
            Self::Nowhere => {
                openat(CWD, "/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map(|null| (None, Some(null)))
            }
        }
    }
}

/// In a process group of its own, with the channel as descriptor 3 and no signal ignored.
fn spawn(
    path: &Path,
    command: &[OsString],
    channel: &OwnedFd,
    stdout: Option<&OwnedFd>,
    mask: SigSet,
) -> Result<Pid, Errno> {
    let separator = (!command.is_empty()).then_some(OsStr::new("--"));
    let words = [OsStr::new(NAME)].into_iter().chain(separator).chain(command.iter().map(OsString::as_os_str));
    let mut actions = PosixSpawnFileActions::init()?;
    stdout.map(|fd| actions.add_dup2(fd.as_raw_fd(), 1)).transpose()?;
    // Last: what has this number now may be the one above. The same number twice means: kept open (POSIX.1-2024).
    actions.add_dup2(channel.as_raw_fd(), CHANNEL)?;
    let mut attributes = spawn::attributes(mask, PosixSpawnFlags::POSIX_SPAWN_SETPGROUP)?;
    attributes.set_pgroup(nix::unistd::Pid::from_raw(0))?;
    let child = posix_spawn(path, &actions, &attributes, &spawn::words(words)?, &spawn::environment()?)?;
    Pid::from_raw(child.as_raw()).ok_or(Errno::ECHILD)
}

fn wait_for(pidfd: Option<OwnedFd>) {
    let timeout = Timespec { tv_sec: CLEANUP_SECONDS, tv_nsec: 0 };
    if let Some(pidfd) = pidfd {
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
    }
}

/// Asks one question and gives each piece of the answer to `each`.
pub(crate) fn question(
    request: Request,
    mut each: impl FnMut(HelperToCli) -> Result<(), Failure>,
) -> Result<(), Failure> {
    converse(&[], |helper| helper.ask(request).and_then(|()| helper.answer(&mut each)))
}

/// The plan of a run that is only to be explained.
pub(crate) fn plan(request: Request, command: &[OsString]) -> Result<Plan, Failure> {
    let mut bytes = Vec::new();
    converse(command, |helper| {
        helper.ask(request)?;
        loop {
            match helper.next()? {
                HelperToCli::Plan(piece) => bytes.extend(piece),
                HelperToCli::Prepare { .. } => helper.tell(&CliToHelper::Prepared(Prepared::default()))?,
                HelperToCli::Done => return Ok(()),
                HelperToCli::Refused(refusal) => return Err(Failure::Refused(refusal)),
                HelperToCli::Notice(_) => {}
                other => return Err(unexpected(&other)),
            }
        }
    })?;
    read_plan(&bytes)
}

fn converse(command: &[OsString], talk: impl FnOnce(&mut Helper) -> Result<(), Failure>) -> Result<(), Failure> {
    let mask = SigSet::thread_get_mask().map_err(|e| Failure::Os("cannot read the signal mask", e.into()))?;
    let mut helper = Helper::start(command, Output::Nowhere, mask)?;
    let answer = talk(&mut helper);
    helper.close_and_wait();
    answer
}

/// A plan from its pieces.
pub(crate) fn read_plan(bytes: &[u8]) -> Result<Plan, Failure> {
    postcard::from_bytes(bytes)
        .map_err(|e| Failure::Other(format!("the plan cannot be read: {e}"), Some("reinstall agent-aws".into())))
}

/// Blames the largest variable for a request that does not fit, or its size where there is none.
fn too_large(message: &CliToHelper, size: usize) -> Failure {
    let variables = match message {
        CliToHelper::Request(Request::Run(run)) => &run.own.environment,
        CliToHelper::Prepared(ready) => &ready.environment,
        _ => return Failure::Conversation(FrameError::TooLarge(size).into()),
    };
    match variables.iter().max_by_key(|v| v.value.len()) {
        Some(EnvVar { name, value }) => Failure::RequestTooLarge(OsString::from_vec(name.clone()), value.len()),
        None => Failure::Conversation(FrameError::TooLarge(size).into()),
    }
}

/// Whether an answer for `ask` can come from the caller's own AWS configuration.
pub(crate) fn may_be_own(ask: &Ask) -> bool {
    !matches!(ask, Ask::Named(_))
}

/// A message that has no place in an answer.
pub(crate) fn unexpected(message: &HelperToCli) -> Failure {
    let name = format!("{message:?}");
    let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
    Failure::Other(format!("the conversation with the helper broke: {name} was not expected"), None)
}
