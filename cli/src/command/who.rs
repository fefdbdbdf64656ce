//! `whoami` and `credentials`: inside a session from its door, outside through a session of their own.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use agent_aws_protocol::{Exit, FailureCode, Refusal};
use serde_json::{Value, json};

use crate::args::{Credentials, Format, Options, Run, Whoami};
use crate::failure::Failure;
use crate::prepare::Known;
use crate::session::Standing;
use crate::{factor, request, say, session};

/// The client of the credential door, in every sandbox.
const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";
/// What the helper wrote about the session, in every sandbox.
const FACTS: &str = "/run/agent-aws/session.json";
/// No answer of a door is longer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// The members of an answer, with the variables that SDKs know them by.
const MEMBERS: [(&str, &str); 4] = [
    ("AccessKeyId", "AWS_ACCESS_KEY_ID"),
    ("SecretAccessKey", "AWS_SECRET_ACCESS_KEY"),
    ("SessionToken", "AWS_SESSION_TOKEN"),
    ("Expiration", "AWS_CREDENTIAL_EXPIRATION"),
];

/// Whether this process is in a sandbox of ours.
pub(super) fn inside() -> bool {
    std::env::var_os("AGENT_AWS_SESSION").is_some() && Path::new(CLIENT).exists()
}

/// A session has one identity; another one cannot be asked for from inside.
fn must_not_choose(options: &Options) -> Result<(), Failure> {
    if options.choice.identity.is_none() && options.choice.profile.is_none() {
        return Ok(());
    }
    Err(Failure::Option(
        "this is a session already, and a session is one identity only".into(),
        "leave --as and --profile away, or ask outside",
    ))
}

/// What the door of the session that we are in gives.
fn from_door() -> Result<String, Failure> {
    let failed = |e| Failure::Path(CLIENT.into(), e);
    let mut client = Command::new(CLIENT).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let answer = client.stdout.take().map(read_answer).transpose()?.unwrap_or_default();
    let status = client.wait().map_err(failed)?;
    if status.success() {
        return Ok(answer);
    }
    // The client has said why.
    Err(Failure::Said(125))
}

fn read_answer(from: ChildStdout) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(MAX_ANSWER).read_to_string(&mut text).map_err(|e| Failure::Os("cannot read the credentials", e))?;
    Ok(text)
}

/// Everything that is there by now: whoever might still hold the other end does not keep us.
fn read_rest(from: ChildStdout) -> Result<String, Failure> {
    rustix::fs::fcntl_setfl(&from, rustix::fs::OFlags::NONBLOCK)
        .map_err(|e| Failure::Os("cannot read the credentials", e.into()))?;
    read_answer(from)
}

/// Runs a session that does nothing but ask its door. The answer is there once the session has ended: it is smaller than
/// what a pipe holds.
fn from_session(options: Options) -> Result<(Option<Standing>, String), Failure> {
    let run = Run {
        options,
        network: Some("none".into()),
        command: vec![OsString::from(CLIENT)],
        no_model_identity: true,
        ..Run::default()
    };
    let code = factor::code(&run.options.choice)?;
    let ask = || {
        let mut asked = request::build(&run)?;
        code.put(&mut asked.request);
        // It needs no project: it shall work from the home directory too.
        asked.request.project.clear();
        asked.known = Known { ours: true, ..Known::default() };
        Ok(asked)
    };
    let outcome = session::run(&run.command, true, ask)?;
    let answer = outcome.output.map(read_rest).transpose()?.unwrap_or_default();
    match outcome.exit {
        Exit::Code(0) => Ok((outcome.started, answer)),
        _ => Err(Failure::Said(125)),
    }
}

/// Whether credentials can be had; what was said of them.
pub(super) fn minted(options: Options) -> Result<Option<Standing>, Failure> {
    from_session(options).map(|(standing, _)| standing)
}

/// Prints the credentials of the session's identity.
pub(super) fn credentials(asked: Credentials) -> Result<Exit, Failure> {
    let text = if inside() {
        must_not_choose(&asked.options)?;
        from_door()?
    } else {
        from_session(asked.options)?.1
    };
    let text = match asked.format {
        Format::Process | Format::Json => text,
        Format::Env => exports(&text)?,
    };
    if io::stdout().is_terminal() {
        say::line("these are secrets: they are on your screen now, and in what it remembers");
    }
    say::out(&text)?;
    Ok(Exit::Code(0))
}

fn no_credentials() -> Failure {
    Failure::Refused(Refusal {
        code: FailureCode::Credentials,
        text: "the answer holds no credentials".into(),
        advice: Some("agent-aws doctor looks for the cause".into()),
        audit: None,
    })
}

/// `export` lines for a POSIX shell.
fn exports(answer: &str) -> Result<String, Failure> {
    let answer: Value = serde_json::from_str(answer).map_err(|_| no_credentials())?;
    let mut lines = String::new();
    for (member, variable) in MEMBERS {
        if let Some(value) = answer.get(member).and_then(Value::as_str) {
            lines.push_str(&format!("export {variable}={}\n", quoted(value)));
        }
    }
    if answer.get("AccessKeyId").is_none() || answer.get("SecretAccessKey").is_none() {
        return Err(no_credentials());
    }
    Ok(lines)
}

/// As one word for a POSIX shell, whatever is in it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Says which identity a session has.
pub(super) fn whoami(asked: Whoami) -> Result<Exit, Failure> {
    let facts = if inside() {
        must_not_choose(&asked.options)?;
        facts_inside()?
    } else {
        let (started, _) = from_session(asked.options)?;
        started.as_ref().map(facts_of).unwrap_or_default()
    };
    if asked.json {
        say::json(&facts)?;
    } else {
        say::out(&facts_text(&facts))?;
    }
    Ok(Exit::Code(0))
}

fn facts_of(Standing { said: started, granted }: &Standing) -> Value {
    json!({
        "identity": granted.identity,
        "arn": started.arn,
        "account": started.account,
        "access": granted.access,
        "expires": started.expires.map(say::date_time).map(|t| format!("{t} UTC")),
    })
}

/// What the helper wrote down, and from the door what has changed since.
fn facts_inside() -> Result<Value, Failure> {
    let text = std::fs::read_to_string(FACTS).map_err(|e| Failure::Path(FACTS.into(), e))?;
    let not_ours = |_| Failure::Path(FACTS.into(), io::Error::from(io::ErrorKind::InvalidData));
    let mut facts: Value = serde_json::from_str(&text).map_err(not_ours)?;
    let answer = serde_json::from_str(&from_door()?).unwrap_or(Value::Null);
    if let Some(facts) = facts.as_object_mut() {
        for (member, name) in [("AccountId", "account"), ("Expiration", "expires")] {
            if let Some(value) = answer.get(member) {
                facts.insert(name.into(), value.clone());
            }
        }
    }
    Ok(facts)
}

fn facts_text(facts: &Value) -> String {
    const ORDER: [&str; 9] =
        ["identity", "arn", "account", "access", "region", "network", "sandbox", "session", "expires"];
    let row = |name: &str| {
        let value = facts.get(name)?.as_str().filter(|v| !v.is_empty())?;
        Some(vec![name.to_owned(), say::escaped(value)])
    };
    say::table(&ORDER.into_iter().filter_map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_safe_to_evaluate_whatever_the_answer_holds() {
        let answer = r#"{"Version":1,"AccessKeyId":"ASIA1","SecretAccessKey":"a'b$(id)`\\","Expiration":"2026"}"#;
        assert_eq!(
            exports(answer).unwrap(),
            "export AWS_ACCESS_KEY_ID='ASIA1'\nexport AWS_SECRET_ACCESS_KEY='a'\\''b$(id)`\\'\nexport AWS_CREDENTIAL_EXPIRATION='2026'\n"
        );
        assert!(exports("{}").is_err());
        assert!(exports("no json").is_err());
    }

    #[test]
    fn whoami_shows_what_is_known_and_nothing_else() {
        let facts = json!({ "identity": "incident", "region": "", "arn": null, "other": "x", "session": "s\u{1b}" });
        assert_eq!(facts_text(&facts), "identity  incident\nsession   s\\u{1b}\n");
    }
}
