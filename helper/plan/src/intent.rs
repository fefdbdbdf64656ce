//! What a plan consists of.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::build::Grant;

/// Words for people: constants here, owned where a plan was read from a message.
pub type Text = Cow<'static, str>;

/// Who ran the CLI, by real uid, and what the user database says of that uid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Real uid.
    pub uid: u32,
    /// Real gid.
    pub gid: u32,
    /// Login name; the uid in digits if the database has none.
    pub login: String,
    /// Home directory by the database.
    pub home: PathBuf,
    /// Login shell by the database.
    pub shell: PathBuf,
}

/// How the agent may access something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read and execute.
    Read,
    /// Read, execute, change.
    Write,
    /// Nothing: it looks empty.
    Hidden,
}

/// Who asked for an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A row of a data table of this crate.
    Table(Text),
    /// The sandbox of the policy.
    Sandbox,
    /// The caller's project.
    Project,
    /// The repository of which the project is a worktree.
    Repository,
    /// An option of the caller.
    Caller(Text),
    /// Something of the caller's that the CLI shows by itself: a toolchain, settings of the agent.
    Tool(Text),
}

/// Index of a source in [`Plan::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceId(pub usize);

/// With whose rights a host path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opener {
    /// A constant path of the system.
    Root,
    /// A path that the caller chose or owns: opened by the CLI, with the caller's rights.
    Caller,
    /// A program of our own installation, beside the helper.
    Ours,
}

/// Something of the host that the plan needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Absolute path on the host; for [`Opener::Ours`] the name beside the helper.
    pub path: PathBuf,
    /// With whose rights.
    pub opener: Opener,
    /// A missing optional source is left out of the sandbox; a missing required one is a refusal.
    pub required: bool,
    /// Whether a last component that is a symbolic link is taken as the link (a system directory that became one).
    pub keep_link: bool,
}

/// What was found where a source points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Missing,
    /// A directory.
    Directory,
    /// A regular file or device.
    File,
    /// A symbolic link to this.
    Link(PathBuf),
}

/// What stands at a path of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A host directory or file with everything mounted below it.
    Bind(SourceId),
    /// A host device node.
    Device(SourceId),
    /// An empty file system in memory.
    Memory {
        /// Limit, in bytes.
        size: u64,
        /// Mode of its root.
        mode: u32,
        /// Whether the caller owns it.
        owned: bool,
    },
    /// A process file system of the sandbox's own pid namespace.
    Processes,
    /// Pseudo terminals of the sandbox's own.
    Terminals,
    /// POSIX message queues of the sandbox's own IPC namespace.
    Queues,
    /// A generated file.
    File {
        /// Its content. Never a secret.
        content: Vec<u8>,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        to: PathBuf,
    },
    /// Hides a host path that an outer bind shows, if it is there.
    Mask(SourceId),
}

/// One row of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Absolute path inside the sandbox.
    pub path: PathBuf,
    /// What stands there.
    pub what: What,
    /// How it may be accessed.
    pub access: Access,
    /// Why, in words.
    pub reason: Text,
    /// Who asked for it.
    pub origin: Origin,
}

/// The innermost of these rows around `path`.
pub fn around<'i>(rows: impl Iterator<Item = &'i Intent>, path: &Path) -> Option<&'i Intent> {
    let bytes = path.as_os_str().as_encoded_bytes();
    // Bytes first: this is asked of all rows about each, and to take a path apart is slow.
    let within = |above: &[u8]| above.len() < bytes.len() && bytes.starts_with(above);
    let rows = rows.filter(|i| within(i.path.as_os_str().as_encoded_bytes()) && path.starts_with(&i.path));
    rows.max_by_key(|i| i.path.as_os_str().len())
}

/// A directory that must exist in the agent's home so that something can be mounted there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Path below it, without `..`.
    pub below: PathBuf,
    /// What of the host will be mounted there: a file needs a file to be mounted on.
    pub source: PathBuf,
}

/// The description of a session: all that binds the caller. The agent's environment and working directory, which do
/// not, go from the CLI to init as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What policy gives.
    pub grant: Grant,
    /// Who.
    pub caller: Caller,
    /// What of the host is needed.
    pub sources: Vec<Source>,
    /// What stands where; parents before children.
    pub intents: Vec<Intent>,
    /// Where the home that the agent has is on the host.
    pub home: PathBuf,
    /// Mount points to make in the agent's home.
    pub mount_points: Vec<MountPoint>,
    /// The command.
    pub command: Vec<Vec<u8>>,
    /// The project directory.
    pub project: PathBuf,
}
