//! An ordinary user's trials use the real home directory: the one of the user database. What they make there goes again.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::users::User;

/// Where `agent-aws` keeps what is the caller's, below a home.
const OURS: &str = ".local/share/agent-aws";

/// When it goes, so do the homes of agents that were not there before and hold nothing but what `agent-aws` itself puts
/// there, and what is then empty above them. Another file is never removed: it might be of a session that is not ours.
#[derive(Debug)]
pub struct Homes {
    place: PathBuf,
    before: Vec<PathBuf>,
}

impl Homes {
    /// Looks at what is there now. In a private world there is nothing to be done.
    pub fn watch() -> Option<Self> {
        if Uid::effective().is_root() {
            return None;
        }
        let place = User::ourselves().home.join(OURS);
        let before = homes(&place);
        Some(Self { place, before })
    }
}

/// What `agent-aws` writes into a home and beside it.
fn is_ours(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes();
    let lock = name.starts_with(b".") && (name.ends_with(b".setup") || name.ends_with(b".session"));
    let git = [".gitconfig", ".config/git/config"].iter().any(|below| file.ends_with(below));
    let written = || fs::read_to_string(file).unwrap_or_default();
    (lock && written().is_empty()) || (git && written().contains("agent-aws"))
}

/// `homes/SANDBOX/IDENTITY` below `place`, where homes and their locks lie.
fn homes(place: &Path) -> Vec<PathBuf> {
    entries(&place.join("homes")).iter().flat_map(|sandbox| entries(sandbox)).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Removes directories from the leaves up, and what is ours in them; one that holds anything else stays.
fn remove_empty(directory: &Path) {
    for below in entries(directory) {
        match below.symlink_metadata() {
            Ok(found) if found.is_dir() => remove_empty(&below),
            Ok(found) if found.is_file() && is_ours(&below) => drop(fs::remove_file(&below)),
            _ => {}
        }
    }
    let _ = fs::remove_dir(directory);
}

impl Drop for Homes {
    fn drop(&mut self) {
        for home in homes(&self.place) {
            if !self.before.contains(&home) {
                remove_empty(&home);
            }
        }
        if homes(&self.place).is_empty() {
            remove_empty(&self.place);
        }
    }
}
