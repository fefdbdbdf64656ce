//! An ordinary user's trials use the real home directory: the one of the user database. What they make there goes again.

use std::fs;
use std::path::PathBuf;

use nix::unistd::Uid;

use crate::users::User;

/// Where `agent-aws` keeps the homes of agents, below a home, and the one of the trials' identity.
const HOMES: &str = ".local/share/agent-aws/homes";
const OURS: &str = "standard/own%3adev";

/// Removes the agent's home of the trials when it goes, unless it was there before.
#[derive(Debug)]
pub struct Homes(Option<PathBuf>);

impl Homes {
    /// Looks at what is there now. In a private world there is nothing to be done.
    pub fn watch() -> Self {
        if Uid::effective().is_root() {
            return Self(None);
        }
        let home = User::ourselves().home.join(HOMES).join(OURS);
        Self(Some(home).filter(|home| !home.exists()))
    }
}

impl Drop for Homes {
    fn drop(&mut self) {
        let Some(home) = &self.0 else { return };
        let _ = fs::remove_dir_all(home);
        // And the directories above it, if they are empty and so were ours too.
        for above in home.ancestors().skip(1).take(4) {
            if fs::remove_dir(above).is_err() {
                return;
            }
        }
    }
}
