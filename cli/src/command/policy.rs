//! `policy check|show|explain|iam|revoke`.

mod diff;
#[cfg(test)]
mod examples;
mod iam;
mod install;
mod subject;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use agent_aws_policy::{Identity, Policy};
use agent_aws_policy_text::{Diagnostic, MAX_FILE_BYTES, SourceFile};
use agent_aws_protocol::{Ask, Exit, Granted, HelperToCli, PolicyQuestion, Request};
use agent_aws_session_policy::compile_for;
use nix::unistd::Uid;
use serde_json::json;

use crate::args::Policy as Command;
use crate::explain::narrowing;
use crate::failure::Failure;
use crate::helper::{question, unexpected};
use crate::{identity, say};

/// Where the policy is.
pub(super) const DIRECTORY: &str = "/etc/agent-aws";

/// Does one of them.
pub(super) fn perform(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Check { json, files } => return check(&files, json),
        Command::Show if Uid::current().is_root() => show()?,
        Command::Show => explain(Ask::Unnamed, None)?,
        Command::Iam { name, files } => iam::iam(&parsed(&files)?, &name)?,
        Command::Revoke { user } => iam::revoke(&user, say::now())?,
        Command::Diff { json, old, new } => return diff::diff(&old, &new, json),
        Command::Install { file, part, dry_run } => return install::install(&file, part.as_deref(), dry_run),
        Command::Explain { choice, sandbox, user: Some(user), files } => {
            let ask = identity::named_or_own(&choice);
            subject::explain(&parsed(&files)?, &user, &ask, sandbox.as_deref())?;
        }
        Command::Explain { choice, sandbox, user: None, .. } => {
            explain(identity::chosen(&choice, std::env::var_os("AWS_PROFILE"))?.ask, sandbox)?;
        }
    }
    Ok(Exit::Code(0))
}

/// The file's bytes, if they are no more than a policy may have; a FIFO or a device is no policy.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let failed = |e| Failure::Path(path.into(), e);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let what = "not a regular file";
        return Err(failed(io::Error::other(what)));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads files as one policy: it, or all that is wrong with it.
fn parse(paths: &[PathBuf]) -> Result<Result<Policy, Vec<Diagnostic>>, Failure> {
    let named = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
    let read_files = paths.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
    let files: Vec<_> = read_files.iter().map(|(name, bytes)| SourceFile { name, bytes }).collect();
    Ok(agent_aws_policy_text::parse(&files))
}

/// Checks files as the helper would, without any privilege and without installing them.
fn check(paths: &[PathBuf], as_json: bool) -> Result<Exit, Failure> {
    let wrong = complete(parse(paths)?).err().unwrap_or_default();
    if as_json {
        let list: Vec<_> = wrong.iter().map(diagnostic_json).collect();
        say::json(&json!({ "valid": wrong.is_empty(), "diagnostics": list }))?;
    } else {
        report(&wrong);
    }
    Ok(Exit::Code(i32::from(!wrong.is_empty())))
}

/// All that is wrong, a line each.
fn report(wrong: &[Diagnostic]) {
    let lines = wrong.iter().fold(String::new(), |mut lines, one| {
        let _ = writeln!(lines, "{}", say::escaped(&one.to_string()));
        lines
    });
    say::error_block(&lines);
}

/// Also what only a compiler of session policies sees.
fn complete(parsed: Result<Policy, Vec<Diagnostic>>) -> Result<Policy, Vec<Diagnostic>> {
    parsed.and_then(|policy| match too_long(&policy) {
        wrong if wrong.is_empty() => Ok(policy),
        wrong => Err(wrong),
    })
}

/// Identities whose session policy is none, or is more than STS takes: compiled as the broker compiles it.
fn too_long(policy: &Policy) -> Vec<Diagnostic> {
    let wrong = |identity: &Identity| {
        let error = compile_for(&identity.narrowing, Some(&identity.role), false).err()?;
        let position = &identity.position;
        let message = format!("[identity.{}]: {error}", identity.name);
        Some(Diagnostic { file: position.file.clone(), line: position.line, column: 1, message, hint: None })
    };
    policy.identities.iter().filter_map(wrong).collect()
}

fn diagnostic_json(one: &Diagnostic) -> serde_json::Value {
    json!({
        "file": one.file,
        "line": one.line,
        "column": one.column,
        "message": one.message,
        "hint": one.hint,
    })
}

/// The policy's files in the order in which they apply.
fn files() -> Result<Vec<PathBuf>, Failure> {
    below(Path::new(DIRECTORY))
}

/// Those of a directory that is made as /etc/agent-aws is.
fn below(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let below = directory.join("policy.d");
    let mut more: Vec<PathBuf> = match std::fs::read_dir(&below) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Failure::Path(below, e)),
    };
    more.retain(|path| path.extension().is_some_and(|e| e == "toml" || e == "json"));
    more.sort();
    more.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    more.insert(0, directory.join("policy.toml"));
    Ok(more)
}

/// What is installed, where the caller can read it and it has no error.
pub(super) fn installed() -> Option<Policy> {
    parsed(&[]).ok()
}

/// These files as a policy, or what is installed.
fn parsed(paths: &[PathBuf]) -> Result<Policy, Failure> {
    let paths = if paths.is_empty() { files()? } else { paths.to_vec() };
    parse(&paths)?.map_err(|wrong| {
        let first = wrong.first().map(ToString::to_string).unwrap_or_default();
        Failure::Other(say::escaped(&first), Some("agent-aws policy check says all of it".into()))
    })
}

/// All of it, for root.
fn show() -> Result<(), Failure> {
    for path in files()? {
        let bytes = read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let name = say::escaped(&path.display().to_string());
        say::out(&format!("# {name}\n{}\n", say::escaped_block(text.trim_end())))?;
    }
    Ok(())
}

/// What the helper says about it.
fn explain(identity: Ask, sandbox: Option<String>) -> Result<(), Failure> {
    let request = Request::Policy(PolicyQuestion { identity, sandbox });
    let mut what = None;
    question(request, |message| match message {
        HelperToCli::Granted(granted) => {
            what = Some(granted);
            Ok(())
        }
        HelperToCli::Text(text) => say::out(&say::escaped_block(&text)),
        other => Err(unexpected(&other)),
    })?;
    what.map_or(Ok(()), |granted| say::out(&say::escaped_block(&described(&granted))))
}

/// What a session of it would be, and what a source of its kind can and cannot do.
fn described(granted: &Granted) -> String {
    let role = granted.role.as_deref();
    let mut text = String::new();
    for row in narrowing::rows(role, &granted.narrowing) {
        let _ = writeln!(text, "  {row}");
    }
    for row in narrowing::abilities(&granted.source) {
        let _ = writeln!(text, "source {}: {row}", granted.source);
    }
    let document = narrowing::document(role, &granted.narrowing);
    if !document.is_empty() {
        let _ = writeln!(text, "session policy");
    }
    for line in document {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_a_deny_list_is_right_and_leaves_room() {
        let text = include_str!("../../../packaging/examples/deny-list.toml");
        let policy = agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }]).unwrap();
        assert_eq!(too_long(&policy), []);
        let identity = policy.identity("support").unwrap();
        let compiled = compile_for(&identity.narrowing, Some(&identity.role), false).unwrap();
        assert!(compiled.policy_json.unwrap().len() < 1024 && compiled.notes.is_empty());
    }

    #[test]
    fn a_session_policy_that_sts_would_not_take_is_an_error_of_the_check() {
        let of = |count: usize| {
            let actions: Vec<String> = (0..count).map(|n| format!("lambda:SomeAction{n}")).collect();
            let text = format!(
                "[source.s]\nprofile-file = \"/s\"\nregion = \"eu-west-1\"\n[identity.i]\nsource = \"s\"\n\
                 role = \"arn:aws:iam::111122223333:role/r\"\ndeny-actions = {actions:?}\n"
            );
            too_long(&agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: text.as_bytes() }]).unwrap())
        };
        assert_eq!(of(10), []);
        let wrong = of(120);
        assert_eq!((wrong.len(), wrong[0].line), (1, 4));
        assert!(wrong[0].message.contains("[identity.i]: the session policy has"), "{}", wrong[0]);
    }
}
