//! The snapshot of a running session, for `sessions` in another process. It is locked by the one who wrote it, for as
//! long as the session runs: one without a lock is stale.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::snapshot::Snapshot;
use crate::own;

/// No snapshot is longer, in bytes.
const LONGEST: u64 = 4 << 20;
/// A file that is younger may not have its lock yet.
const YOUNG: Duration = Duration::from_secs(10);

/// The file of a session; removed when it is dropped.
#[derive(Debug)]
pub(super) struct State {
    path: PathBuf,
    // Held for its lock.
    _file: File,
}

fn directory() -> Option<PathBuf> {
    own::path("trusted")
}

/// Session ids are hexadecimal digits; nothing else becomes part of a path.
fn is_id(session: &str) -> bool {
    !session.is_empty() && session.bytes().all(|b| b.is_ascii_hexdigit())
}

impl State {
    /// Writes the snapshot of `session`. Where it cannot be written, `sessions` does not know.
    pub(super) fn write(session: &str, snapshot: &Snapshot) -> Option<Self> {
        let directory = directory().filter(|_| is_id(session))?;
        own::create(&directory).ok()?;
        sweep(&directory);
        let text = serde_json::to_vec(snapshot).ok()?;
        let path = directory.join(session);
        let mut file = own::options().write(true).create_new(true).open(&path).ok()?;
        let written = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && file.write_all(&text).is_ok();
        let state = Self { path, _file: file };
        written.then_some(state)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes what sessions have left that were killed.
fn sweep(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(file) = own::options().read(true).open(entry.path()) else { continue };
        let age = file.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        let is_old = age.is_some_and(|age| age > YOUNG);
        if is_old && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The snapshot of a session that runs, if it can be read.
pub(super) fn read(session: &str) -> Option<Snapshot> {
    let path = directory().filter(|_| is_id(session))?.join(session);
    let mut text = Vec::new();
    own::options().read(true).open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
