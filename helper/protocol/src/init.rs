//! Between the supervisor and init. The command is init's own argv after `--`.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::cli::EnvVar;
use crate::{Bytes, Exit};

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperToInit {
    /// Look the command up and fork the agent. The capability of the inherited-fd door comes along.
    Launch {
        /// The agent's whole environment.
        environment: Vec<EnvVar>,
        /// Its working directory inside the sandbox.
        directory: Bytes,
        /// Number that the capability gets in the agent.
        door: i32,
    },
    /// The agent may execute its command.
    Begin,
    /// Send this signal to the agent's process group.
    Signal(i32),
}

/// From init, except [`InitToHelper::Hello`], which the agent's process sends about itself before it executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InitToHelper {
    /// The agent's process waits in its own group. The kernel tells its process id.
    Hello,
    /// The command or the working directory cannot be used; the last message.
    CannotExecute {
        /// The operating system's error number.
        errno: i32,
        /// Whether it was the working directory.
        directory: bool,
    },
    /// The agent was stopped by this signal.
    Stopped(i32),
    /// The agent ended. The last message.
    Ended(Exit),
}
