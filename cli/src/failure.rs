//! Why nothing came of it, in words for the caller.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_protocol::{ChannelError, Exit, FailureCode, Refusal};

use crate::command::doctor;
use crate::{say, sys};

/// Exit status of everything that agent-aws itself could not or would not do.
const OURS: u8 = 125;

/// What failed, on what, and the operating system's word where there is one.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The helper refused, or the session was ended.
    Refused(Refusal),
    /// The helper's program cannot be executed.
    HelperStart(PathBuf, io::Error),
    /// The helper went away without an answer; how it ended, where that is known.
    HelperGone(Option<String>),
    /// The conversation with the helper broke.
    Conversation(ChannelError),
    /// The request does not fit into one message; the largest variable is to blame.
    RequestTooLarge(OsString, usize),
    /// The working directory has no path.
    WorkingDirectory(io::Error),
    /// A path of the caller's cannot be used.
    Path(PathBuf, io::Error),
    /// An option makes no sense: what, and what to do.
    Option(String, &'static str),
    /// The caller's configuration file has an error: place and text.
    Config(String),
    /// A system call that should not fail did.
    Os(&'static str, io::Error),
    /// Standard output took nothing more.
    Output(io::Error),
    /// Something else was not as it must be: what, and what to do.
    Other(String, Option<String>),
    /// Everything was said already.
    Said(u8),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => match &refusal.audit {
                Some(audit) => write!(f, "{} (audit id {audit})", refusal.text),
                None => f.write_str(&refusal.text),
            },
            Self::HelperStart(path, e) => write!(f, "cannot start the helper {}: {e}", path.display()),
            Self::HelperGone(Some(how)) => write!(f, "the helper ended without an answer ({how})"),
            Self::HelperGone(None) => f.write_str("the helper ended without an answer"),
            Self::Conversation(e) => write!(f, "the conversation with the helper broke: {e}"),
            Self::RequestTooLarge(name, size) => write!(
                f,
                "the request is over the limit of {} bytes; the largest variable is {} with {size}",
                agent_aws_protocol::MAX_PAYLOAD,
                name.display()
            ),
            Self::WorkingDirectory(e) => write!(f, "the working directory cannot be named: {e}"),
            Self::Path(path, e) => write!(f, "{}: {e}", path.display()),
            Self::Config(text) | Self::Option(text, _) | Self::Other(text, _) => f.write_str(text),
            Self::Os(what, e) => write!(f, "{what}: {e}"),
            Self::Output(e) => write!(f, "cannot write to standard output: {e}"),
            Self::Said(_) => Ok(()),
        }
    }
}

impl From<ChannelError> for Failure {
    fn from(e: ChannelError) -> Self {
        match e {
            ChannelError::Closed => Self::HelperGone(None),
            e => Self::Conversation(e),
        }
    }
}

impl Failure {
    /// What to do about it.
    fn advice(&self) -> Option<Cow<'_, str>> {
        let fixed: Option<&str> = match self {
            Self::Refused(Refusal { code: FailureCode::Kernel, advice: None, .. }) => {
                return Some(doctor::advice_on_kernel().into());
            }
            Self::Refused(refusal) => refusal.advice.as_deref(),
            Self::HelperStart(_, e) if e.kind() == io::ErrorKind::NotFound => {
                Some("agent-aws is not installed completely: run make install, or install the package again")
            }
            Self::HelperStart(_, e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Some("ask your administrator who may execute the helper, or run make install again")
            }
            Self::HelperGone(_) => Some("agent-aws doctor looks for the cause"),
            Self::RequestTooLarge(..) => Some("unset it for this command: env -u NAME agent-aws run ..."),
            Self::WorkingDirectory(_) => Some("it may have been deleted: change to one that exists"),
            Self::Option(_, advice) => Some(advice),
            Self::Other(_, advice) => advice.as_deref(),
            _ => None,
        };
        fixed.map(Cow::Borrowed)
    }

    /// Says it on standard error and returns the exit status.
    pub(crate) fn report(self) -> ExitCode {
        if let Self::Output(e) = &self
            && e.kind() == io::ErrorKind::BrokenPipe
        {
            // A reader that has seen enough ends us as it ends any other program, without words.
            sys::end_as(Exit::Signal(libc::SIGPIPE));
        }
        match &self {
            Self::Said(_) => {}
            _ => say::failure(&self.to_string(), self.advice().as_deref()),
        }
        match self {
            Self::Refused(refusal) => ExitCode::from(refusal.code.status()),
            Self::Said(status) => ExitCode::from(status),
            _ => ExitCode::from(OURS),
        }
    }
}
