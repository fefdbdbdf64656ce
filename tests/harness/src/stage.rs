//! What `xtask` staged: products installed below the build directory, and the tools of the tests.

use std::path::{Path, PathBuf};

const VARIABLE: &str = "AGENT_AWS_STAGE";
/// Where a private world shows `tools` and `test-deps` of the stage, as `bin` and `deps`.
pub(crate) const EXTRAS: &str = "/opt/agent-aws-test";

/// The stage's directory. Its layout is made by `tests/xtask/src/stage.rs`.
#[derive(Debug, Clone)]
pub struct Stage(PathBuf);

impl Stage {
    /// The one that we were given, or why there is none.
    pub fn find() -> Result<Self, String> {
        let advice = "run `make test` (or `cargo run -p xtask -- test e2e`)";
        let place = std::env::var_os(VARIABLE).ok_or_else(|| format!("nothing is installed to be tested: {advice}"))?;
        let stage = Self(PathBuf::from(place));
        match stage.user_install().join("bin/agent-aws").is_file() {
            true => Ok(stage),
            false => Err(format!("{} holds no installation: {advice}", stage.0.display())),
        }
    }

    /// An empty directory, for a private world to mount on.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join("world")
    }

    /// The root of an installed system, with the setuid bit.
    pub(crate) fn setuid_root(&self) -> PathBuf {
        self.0.join("setuid")
    }

    /// The root of a system with an installation without the setuid bit.
    pub(crate) fn user_root(&self) -> PathBuf {
        self.0.join("user")
    }

    /// The prefix of the installation without the setuid bit.
    pub fn user_install(&self) -> PathBuf {
        self.user_root().join("opt/agent-aws-user")
    }

    /// Small programs for inside the sandbox.
    pub fn tools(&self) -> PathBuf {
        self.0.join("tools")
    }

    /// Real clients, if they could be had.
    pub(crate) fn deps(&self) -> Option<PathBuf> {
        Some(self.0.join("test-deps")).filter(|d| Path::exists(d))
    }
}
