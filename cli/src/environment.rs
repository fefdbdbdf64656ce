//! The agent's environment and the broker's: built from lists, never filtered from the caller's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use agent_aws_plan::tables::{self, Row, Table};
use agent_aws_protocol::EnvVar;

use crate::failure::Failure;

/// How a variable of the caller's is looked up.
pub(crate) type Lookup<'a> = &'a dyn Fn(&OsStr) -> Option<OsString>;

fn listed(table: Table, lookup: Lookup<'_>) -> Vec<EnvVar> {
    let variable = |row: Row| {
        let name = row.path;
        let value = lookup(OsStr::new(name))?;
        Some(EnvVar { name: name.as_bytes().to_vec(), value: value.as_bytes().to_vec() })
    };
    table.rows().filter_map(variable).collect()
}

/// The agent's variables: the list as the caller has them, then `--env`; the last of a name counts.
pub(crate) fn for_agent(options: &[OsString], lookup: Lookup<'_>) -> Result<Vec<EnvVar>, Failure> {
    let mut variables = listed(tables::AGENT_VARIABLES, lookup);
    for option in options {
        let variable = asked(option, lookup)?;
        variables.retain(|v| v.name != variable.name);
        variables.push(variable);
    }
    Ok(variables)
}

/// What the broker of an own source needs.
pub(crate) fn for_own_source(lookup: Lookup<'_>) -> Vec<EnvVar> {
    listed(tables::OWN_VARIABLES, lookup)
}

/// `--env NAME` or `--env NAME=VALUE`.
fn asked(option: &OsStr, lookup: Lookup<'_>) -> Result<EnvVar, Failure> {
    let bytes = option.as_bytes();
    let equals = bytes.iter().position(|b| *b == b'=');
    let (name, value) = match equals.and_then(|at| bytes.split_at_checked(at)) {
        Some((name, value)) => (name, Some(value.get(1..).unwrap_or_default().to_vec())),
        None => (bytes, None),
    };
    let shown = OsStr::from_bytes(name).display();
    if name.is_empty() {
        return Err(Failure::Option(
            format!("--env {}: no name", option.display()),
            "write --env NAME or --env NAME=VALUE",
        ));
    }
    if let Some(row) = tables::REFUSED_VARIABLES.find(name) {
        return Err(Failure::Option(format!("--env {shown} is refused"), row.reason));
    }
    let value = match value {
        Some(value) => value,
        None => match lookup(OsStr::from_bytes(name)) {
            Some(value) => value.as_bytes().to_vec(),
            None => {
                return Err(Failure::Option(
                    format!("--env {shown}: you have no such variable"),
                    "set it, or write --env NAME=VALUE",
                ));
            }
        },
    };
    Ok(EnvVar { name: name.to_vec(), value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn caller(name: &OsStr) -> Option<OsString> {
        match name.to_str()? {
            "TERM" => Some("xterm".into()),
            "LC_TIME" => Some(OsString::from_vec(vec![0xff])),
            "AWS_SECRET_ACCESS_KEY" | "AWS_REGION" | "HOME" | "GITHUB_TOKEN" | "SSH_AUTH_SOCK" => Some("x".into()),
            _ => None,
        }
    }

    fn names(variables: &[EnvVar]) -> Vec<&str> {
        variables.iter().map(|v| std::str::from_utf8(&v.name).unwrap()).collect()
    }

    #[test]
    fn only_listed_variables_reach_the_agent_and_their_values_are_bytes() {
        let variables = for_agent(&[], &caller).unwrap();
        assert_eq!(names(&variables), ["TERM", "LC_TIME"]);
        assert_eq!(variables[1].value, [0xff]);
    }

    #[test]
    fn env_passes_sets_and_overrides() {
        let options = ["GITHUB_TOKEN".into(), "TERM=dumb".into(), "A=b=c".into(), "A=".into()];
        let variables = for_agent(&options, &caller).unwrap();
        assert_eq!(names(&variables), ["LC_TIME", "GITHUB_TOKEN", "TERM", "A"]);
        assert_eq!(variables[2].value, b"dumb");
        assert_eq!(variables[3].value, b"");
    }

    #[test]
    fn env_refuses_credentials_loader_names_unset_and_empty_ones() {
        for option in [
            "AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE=x", "LD_PRELOAD=/tmp/x.so",
            "AGENT_AWS_FD=9", "HOME=/root", "NOT_SET_ANYWHERE", "=x", "",
        ] {
            assert!(for_agent(&[option.into()], &caller).is_err(), "{option}");
        }
        assert!(for_agent(&["AWS_PAGER=".into()], &caller).is_ok());
    }

    #[test]
    fn nothing_that_is_refused_by_name_is_on_the_agents_list() {
        for row in tables::AGENT_VARIABLES.rows() {
            assert!(tables::REFUSED_VARIABLES.find(row.path.as_bytes()).is_none(), "{}", row.path);
        }
    }
}
