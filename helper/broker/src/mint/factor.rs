//! A second factor: shown once, for a session that the broker keeps and mints with.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::sts::Issued;
use crate::cause::Cause;
use crate::clock::Now;
use crate::source::Factor;

/// The variable that holds the code which the caller was asked for.
const CODE: &str = "AGENT_AWS_MFA_CODE";
/// How long a program may take to give one: it may ask somebody.
const LONGEST: Duration = Duration::from_secs(25);
/// A session with less than this left is not begun anything with, in seconds: more than a refresh is ahead of the end, so that
/// one that is passed on is not passed on again and again.
const MARGIN: u64 = 25 * 60;
/// The longest code, in bytes.
const MOST: u64 = 64;

/// Codes and what they gave.
#[derive(Debug)]
pub(super) struct Factors {
    code: RefCell<Option<String>>,
    session: RefCell<Option<Issued>>,
}

impl Factors {
    /// Takes the caller's code out of the environment.
    pub(super) fn new() -> Self {
        let code = std::env::var(CODE).ok().filter(|code| is_code(code));
        Self { code: RefCell::new(code), session: RefCell::new(None) }
    }

    /// The session that was begun with a code, while it lasts.
    pub(super) fn session(&self) -> Option<Issued> {
        let now = Now::read().wall.as_secs();
        self.session.borrow().clone().filter(|issued| issued.expires > now + MARGIN)
    }

    pub(super) fn keep(&self, session: Issued) {
        *self.session.borrow_mut() = Some(session);
    }

    /// A code that was not used yet: the caller's, else of the program that gives them.
    pub(super) async fn code(&self, factor: &Factor) -> Result<String, Cause> {
        let given = self.code.borrow_mut().take();
        match (given, &factor.process) {
            (Some(code), _) => Ok(code),
            (None, Some(program)) => ask(program).await,
            (None, None) => Err(Cause::denied(format!(
                "a code of the second factor {} is needed: start on a terminal, where it is asked for, or say mfa_process in the AWS \
                 profile",
                factor.serial
            ))),
        }
    }
}

fn is_code(text: &str) -> bool {
    (6..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Runs the program and reads the one word that it prints.
async fn ask(program: &str) -> Result<String, Cause> {
    let failed = |what: String| Cause::denied(format!("mfa_process `{program}`: {what}"));
    let mut command = Command::new("sh");
    command.args(["-c", program]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
    let Some(stdout) = child.stdout.take() else { return Err(failed("it has no output".into())) };
    let read = async {
        let mut text = String::new();
        let read = stdout.take(MOST).read_to_string(&mut text).await;
        (read, text, child.wait().await)
    };
    match tokio::time::timeout(LONGEST, read).await {
        Ok((Ok(_), text, Ok(status))) if status.success() && is_code(text.trim()) => Ok(text.trim().to_owned()),
        Ok((_, _, Ok(status))) if !status.success() => Err(failed(status.to_string())),
        Ok(_) => Err(failed("it printed no code of six to eight digits".into())),
        Err(_) => Err(failed(format!("no code within {} s", LONGEST.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_to_eight_digits() {
        assert!(is_code("123456") && is_code("12345678"));
        for bad in ["", "12345", "123456789", "12345a", "123 456", "-12345"] {
            assert!(!is_code(bad), "{bad}");
        }
    }
}
