//! `agent-aws`: what a caller types. It holds no privilege and decides nothing that policy decides: it parses, adds the
//! caller's own configuration, starts the helper, sends it one request and then only waits.

mod args;
mod blocked;
mod command;
mod complete;
mod config;
mod environment;
mod explain;
mod factor;
mod failure;
mod helper;
mod home;
mod identity;
mod inside;
mod open;
mod own;
mod place;
mod prepare;
mod preset;
mod region;
mod request;
mod resolver;
mod say;
#[cfg(test)]
mod scratch;
mod serve;
mod session;
mod signals;
mod spawn;
mod sys;
mod table;
mod terminal;
mod trusted;
mod worktree;

use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let cli = match args::parse(&words) {
        Ok(cli) => cli,
        Err(status) => return ExitCode::from(status),
    };
    match command::perform(cli.command) {
        Ok(exit) => sys::end_as(exit),
        Err(failure) => failure.report(),
    }
}

/// The command line as data, for what writes the manual pages.
pub fn command_line() -> clap::Command {
    <args::Cli as clap::CommandFactory>::command()
}
