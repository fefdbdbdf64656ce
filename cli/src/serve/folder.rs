//! A directory for a container to mount: the socket, the client, and a configuration that names the client.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agent_aws_plan::Grant;
use rustix::fs::{FlockOperation, flock};

use super::shown;
use super::socket::{UNNAMED, only_ours};
use crate::failure::Failure;
use crate::{helper, inside};

const CLIENT: &str = "agent-aws-credentials";
const CONFIG: &str = "config";
const LOCK: &str = ".agent-aws-serve-lock";
/// Everything that one may hold.
const OURS: [&str; 3] = [CLIENT, CONFIG, "credentials.sock"];

/// One that we fill and empty.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether it was not there before.
    made: bool,
    /// Locked as long as this session serves from it.
    _lock: File,
}

impl Folder {
    /// Makes it, or takes one that is empty or was left by a run that was killed. `path` is absolute.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::Path(path.into(), e);
        let made = match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => false,
            Err(e) => return Err(failed(e)),
        };
        only_ours(path)?;
        for entry in fs::read_dir(path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let known = name.to_str().is_some_and(|name| OURS.contains(&name) || name.starts_with(UNNAMED));
            if !known {
                let text = format!("{}: there is `{}` in it already", shown(path), shown(Path::new(&name)));
                return Err(Failure::Other(text, Some("choose a directory that is empty, or a new one".into())));
            }
        }
        let below = path.join(LOCK);
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&below).map_err(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let text = format!("{}: another `agent-aws serve` serves from it", shown(path));
            return Err(Failure::Other(text, Some("choose another directory".into())));
        }
        Ok(Self { path: path.into(), made, _lock: lock })
    }

    /// Puts the client in, and the configuration of the identity.
    pub(super) fn fill(&mut self, grant: &Grant) -> Result<(), Failure> {
        let client = helper::path()?.with_file_name(CLIENT);
        let bytes = fs::read(&client).map_err(|e| Failure::Path(client, e))?;
        self.put(CLIENT, &bytes, 0o755)?;
        self.put(CONFIG, inside::configuration(grant).as_bytes(), 0o644)
    }

    /// A new file under a new inode: what a container may still have open stays as it is.
    fn put(&self, name: &str, content: &[u8], mode: u32) -> Result<(), Failure> {
        let path = self.path.join(name);
        let failed = |e: io::Error| Failure::Path(path.clone(), e);
        remove(&path).map_err(failed)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(failed)?;
        file.write_all(content).and_then(|()| file.set_permissions(Permissions::from_mode(mode))).map_err(failed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for name in [CLIENT, CONFIG, LOCK] {
            let _ = remove(&self.path.join(name));
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
