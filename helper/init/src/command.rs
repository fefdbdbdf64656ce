//! Finding the agent's command as a shell would.

use alloc::ffi::CString;
use alloc::vec::Vec;

use agent_aws_protocol::EnvVar;
use rustix::fs::{Access, FileType, access, stat};
use rustix::io::Errno;

/// Searched when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// A command ready for execve(2).
pub(crate) struct Command {
    /// The file to execute.
    pub(crate) file: CString,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
}

/// Resolves a name along PATH. EACCES if something was there that cannot be executed, else ENOENT.
pub(crate) fn resolve(name: &[u8], environment: &[EnvVar]) -> Result<Command, Errno> {
    let path = environment.iter().rev().find(|v| v.name == b"PATH").map_or(DEFAULT_PATH, |v| v.value.as_slice());
    let file = find(name, path)?;
    let c = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| Errno::INVAL);
    let variable = |v: &EnvVar| c([v.name.as_slice(), b"=", v.value.as_slice()].concat());
    Ok(Command { file: c(file)?, environment: environment.iter().map(variable).collect::<Result<_, _>>()? })
}

fn find(name: &[u8], path: &[u8]) -> Result<Vec<u8>, Errno> {
    if name.contains(&b'/') {
        return executable(name).map(|()| name.into());
    }
    let mut best = Errno::NOENT;
    if name.is_empty() {
        return Err(best);
    }
    for directory in path.split(|b| *b == b':') {
        let directory = if directory.is_empty() { b".".as_slice() } else { directory };
        let candidate = [directory, b"/", name].concat();
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => best = Errno::ACCESS,
            Err(_) => {}
        }
    }
    Err(best)
}

fn executable(path: &[u8]) -> Result<(), Errno> {
    match FileType::from_raw_mode(stat(path)?.st_mode) {
        FileType::RegularFile => access(path, Access::EXEC_OK),
        _ => Err(Errno::ACCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(value: &str) -> Vec<EnvVar> {
        vec![EnvVar { name: b"PATH".to_vec(), value: value.into() }]
    }

    #[test]
    fn the_first_executable_along_path_is_taken() {
        let command = resolve(b"sh", &path("/nowhere:/usr/bin:/bin")).ok().unwrap();
        assert_eq!(command.file.to_bytes(), b"/usr/bin/sh");
        assert_eq!(command.environment, [CString::from(c"PATH=/nowhere:/usr/bin:/bin")]);
    }

    #[test]
    fn what_is_missing_and_what_cannot_be_executed_are_told_apart() {
        assert_eq!(resolve(b"no-such-command", &path("/usr/bin")).err(), Some(Errno::NOENT));
        assert_eq!(resolve(b"", &path("/usr/bin")).err(), Some(Errno::NOENT));
        assert_eq!(resolve(b"/etc/passwd", &path("/usr/bin")).err(), Some(Errno::ACCESS));
        assert_eq!(resolve(b"/usr", &path("/usr/bin")).err(), Some(Errno::ACCESS));
        assert_eq!(resolve(b"passwd", &path("/etc")).err(), Some(Errno::ACCESS));
        assert_eq!(resolve(b".", &path("/usr/bin")).err(), Some(Errno::ACCESS));
    }
}
