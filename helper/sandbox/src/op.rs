//! The operations that make a sandbox, in the order in which they are applied.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use agent_aws_plan::SourceId;

/// One step. Paths are absolute in the sandbox; every one of them is resolved beneath the new root without following
/// any link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Mounts made from here on stay in this mount namespace.
    Private,
    /// The loopback interface of the new network namespace.
    Loopback {
        /// Another address of it, for the door of the SDKs.
        door: Option<Ipv4Addr>,
    },
    /// The new root: an empty file system in memory.
    Root {
        /// Limit, in bytes.
        size: u64,
    },
    /// A directory to mount on, with its parents, mode 0755.
    Directory {
        /// Where.
        path: PathBuf,
    },
    /// A generated file, mode 0444, with its parents; an empty one is there to be mounted on.
    File {
        /// Where.
        path: PathBuf,
        /// What.
        content: Vec<u8>,
    },
    /// A file that was made stands where another one is.
    Over {
        /// Which one is covered.
        path: PathBuf,
        /// The one that was made.
        made: PathBuf,
    },
    /// A symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// To what.
        to: PathBuf,
    },
    /// A tree of the host, nosuid, with everything mounted below it.
    Attach {
        /// Which.
        source: SourceId,
        /// Where.
        path: PathBuf,
        /// Nothing in it can be changed.
        read_only: bool,
        /// Its device nodes work.
        devices: bool,
    },
    /// A file system in memory.
    Memory {
        /// Where.
        path: PathBuf,
        /// Limit, in bytes.
        size: u64,
        /// Mode of its root.
        mode: u32,
        /// Whether the caller owns it.
        owned: bool,
    },
    /// The processes of the new pid namespace; others are invisible.
    Processes {
        /// Where.
        path: PathBuf,
    },
    /// What is there already is read-only from here on, if it is there.
    Freeze {
        /// Which.
        path: PathBuf,
    },
    /// Pseudo terminals of the sandbox's own.
    Terminals {
        /// Where.
        path: PathBuf,
    },
    /// Message queues of the sandbox's own. mq_open(3) goes by the kernel's own mount of them, which Landlock knows by
    /// what is mounted here.
    Queues {
        /// Where.
        path: PathBuf,
    },
    /// A file that cannot be opened hides another.
    CoverFile {
        /// Which.
        path: PathBuf,
    },
    /// The door for clients: a listening socket.
    Door {
        /// Where.
        path: PathBuf,
    },
    /// One direction of the door for clients that may not have sockets: a FIFO.
    Fifo {
        /// Where.
        path: PathBuf,
        /// Who may read or write.
        mode: u32,
    },
    /// The door for SDKs: a listening TCP socket on port 80.
    HttpDoor {
        /// On which address.
        address: Ipv4Addr,
    },
    /// What was filled is read-only from here on.
    Seal {
        /// Where.
        path: PathBuf,
    },
    /// The new root is the root; the host's is gone.
    Enter,
}

/// What Landlock and seccomp add after privilege was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// ABI to enforce in full.
    pub landlock: u32,
    /// Paths with full access; none means that no file rule is made (an inner sandbox could not mount otherwise).
    pub write: Vec<PathBuf>,
    /// Paths to read and execute.
    pub read: Vec<PathBuf>,
    /// Whether file rules are made at all.
    pub files: bool,
    /// Whether signals and abstract sockets are confined to the sandbox.
    pub scopes: bool,
    /// Whether user namespaces are admitted.
    pub nesting: bool,
    /// Whether processes may trace each other.
    pub debug: bool,
}
