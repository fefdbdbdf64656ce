//! Directories for tests, which end with the test that made them.

use std::cell::RefCell;
use std::path::PathBuf;

use tempfile::TempDir;

thread_local! {
    /// A test has a thread of its own.
    static MADE: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// A new one, by its real path.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let directory = tempfile::Builder::new().prefix(&format!("agent-aws-{name}-")).tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    MADE.with_borrow_mut(|made| made.push(directory));
    path
}
