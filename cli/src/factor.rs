//! The second factor of an AWS profile: its code is asked for before anything starts.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use agent_aws_protocol::{Ask, EnvVar, RunRequest};

use crate::args::Choice;
use crate::environment::Lookup;
use crate::failure::Failure;
use crate::{identity, region, say};

/// How the broker of an own source gets it; nobody else does.
const VARIABLE: &str = "AGENT_AWS_MFA_CODE";

/// A code that a person typed.
#[derive(Debug, Default)]
pub(crate) struct Code(Option<String>);

/// Asks for a code, if the AWS profile that is chosen wants one, no program gives it, and somebody is there.
pub(crate) fn code(choice: &Choice) -> Result<Code, Failure> {
    let lookup = |name: &OsStr| std::env::var_os(name);
    // First: no file is read where nobody could be asked.
    let given = lookup(OsStr::new(VARIABLE)).is_some();
    if given || !io::stdin().is_terminal() || !say::on_terminal() {
        return Ok(Code::default());
    }
    let Ask::Own(profile) = identity::chosen(choice, lookup(OsStr::new("AWS_PROFILE")))?.ask else {
        return Ok(Code::default());
    };
    match wanted(&profile, &lookup) {
        Some(serial) => read(&profile, &serial).map(|code| Code(Some(code))),
        None => Ok(Code::default()),
    }
}

/// The device, if no program gives its codes.
fn wanted(profile: &str, lookup: Lookup<'_>) -> Option<String> {
    let texts: Vec<String> = region::files(lookup).iter().filter_map(|path| region::text_of(path)).collect();
    let setting =
        |key: &str| texts.iter().filter_map(|text| region::setting(text, profile, key)).find(|value| !value.is_empty());
    setting("mfa_serial").filter(|_| setting("mfa_process").is_none())
}

/// Reads one line and nothing after it: what is typed ahead is for the agent.
fn read(profile: &str, serial: &str) -> Result<String, Failure> {
    say::line(&format!("AWS profile {profile} wants a code of {serial}:"));
    let mut line = [0; 64];
    let length = rustix::io::read(io::stdin(), &mut line).map_err(|e| Failure::Os("cannot read the code", e.into()))?;
    let text = String::from_utf8_lossy(line.get(..length).unwrap_or_default()).trim().to_owned();
    let good = (6..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match good {
        true => Ok(text),
        false => Err(Failure::Other("that is no code: six to eight digits".into(), Some("start again".into()))),
    }
}

impl Code {
    /// Says it in a request.
    pub(crate) fn put(self, request: &mut RunRequest) {
        let variable = |code: String| EnvVar { name: VARIABLE.as_bytes().to_vec(), value: code.into_bytes() };
        request.own.environment.extend(self.0.map(variable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;

    #[test]
    fn a_device_is_found_where_no_program_gives_its_codes() {
        let home = scratch("factor");
        std::fs::create_dir(home.join(".aws")).unwrap();
        let config =
            "[profile a]\nmfa_serial = arn:1\n[profile b]\nmfa_serial = arn:2\nmfa_process = get\n[profile c]\n";
        std::fs::write(home.join(".aws/config"), config).unwrap();
        std::fs::write(home.join(".aws/credentials"), "[c]\nmfa_serial=arn:3\n").unwrap();
        let lookup = |name: &OsStr| (name == "HOME").then(|| home.clone().into_os_string());
        let found = ["a", "b", "c", "d"].map(|profile| wanted(profile, &lookup));
        assert_eq!(found, [Some("arn:1".to_owned()), None, Some("arn:3".to_owned()), None]);
    }
}
