//! The agent's environment: built from a list, never filtered from the caller's.

use std::fmt;
use std::os::unix::ffi::OsStrExt;

use agent_aws_policy::Network;

use crate::build::{Grant, Wish};
use crate::intent::{Caller, Variable};
use crate::tables;

/// Where the sandbox keeps what is ours.
pub(crate) const OURS: &str = "/run/agent-aws";
/// PATH of an agent whose caller sent none.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// Why a variable is not handed to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvError {
    /// The name is empty or has `=`, NUL or control characters in it.
    BadName(Vec<u8>),
    /// The value has a NUL in it.
    BadValue(String),
    /// The name is in the table of refused variables.
    Refused(String, &'static str),
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "--env: `{}` is no name of a variable", name.escape_ascii()),
            Self::BadValue(name) => write!(f, "--env {name}: the value contains a NUL byte"),
            Self::Refused(name, why) => write!(f, "--env {name} is refused: {why}"),
        }
    }
}

/// Whether a caller may hand this variable to the agent.
pub fn check_variable(name: &[u8], value: &[u8]) -> Result<(), EnvError> {
    let text = name.escape_ascii().to_string();
    if name.is_empty() || name.iter().any(|b| *b == b'=' || !b.is_ascii_graphic()) {
        return Err(EnvError::BadName(name.to_vec()));
    }
    if value.contains(&0) {
        return Err(EnvError::BadValue(text));
    }
    match tables::REFUSED_VARIABLES.find(name) {
        Some(row) => Err(EnvError::Refused(text, row.reason)),
        None => Ok(()),
    }
}

/// The whole environment. Ours comes last and wins over anything of the caller's.
pub(crate) fn environment(caller: &Caller, grant: &Grant, wish: &Wish) -> Result<Vec<Variable>, EnvError> {
    let mut all: Vec<Variable> = vec![(b"PATH".to_vec(), DEFAULT_PATH.to_vec())];
    for (name, value) in &wish.environment {
        check_variable(name, value)?;
        let value = if name == b"PATH" { absolute_entries(value) } else { value.clone() };
        set(&mut all, name, &value);
    }
    let runtime = format!("/run/user/{}", caller.uid);
    set(&mut all, b"HOME", caller.home.as_os_str().as_bytes());
    set(&mut all, b"USER", caller.login.as_bytes());
    set(&mut all, b"LOGNAME", caller.login.as_bytes());
    set(&mut all, b"SHELL", caller.shell.as_os_str().as_bytes());
    set(&mut all, b"XDG_RUNTIME_DIR", runtime.as_bytes());
    set(&mut all, b"AGENT_AWS_SESSION", grant.session.as_bytes());
    set(&mut all, b"AGENT_AWS_IDENTITY", grant.identity.as_bytes());
    set(&mut all, b"AGENT_AWS_FD", wish.door.to_string().as_bytes());
    set(&mut all, b"AWS_CONFIG_FILE", format!("{OURS}/config").as_bytes());
    set(&mut all, b"AWS_SHARED_CREDENTIALS_FILE", b"/dev/null");
    set(&mut all, b"AWS_SDK_LOAD_CONFIG", b"1");
    set(&mut all, b"AWS_EC2_METADATA_DISABLED", b"true");
    if let Some(region) = &grant.region {
        // Both names: the AWS CLI v1 and botocore read only the second.
        set(&mut all, b"AWS_REGION", region.as_bytes());
        set(&mut all, b"AWS_DEFAULT_REGION", region.as_bytes());
    }
    if grant.network != Network::Shared {
        set(&mut all, b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", b"/credentials");
        // SDKs that obey proxy variables would send the fetch of credentials itself to the proxy. Programs read one
        // spelling or the other: what the caller gave in one of them must not be hidden by ours in the other.
        let given = |name: &[u8]| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let (upper, lower) = (given(b"NO_PROXY"), given(b"no_proxy"));
        for (name, own, other) in [(b"NO_PROXY", &upper, &lower), (b"no_proxy", &lower, &upper)] {
            let given = own.as_ref().or(other.as_ref()).cloned().unwrap_or_default();
            let comma: &[u8] = if given.is_empty() { b"" } else { b"," };
            set(&mut all, name, &[given.as_slice(), comma, b"169.254.170.2"].concat());
        }
    }
    Ok(all)
}

fn set(all: &mut Vec<Variable>, name: &[u8], value: &[u8]) {
    match all.iter_mut().find(|(n, _)| n == name) {
        Some((_, v)) => *v = value.to_vec(),
        None => all.push((name.to_vec(), value.to_vec())),
    }
}

/// `.` and empty entries of PATH would execute what lies in the working directory.
fn absolute_entries(path: &[u8]) -> Vec<u8> {
    let kept: Vec<&[u8]> = path.split(|b| *b == b':').filter(|entry| entry.starts_with(b"/")).collect();
    if kept.is_empty() { DEFAULT_PATH.to_vec() } else { kept.join(b":".as_slice()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_other_identities_are_refused_as_variables() {
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "LD_PRELOAD", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
            assert!(matches!(check_variable(name.as_bytes(), b"x"), Err(EnvError::Refused(..))), "{name}");
        }
        assert_eq!(check_variable(b"EDITOR", b"vi"), Ok(()));
        assert!(matches!(check_variable(b"BASH_FUNC_x()=", b""), Err(EnvError::BadName(_))));
        assert!(matches!(check_variable(b"", b""), Err(EnvError::BadName(_))));
    }

    #[test]
    fn relative_entries_of_path_are_dropped() {
        assert_eq!(absolute_entries(b".:/usr/bin::bin:/opt/x"), b"/usr/bin:/opt/x");
        assert_eq!(absolute_entries(b"."), DEFAULT_PATH);
    }
}
