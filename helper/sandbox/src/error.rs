//! Failures, each naming the step, its object and the operating system's word.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A step of setting up the sandbox that did not work. The session ends.
#[derive(Debug)]
pub struct Failure {
    /// What was tried.
    pub step: &'static str,
    /// On what, if on something.
    pub object: Option<PathBuf>,
    /// The operating system's word, or ours.
    pub cause: String,
}

impl Failure {
    /// A failure with the operating system's word.
    pub fn os(step: &'static str, object: &Path, error: impl Into<io::Error>) -> Self {
        Self { step, object: Some(object.into()), cause: error.into().to_string() }
    }

    /// A failure of a step that has no object.
    pub fn plain(step: &'static str, cause: impl fmt::Display) -> Self {
        Self { step, object: None, cause: cause.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step)?;
        if let Some(object) = &self.object {
            write!(f, " `{}`", object.display().to_string().escape_debug())?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl std::error::Error for Failure {}
