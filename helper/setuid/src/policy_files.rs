//! The policy on disk: opened by descriptor, each component root's own, read whole, parsed by a pure crate.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use agent_aws_policy::{DEFAULT_POLICY, MAX_FILE_BYTES, MAX_FILES, Policy, SourceFile};
use agent_aws_protocol::{FailureCode, Refusal};
use rustix::fs::{Dir, Mode, OFlags, openat};

use crate::entry::Mode as Power;
use crate::installation::{open_directory_of_root, open_file_of_root};
use crate::refusal::advise;

/// Where policy lives.
const DIRECTORY: &str = "/etc/agent-aws";

/// Where policy is read from, now and at every renewal.
pub(crate) enum PolicyFiles {
    /// Root's own directory.
    Directory(OwnedFd),
    /// The policy that is shipped: what holds where nothing can be enforced.
    Shipped,
}

impl PolicyFiles {
    /// Finds the policy. In unprivileged mode one that cannot be read is replaced by the shipped one: it could not
    /// bind the caller anyway.
    pub(crate) fn find(power: &Power) -> Result<Self, Refusal> {
        match open_directory_of_root(Path::new(DIRECTORY)) {
            Ok(directory) if power.is_privileged() => Ok(Self::Directory(directory)),
            Ok(directory) => {
                let readable = open_file_of_root(&directory, Path::new("policy.toml"), false).is_ok();
                Ok(if readable { Self::Directory(directory) } else { Self::Shipped })
            }
            Err(_) if !power.is_privileged() => Ok(Self::Shipped),
            Err(what) => Err(broken(&format!("policy: {what}"))),
        }
    }

    /// Reads and parses it as it is now.
    pub(crate) fn read(&self) -> Result<Policy, Refusal> {
        let Self::Directory(directory) = self else {
            return parse(&[(format!("{DIRECTORY}/policy.toml (as shipped)"), DEFAULT_POLICY.as_bytes().to_vec())]);
        };
        let mut files = vec![read_file(directory, Path::new("policy.toml"), DIRECTORY)?];
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(directory, "policy.d", flags, Mode::empty()) {
            Ok(more) => {
                root_owned(&more)?;
                for name in names(&more)? {
                    files.push(read_file(&more, Path::new(&name), &format!("{DIRECTORY}/policy.d"))?);
                }
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(broken(&format!("{DIRECTORY}/policy.d: {e}"))),
        }
        parse(&files)
    }
}

fn broken(what: &str) -> Refusal {
    advise(FailureCode::Policy, what, "nothing runs without a valid policy: `agent-aws policy check` as root says more")
}

fn root_owned(directory: &OwnedFd) -> Result<(), Refusal> {
    let found = rustix::fs::fstat(directory).map_err(|e| broken(&format!("{DIRECTORY}/policy.d: {e}")))?;
    match found.st_uid == 0 && found.st_mode & 0o022 == 0 {
        true => Ok(()),
        false => Err(broken(&format!("{DIRECTORY}/policy.d: is not root's own, or others may write to it"))),
    }
}

fn names(directory: &OwnedFd) -> Result<Vec<OsString>, Refusal> {
    let fail = |e: rustix::io::Errno| broken(&format!("{DIRECTORY}/policy.d: {e}"));
    let mut found = Vec::new();
    for entry in Dir::read_from(directory).map_err(fail)? {
        let name = OsString::from_vec(entry.map_err(fail)?.file_name().to_bytes().to_vec());
        if name.as_bytes().ends_with(b".toml") && !name.as_bytes().starts_with(b".") {
            found.push(name);
        }
    }
    if found.len() >= MAX_FILES {
        return Err(broken(&format!("{DIRECTORY}/policy.d: {MAX_FILES} files or more")));
    }
    found.sort();
    Ok(found)
}

fn read_file(directory: &OwnedFd, name: &Path, under: &str) -> Result<(String, Vec<u8>), Refusal> {
    let shown = PathBuf::from(under).join(name).display().to_string();
    let file = open_file_of_root(directory, name, false).map_err(|what| broken(&format!("{shown}: {what}")))?;
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::fs::File::from(file).take(most).read_to_end(&mut bytes);
    read.map_err(|e| broken(&format!("{shown}: {e}")))?;
    Ok((shown, bytes))
}

fn parse(files: &[(String, Vec<u8>)]) -> Result<Policy, Refusal> {
    let sources: Vec<SourceFile<'_>> =
        files.iter().map(|(name, bytes)| SourceFile { name, bytes: bytes.as_slice() }).collect();
    Policy::parse(&sources).map_err(|all| {
        // A key that is misspelt is often why another one is lacking.
        let misspelt = all.iter().find(|d| d.message.starts_with("unknown key"));
        let first = misspelt.or(all.first()).map(ToString::to_string).unwrap_or_default();
        let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
        broken(&format!("{first}{more}"))
    })
}
