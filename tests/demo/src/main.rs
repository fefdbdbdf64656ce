//! `make demo`: one session from start to end, without an AWS account. As root with the setuid helper, in a private
//! world; as an ordinary user with the helper without its setuid bit.

mod story;

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{End, Entered, Homes, Mode, enter};

/// The story takes a minute.
const LIMIT: Duration = Duration::from_secs(240);

fn main() -> ExitCode {
    let again = match enter() {
        Entered::Inside(mode) if mode == Mode::Setuid.to_string() => return inside(Mode::Setuid),
        Entered::Inside(_) => return inside(Mode::Unprivileged),
        Entered::Outside(again) => again,
    };
    let _homes = Homes::watch();
    let mode = if again.is_root() { Mode::Setuid } else { Mode::Unprivileged };
    println!();
    match mode {
        Mode::Setuid => {
            println!(
                "You are root: this demo shows agent-aws as a package installs it, with its setuid helper. It runs in"
            );
            println!("mount and pid namespaces of its own, with a user `alice`: nothing of this machine is changed.");
        }
        Mode::Unprivileged => {
            println!(
                "You are not root: this demo shows agent-aws without its setuid helper. Same sandbox, same doors; the"
            );
            println!("credentials come from an AWS configuration of your own (a temporary one, not your ~/.aws).");
        }
    }
    let mut command = again.command(&mode.to_string());
    let end = again.run(&mut command, LIMIT);
    println!();
    match end {
        End::Status(0) => {
            println!("The demo is over, and everything that it made is gone.");
            ExitCode::SUCCESS
        }
        End::Status(status) => {
            println!("The demo failed (status {status}): `agent-aws doctor` may say why.");
            ExitCode::FAILURE
        }
        End::TooLong => {
            println!("The demo took more than {} s and was ended.", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}

fn inside(mode: Mode) -> ExitCode {
    match story::tell(mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            println!("\n   That was not as it must be: {what}");
            ExitCode::FAILURE
        }
    }
}
