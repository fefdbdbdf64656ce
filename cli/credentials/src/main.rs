//! agent-aws-credentials: what a `credential_process` line names.
//!
//! Asks the broker of the session and prints its answer. It takes no argument, so that nobody can ask for another
//! identity, and knows three doors: the inherited descriptor, the socket, and the FIFO pair.

mod answer;
mod door;
#[allow(unsafe_code)]
mod sys;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "\
usage: agent-aws-credentials

Prints the credentials of this agent-aws session as JSON, for the AWS configuration setting credential_process.
It takes no argument. It asks the descriptor in AGENT_AWS_FD, else the socket in AGENT_AWS_SOCKET or
/run/agent-aws/credentials.sock, else, where an inner sandbox forbids sockets, the FIFOs request and answer
beside the socket.
";

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
    match door::ask().and_then(answer::check) {
        Ok(credentials) => print(&credentials),
        Err(text) => {
            complain(&text);
            ExitCode::from(NONE)
        }
    }
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
    let _ = writeln!(std::io::stderr(), "agent-aws-credentials: {text}");
}
