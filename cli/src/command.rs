//! What each subcommand does.

use agent_aws_protocol::Exit;

use crate::args::{Command, Run};
use crate::failure::Failure;
use crate::{request, session};

/// Does it, and says how to end.
pub(crate) fn perform(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(run) => perform_run(&run),
        _ => Err(Failure::Other("not yet".into(), None)),
    }
}

fn perform_run(run: &Run) -> Result<Exit, Failure> {
    let request = request::build(run)?;
    Ok(session::run(request, &run.command, false)?.exit)
}
