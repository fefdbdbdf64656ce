//! What a policy defines: sources, identities, sandboxes.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_aws_protocol::Narrowing;
use serde::{Deserialize, Serialize};

use crate::Reach;

/// Gives an enum of fixed words its list, its `as_str` and its `Display`.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every word of the policy language for it, and what it means.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word of the policy language for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The meaning of a word of the policy language.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// Where a definition or rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The file, as it was called when it was read.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where the credentials that assume a role come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// A file in the format of AWS's shared credentials file, readable by root only.
    ProfileFile {
        /// Absolute, without `..`.
        path: PathBuf,
        /// The AWS profile in it.
        profile: String,
    },
    /// A program that prints them, as AWS's `credential_process` has it. Run under the broker's uid.
    Process {
        /// Absolute, without `..`.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// A token with which a role is assumed, readable by root only.
    WebIdentity {
        /// Absolute, without `..`.
        token: PathBuf,
        /// The role's ARN.
        role: String,
    },
    /// The role of this machine, by EC2's metadata service.
    Instance,
    /// The role of this container, by the endpoint of ECS or EKS.
    Container {
        /// Where it answers.
        uri: String,
        /// The file of its token, readable by root only.
        token: Option<PathBuf>,
    },
}

impl SourceKind {
    /// The file that it takes, and whether that is secret and read, rather than executed.
    pub fn file(&self) -> Option<(&Path, bool)> {
        match self {
            Self::ProfileFile { path: token, .. } | Self::WebIdentity { token, .. } => Some((token, true)),
            Self::Process { program, .. } => Some((program, false)),
            Self::Container { token, .. } => token.as_deref().map(|token| (token, true)),
            Self::Instance => None,
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProfileFile { .. } => "profile file",
            Self::Process { .. } => "credential process",
            Self::WebIdentity { .. } => "web identity",
            Self::Instance => "instance role",
            Self::Container { .. } => "container credentials",
        })
    }
}

/// `[source.NAME]`: credentials of the machine, which the caller never sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where its credentials are.
    pub kind: SourceKind,
    /// The region whose STS is asked; without one, that of the identity.
    pub region: Option<String>,
    /// An STS endpoint other than the region's own: https, or http to loopback. Without user, query or fragment.
    pub sts_endpoint: Option<String>,
    /// Whether the region's FIPS endpoint of STS is asked.
    pub fips: bool,
    /// Whether its endpoint for IPv4 and IPv6 is.
    pub dual_stack: bool,
    /// Where it is defined.
    pub position: Position,
}

/// How much CloudTrail will say about who was behind a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Attribution {
    /// SourceIdentity, session tags and session name. The role's trust policy must allow the first two.
    Full,
    /// The session name only.
    Name,
}
words!(Attribution { Full => "full", Name => "name" });

/// What the agent finds as its home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Home {
    /// A lasting one of its own.
    Agent,
    /// The caller's, without its secret stores, and nothing in it can be changed.
    RealReadOnly,
    /// The caller's, without its secret stores.
    Real,
}
words!(Home { Agent => "agent", RealReadOnly => "real-read-only", Real => "real" });

/// What a session may use up. `None` is not asked for: the default then, as far as the kernel can give it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// Sessions of one user in this sandbox at once.
    pub sessions: Option<u64>,
    /// How long a session may last while the machine is awake.
    pub time: Option<Duration>,
}

/// How much network a sandbox has. Orders from narrow to wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Network {
    /// Only the credential door.
    None,
    /// A network of its own, whose every connection and name goes through the gateway.
    Filtered,
    /// The host's.
    Shared,
}
words!(Network { None => "none", Filtered => "filtered", Shared => "shared" });

/// Something that a sandbox may lack where the kernel cannot give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Waiver {
    /// Landlock's scopes (signals and abstract sockets; kernel 6.12).
    LandlockScopes,
    /// All of Landlock.
    Landlock,
}
words!(Waiver { LandlockScopes => "landlock-scopes", Landlock => "landlock" });

/// `[identity.NAME]`: an AWS role that an agent may act as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The role's ARN: `arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME`.
    pub role: String,
    /// Name of the source whose credentials assume it. Whoever read the policy has made sure that there is one.
    pub source: String,
    /// The agent's region. It or the source's is there.
    pub region: Option<String>,
    /// How long each STS session lasts; 15 minutes to 12 hours.
    pub duration: Duration,
    /// What a session shall lose of the role.
    pub narrowing: Narrowing,
    /// What is said about the caller.
    pub attribution: Attribution,
    /// AWS profile names that mean this identity inside.
    pub aliases: Vec<String>,
    /// The external id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Where it is defined.
    pub position: Position,
}

/// A path of `rw-paths`. No `.`, `..`, empty component or trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BoundPath {
    /// An absolute path.
    Absolute(PathBuf),
    /// The caller's home (`~`), or the path below it (`~/src` is `src`).
    Home(PathBuf),
}

impl BoundPath {
    /// The path for a caller with this home. Compares nothing and follows nothing.
    pub fn resolve(&self, home: &Path) -> PathBuf {
        match self {
            Self::Absolute(path) => path.clone(),
            Self::Home(below) if below.as_os_str().is_empty() => home.to_owned(),
            Self::Home(below) => home.join(below),
        }
    }
}

impl fmt::Display for BoundPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(path) => write!(f, "{}", path.display()),
            Self::Home(below) if below.as_os_str().is_empty() => f.write_str("~"),
            Self::Home(below) => write!(f, "~/{}", below.display()),
        }
    }
}

/// `[sandbox.NAME]`: a set of limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its name.
    pub name: String,
    /// The agent's home.
    pub home: Home,
    /// The widest network that a session here may have.
    pub network: Network,
    /// What that network reaches; presets by their words.
    pub reach: Reach,
    /// Ports of the agent's loopback that a caller may have published on the host's.
    pub publish: Vec<RangeInclusive<u16>>,
    /// Bounds of the project and of writable paths.
    pub rw_paths: Vec<BoundPath>,
    /// Whether an agent may build sandboxes of its own inside (user namespaces).
    pub nesting: bool,
    /// Whether an agent may trace its own processes.
    pub debug: bool,
    /// Whether one identity's agent may have a home that another identity's agent has too.
    pub share_homes: bool,
    /// Rows of the project's table that a caller may ask to be writable; `*` for all.
    pub may_lift: Vec<String>,
    /// What of the host is not there, beside the tables.
    pub hide: Vec<BoundPath>,
    /// What a session may use up.
    pub limits: Limits,
    /// What may be missing.
    pub waive: Vec<Waiver>,
    /// Name of the identity with which every agent here asks its model. Whoever read the policy has made sure that there is
    /// one.
    pub model_identity: Option<String>,
    /// Where that model is, if not where that identity is.
    pub model_region: Option<String>,
    /// Where it is defined.
    pub position: Position,
}
