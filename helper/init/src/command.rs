//! Finding the agent's command as a shell would.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use agent_aws_protocol::EnvVar;
use nix::errno::Errno;
use nix::sys::stat::{SFlag, stat};
use nix::unistd::{AccessFlags, access};

/// Searched when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// A command ready for execve(2).
pub(crate) struct Command {
    /// The file to execute.
    pub(crate) file: CString,
    /// argv, with the name as it was typed.
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
}

/// Resolves the first argument along PATH. EACCES if something was there that cannot be executed, else ENOENT.
pub(crate) fn resolve(command: Vec<OsString>, environment: &[EnvVar]) -> Result<Command, Errno> {
    let name = command.first().ok_or(Errno::ENOENT)?.clone();
    let path = environment.iter().rev().find(|v| v.name == b"PATH").map_or(DEFAULT_PATH, |v| v.value.as_slice());
    let file = find(&name, path)?;
    let c = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let variable = |v: &EnvVar| c([v.name.as_slice(), b"=", v.value.as_slice()].concat());
    Ok(Command {
        file: c(file.into_os_string().into_vec())?,
        arguments: command.into_iter().map(|a| c(a.into_vec())).collect::<Result<_, _>>()?,
        environment: environment.iter().map(variable).collect::<Result<_, _>>()?,
    })
}

fn find(name: &OsStr, path: &[u8]) -> Result<PathBuf, Errno> {
    if name.as_bytes().contains(&b'/') {
        executable(Path::new(name))?;
        return Ok(name.into());
    }
    let mut best = Errno::ENOENT;
    if name.is_empty() {
        return Err(best);
    }
    for directory in path.split(|b| *b == b':') {
        let directory = if directory.is_empty() { b".".as_slice() } else { directory };
        let candidate = Path::new(OsStr::from_bytes(directory)).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::EACCES) => best = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(best)
}

fn executable(path: &Path) -> Result<(), Errno> {
    let found = stat(path)?;
    if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Errno::EACCES);
    }
    access(path, AccessFlags::X_OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(value: &str) -> Vec<EnvVar> {
        vec![EnvVar { name: b"PATH".to_vec(), value: value.into() }]
    }

    #[test]
    fn the_first_executable_along_path_is_taken() {
        let command = resolve(vec!["sh".into(), "-c".into()], &path("/nowhere:/usr/bin:/bin")).ok().unwrap();
        assert_eq!(command.file.to_bytes(), b"/usr/bin/sh");
        assert_eq!(command.arguments.len(), 2);
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_executed_are_told_apart() {
        assert_eq!(resolve(vec!["no-such-command".into()], &path("/usr/bin")).err(), Some(Errno::ENOENT));
        assert_eq!(resolve(vec!["/etc/passwd".into()], &path("/usr/bin")).err(), Some(Errno::EACCES));
        assert_eq!(resolve(vec!["/usr".into()], &path("/usr/bin")).err(), Some(Errno::EACCES));
        assert_eq!(resolve(vec!["passwd".into()], &path("/etc")).err(), Some(Errno::EACCES));
        assert_eq!(resolve(vec!["".into()], &path("/usr/bin")).err(), Some(Errno::ENOENT));
    }
}
