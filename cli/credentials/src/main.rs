//! agent-aws-credentials: what a `credential_process` line names.
//!
//! Asks the broker of the session and prints its answer. It takes no argument, so that nobody can ask for another
//! identity, and knows three doors: the inherited descriptor, the socket, and the FIFO pair. Where it is called
//! agent-aws-model-credentials it knows one other door and none of these: the socket of the identity with which the agent
//! asks its model. A name and not an argument, so that a configuration that names one of the two cannot lead to the other,
//! and neither stands in for the other where that has no answer.

mod answer;
mod door;
#[allow(unsafe_code)]
mod sys;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: agent-aws-credentials

Prints the credentials of this agent-aws session as JSON, for the AWS configuration setting credential_process.
It takes no argument. It asks the descriptor in AGENT_AWS_FD, else the socket in AGENT_AWS_SOCKET or
/run/agent-aws/credentials.sock, else, where an inner sandbox forbids sockets, the FIFOs request and answer
beside the socket.

Called agent-aws-model-credentials it prints those of the identity that the model is asked with, if the session has one,
from /run/agent-aws/model.sock and from nowhere else.
";
/// What it is called where it asks for the model's identity.
const FOR_MODEL: &str = "agent-aws-model-credentials";

/// Exit status: no credentials.
const NONE: u8 = 1;
/// Exit status: an argument was given.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next().as_deref().and_then(|a| a.to_str()), arguments.next()) {
        (Some("--help" | "-h"), None) => return print(USAGE.as_bytes()),
        (Some("--version" | "-V"), None) => {
            return print(concat!("agent-aws-credentials ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
        }
        _ if std::env::args_os().len() > 1 => {
            complain("it takes no argument: there is one identity in a session");
            return ExitCode::from(MISUSED);
        }
        _ => {}
    }
    let asked = if is_for_model() { door::ask_for_model() } else { door::ask() };
    match asked.and_then(answer::check) {
        Ok(credentials) => print(&credentials),
        Err(text) => {
            complain(&text);
            ExitCode::from(NONE)
        }
    }
}

fn is_for_model() -> bool {
    let called = std::env::args_os().next().unwrap_or_default();
    Path::new(&called).file_name().is_some_and(|name| name == FOR_MODEL)
}

/// One write: a reader sees all of it or nothing.
fn print(bytes: &[u8]) -> ExitCode {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => {}
            // Whoever closed stdout does not want to know why.
            Err(_) => return ExitCode::from(NONE),
        }
    }
    ExitCode::SUCCESS
}

fn complain(text: &str) {
    let name = if is_for_model() { FOR_MODEL } else { "agent-aws-credentials" };
    let _ = writeln!(std::io::stderr(), "{name}: {text}");
}
