//! Between the CLI and the helper.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Access, Bytes, Narrowing};

/// A variable for the agent's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name, without `=`.
    pub name: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// Which identity a caller asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// An identity of the policy (`--as NAME`).
    Named(String),
    /// An AWS profile of the caller's own configuration (`--profile NAME`).
    Own(String),
    /// None given: the only one allowed, or a refusal that lists them.
    #[default]
    Unnamed,
}

/// Which second identity a caller asks for: the one with which the agent asks its model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelAsk {
    /// The one that the sandbox has, if it has one.
    #[default]
    OfSandbox,
    /// None.
    Without,
    /// This one.
    Asked(Ask),
}

/// What the broker of an own source needs of the caller's environment. It runs under the caller's uid, so nothing
/// here gives anybody more than they had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSource {
    /// Variables that tell where the caller's AWS configuration is and how to reach AWS.
    pub environment: Vec<EnvVar>,
}

/// Why a path is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Showing {
    /// The caller said so.
    Asked,
    /// It belongs to a tool of the caller's.
    Toolchain,
    /// It belongs to the settings of the agent that is run.
    Preset,
}

/// A path that is to be readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Absolute.
    pub path: Bytes,
    /// Why.
    pub why: Showing,
}

/// What the CLI made ready: nothing of it binds the caller, so nothing of it is the helper's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Paths in the caller's own home that are to be hidden: sockets, FIFOs, links to secret stores. Absolute.
    pub hide: Vec<Bytes>,
    /// The agent's whole environment.
    pub environment: Vec<EnvVar>,
    /// Its working directory.
    pub directory: Bytes,
    /// Files that it finds in the sandbox's own /run: absolute path, content.
    pub files: Vec<(Bytes, Bytes)>,
}

/// Everything a run is asked to be. A caller's options only narrow what policy gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// Which identity.
    pub identity: Ask,
    /// Which sandbox, where policy offers several.
    pub sandbox: Option<String>,
    /// `none`, `filtered` or `shared`; never wider than the sandbox's.
    pub network: Option<String>,
    /// Names, networks and presets that the session is narrowed to; empty: it is not.
    pub allow_names: Vec<String>,
    /// Ports of the agent's loopback to publish on the host's.
    pub publish: Vec<u16>,
    /// `read` or `read-metadata`; never wider than the identity's.
    pub access: Option<Access>,
    /// Actions that the session is denied besides those of the policy, in IAM's words.
    pub deny_actions: Vec<String>,
    /// The project directory, absolute; empty for none.
    pub project: Bytes,
    /// More writable paths, absolute.
    pub rw: Vec<Bytes>,
    /// More readable paths, absolute.
    pub ro: Vec<Shown>,
    /// The git directory that a worktree shares with its repository, absolute; empty for none.
    pub repository: Bytes,
    /// Rows of the project's table that shall be writable.
    pub lift: Vec<String>,
    /// Which of the agent's homes: `None` is the one called `default`.
    pub home: Option<String>,
    /// AWS region for the agent, over the identity's own.
    pub region: Option<String>,
    /// Which identity the agent asks its model with.
    pub model: ModelAsk,
    /// Where that model is, over what policy says.
    pub model_region: Option<String>,
    /// For an own source.
    pub own: OwnSource,
    /// Start the agent only after the first mint.
    pub wait: bool,
    /// Print the plan, do nothing.
    pub explain: bool,
    /// The caller knows that it is root.
    pub allow_root: bool,
    /// No sandbox and no agent: the one door is a socket of the caller's, which [`CliToHelper::Door`] brings.
    pub serve: bool,
}

/// What `policy explain` asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyQuestion {
    /// Which identity.
    pub identity: Ask,
    /// Which sandbox.
    pub sandbox: Option<String>,
}

/// The one request of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Run the command that follows `--` in the helper's argv.
    Run(Box<RunRequest>),
    /// What may the caller use?
    Identities {
        /// The caller knows that it is root.
        allow_root: bool,
    },
    /// The running sessions of the caller (of everybody, for root).
    Sessions,
    /// End the session with this id.
    Stop(String),
    /// Why may the caller use an identity, or not?
    Policy(PolicyQuestion),
    /// What the privileged side sees of its own installation.
    Doctor,
}

/// From the CLI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CliToHelper {
    /// First message, and only once.
    Request(Request),
    /// Done as [`HelperToCli::Prepare`] says.
    Prepared(Prepared),
    /// Follows [`CliToHelper::Prepared`] where a session is to begin: of the caller's next sources of the plan, whether
    /// something is there. It comes along, opened with O_PATH.
    Opened(Vec<bool>),
    /// Follows [`CliToHelper::Prepared`] where nothing but a door is asked for: a listening Unix socket comes along.
    Door,
    /// The terminal is the agent's: begin. Answer to [`HelperToCli::Ready`].
    Begin,
    /// Send this signal to the agent's process group.
    Signal(i32),
}

/// Why nothing was run, for scripts; the text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureCode {
    /// Policy does not grant it (or there is no such thing: the same answer).
    NotGranted,
    /// The request makes no sense: ambiguous, or a bad path, name or value.
    BadRequest,
    /// Policy cannot be read or has errors.
    Policy,
    /// The helper is not installed or not started as it must be.
    Installation,
    /// The kernel lacks or refused something that the plan needs.
    Kernel,
    /// No credentials could be had.
    Credentials,
    /// The command is not there.
    CommandNotFound,
    /// The command is there and cannot be executed.
    CommandNotExecutable,
    /// The session was ended: revoked, stopped, or a part of it died.
    Ended,
}

impl FailureCode {
    /// The exit status that the CLI ends with.
    pub fn status(self) -> u8 {
        match self {
            Self::CommandNotFound => 127,
            Self::CommandNotExecutable => 126,
            _ => 125,
        }
    }
}

/// A refusal or failure, in words for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind.
    pub code: FailureCode,
    /// What was refused, on what, and why.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// Id of the audit record an admin can look up.
    pub audit: Option<String>,
}

/// A session that stands. What policy made of it is in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Session id: 16 hex digits.
    pub session: String,
    /// AWS account id, once minted.
    pub account: Option<String>,
    /// ARN of the assumed role or of the caller identity, once minted.
    pub arn: Option<String>,
    /// End of the STS session, seconds since 1970, once minted.
    pub expires: Option<u64>,
}

/// How the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
}

/// One identity that the caller may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityOffer {
    /// Its name; `own:*` stands for every AWS profile of the caller.
    pub name: String,
    /// Role ARN, for identities of the policy.
    pub role: Option<String>,
    /// `full`, `read` or `read-metadata`.
    pub access: String,
    /// Sandboxes in which it may be used.
    pub sandboxes: Vec<String>,
}

/// One running session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Session id.
    pub id: String,
    /// Real uid of the caller.
    pub uid: u32,
    /// Identity.
    pub identity: String,
    /// Sandbox.
    pub sandbox: String,
    /// Start, seconds since 1970.
    pub started: u64,
    /// First argument of the command.
    pub command: Bytes,
    /// How its credentials fare.
    pub credentials: Fare,
    /// The identity that its model is asked with, if it is another one, and how those credentials fare.
    pub model: Option<(String, Fare)>,
}

/// How the credentials of a session fare. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fare {
    /// End of the last ones.
    pub expires: Option<u64>,
    /// When they were minted.
    pub refreshed: Option<u64>,
    /// The last failure after that, and when.
    pub failed: Option<(u64, String)>,
}

/// What a session of an identity would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Role to assume, if policy says which.
    pub role: Option<String>,
    /// What a session shall lose of it.
    pub narrowing: Narrowing,
    /// What kind of source it has.
    pub source: String,
}

/// From the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperToCli {
    /// Nothing was run, or the session was ended before its time. The last message.
    Refused(Refusal),
    /// Something the caller should know once.
    Notice(String),
    /// The command or the working directory cannot be used; the last message.
    NotExecuted {
        /// The operating system's error number.
        errno: i32,
        /// Whether it was the working directory.
        directory: bool,
    },
    /// The gateway refused something.
    Blocked {
        /// The name, or the address, escaped.
        name: String,
        /// The port; 0 for a question for the name.
        port: u16,
        /// Which rule refused it, and what to do.
        why: String,
        /// How often since this was last said.
        count: u32,
    },
    /// A piece of the plan, an explanation or a report; pieces follow each other until [`HelperToCli::Done`].
    Text(String),
    /// To an explanation of what is granted.
    Granted(Box<Granted>),
    /// Answer to `Identities`.
    Identities(Vec<IdentityOffer>),
    /// Answer to `Sessions`.
    Sessions(Vec<SessionRow>),
    /// The answer is complete. The last message.
    Done,
    /// A piece of the plan, in postcard; pieces follow each other until [`HelperToCli::Prepare`].
    Plan(Bytes),
    /// Make ready what the plan says of the home, then answer [`CliToHelper::Prepared`]. With `--explain` nothing is to
    /// be made, and [`HelperToCli::Done`] follows.
    Prepare {
        /// Number of the inherited door in the agent.
        door: i32,
    },
    /// The session stands.
    Started(Started),
    /// The agent waits in its own process group: give it the terminal, then answer [`CliToHelper::Begin`].
    Ready {
        /// Process group of the agent, in the caller's pid namespace.
        group: i32,
    },
    /// The agent was stopped by this signal.
    Stopped(i32),
    /// The agent ended. The last message.
    Ended(Exit),
}
