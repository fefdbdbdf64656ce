//! `make bench`: figures beside the budgets of docs/architecture.md. Printed, never asserted: the machine decides.
//!
//! `agent-aws-bench [ROUNDS]`: rounds of starts, 30 otherwise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a bench fails by panicking

mod bwrap;
mod parts;
mod table;
mod work;

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{End, Entered, Homes, Mode, enter};

const LIMIT: Duration = Duration::from_secs(900);
const ROUNDS: usize = 30;

fn main() -> ExitCode {
    let again = match enter() {
        Entered::Inside(label) => return inside(&label),
        Entered::Outside(again) => again,
    };
    let _homes = Homes::watch();
    println!("\nOne machine, one moment: compare columns, not days. Commands of a row were run in alternation.");
    let modes: &[Mode] = if again.is_root() { &[Mode::Setuid, Mode::Unprivileged] } else { &[Mode::Unprivileged] };
    for mode in modes {
        let end = again.run(&mut again.command(&mode.to_string()), LIMIT);
        if end != End::Status(0) {
            println!("the measurements of {mode} mode did not come to their end: {end:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn inside(label: &str) -> ExitCode {
    let mode = if label == Mode::Setuid.to_string() { Mode::Setuid } else { Mode::Unprivileged };
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |n| n.parse().expect("a number of rounds"));
    println!("\n=== {mode} mode");
    parts::starts(mode, rounds);
    parts::doors(mode);
    parts::memory(mode);
    parts::calls(mode);
    work::work(mode, rounds);
    ExitCode::SUCCESS
}
