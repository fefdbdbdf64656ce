//! The agent's environment and the broker's: built from lists, never filtered from the caller's.

mod table;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use agent_aws_protocol::EnvVar;

use crate::failure::Failure;

/// One row of a table: a name (or, with a final `*`, all names that begin so) and why it is there.
type Row = (&'static str, &'static str);

/// How a variable of the caller's is looked up.
pub(crate) type Lookup<'a> = &'a dyn Fn(&OsStr) -> Option<OsString>;

fn matches(row: &str, name: &[u8]) -> bool {
    match row.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => name == row.as_bytes(),
    }
}

fn listed(rows: &[Row], lookup: Lookup<'_>) -> Vec<EnvVar> {
    let variable = |(name, _): &Row| {
        let value = lookup(OsStr::new(name))?;
        Some(EnvVar {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        })
    };
    rows.iter().filter_map(variable).collect()
}

/// The agent's variables: the list as the caller has them, then `--env`; the last of a name counts.
pub(crate) fn for_agent(options: &[OsString], lookup: Lookup<'_>) -> Result<Vec<EnvVar>, Failure> {
    let mut variables = listed(table::AGENT, lookup);
    for option in options {
        let variable = asked(option, lookup)?;
        variables.retain(|v| v.name != variable.name);
        variables.push(variable);
    }
    Ok(variables)
}

/// What the broker of an own source needs.
pub(crate) fn for_own_source(lookup: Lookup<'_>) -> Vec<EnvVar> {
    listed(table::OWN_SOURCE, lookup)
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
    if let Some((_, reason)) = table::REFUSED.iter().find(|(row, _)| matches(row, name)) {
        return Err(Failure::Option(format!("--env {shown} is refused"), reason));
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
    Ok(EnvVar {
        name: name.to_vec(),
        value,
    })
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
        variables
            .iter()
            .map(|v| std::str::from_utf8(&v.name).unwrap())
            .collect()
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
            "AWS_ACCESS_KEY_ID=AKIA",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE=x",
            "LD_PRELOAD=/tmp/x.so",
            "AGENT_AWS_FD=9",
            "HOME=/root",
            "NOT_SET_ANYWHERE",
            "=x",
            "",
        ] {
            assert!(for_agent(&[option.into()], &caller).is_err(), "{option}");
        }
        assert!(for_agent(&["AWS_PAGER=".into()], &caller).is_ok());
    }

    #[test]
    fn no_table_names_a_variable_twice_or_without_a_reason() {
        for rows in [table::AGENT, table::OWN_SOURCE, table::REFUSED] {
            for (n, (name, reason)) in rows.iter().enumerate() {
                assert!(!reason.is_empty(), "{name}");
                assert!(rows.iter().skip(n + 1).all(|(other, _)| other != name), "{name}");
            }
        }
    }

    #[test]
    fn nothing_that_is_refused_by_name_is_on_the_agents_list() {
        for (name, _) in table::AGENT {
            let refused = table::REFUSED.iter().any(|(row, _)| matches(row, name.as_bytes()));
            assert!(!refused, "{name}");
        }
    }
}
