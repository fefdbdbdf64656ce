//! `make bench`: figures beside the budgets of docs/architecture.md. Printed, never asserted: the machine decides.
//!
//! `agent-aws-bench [ROUNDS] [PART...]`: rounds of starts, 30 otherwise; all parts otherwise.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a bench fails by panicking

mod bwrap;
mod network;
mod parts;
mod peers;
mod table;
mod work;
mod worker;

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

type Part = fn(Mode, usize);

const PARTS: [(&str, Part); 6] = [
    ("starts", parts::starts),
    ("doors", |mode, _| parts::doors(mode)),
    ("memory", |mode, _| parts::memory(mode)),
    ("calls", |mode, _| parts::calls(mode)),
    ("work", work::work),
    ("network", network::network),
];

fn inside(label: &str) -> ExitCode {
    let mode = if label == Mode::Setuid.to_string() { Mode::Setuid } else { Mode::Unprivileged };
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rounds = words.first().map_or(ROUNDS, |n| n.parse().expect("a number of rounds"));
    let wanted = words.get(1..).unwrap_or_default();
    println!("\n=== {mode} mode");
    for (_, part) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        part(mode, rounds);
    }
    ExitCode::SUCCESS
}
