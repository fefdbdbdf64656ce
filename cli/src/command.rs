//! What each subcommand does.

mod doctor;
mod listing;
mod policy;
mod who;

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use agent_aws_protocol::Exit;

use crate::args::{Command, Config as ConfigCommand, Run};
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::{preset, request, say, session, worktree};

/// Does it, and says how to end.
pub(crate) fn perform(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(run) => return perform_run(&run),
        Command::Policy(policy) => return policy::perform(policy),
        Command::Doctor(options) => return doctor::perform(options.json),
        Command::Identities(options) => listing::identities(&options)?,
        Command::Whoami(options) => return who::whoami(options),
        Command::Credentials(options) => return who::credentials(options),
        Command::Sessions(options) => listing::sessions(options.json)?,
        Command::Stop { id } => listing::stop(id)?,
        Command::Config(ConfigCommand::Default { name }) => config::set_default(&config::path()?, &name)?,
        Command::Config(ConfigCommand::Show) => show_config()?,
    }
    Ok(Exit::Code(0))
}

fn perform_run(run: &Run) -> Result<Exit, Failure> {
    if who::inside() {
        let text = "this is inside a sandbox of agent-aws, where no other session can be started";
        return Err(Failure::Other(text.into(), Some("run it outside".into())));
    }
    let mut asked = request::build(run)?;
    match worktree::repository(Path::new(OsStr::from_bytes(&asked.request.project))) {
        Ok(repository) => asked.request.repository = repository.unwrap_or_default().into_os_string().into_vec(),
        Err(doubt) => say::failure(&doubt.to_string(), Some(worktree::ADVICE)),
    }
    if let Some(preset) = preset::choose(run.preset.as_deref(), run.command.first())? {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        preset.add(&mut asked, home.as_deref(), &|name| std::env::var_os(name));
    }
    Ok(session::run(asked, &run.command, false)?.exit)
}

fn show_config() -> Result<(), Failure> {
    let path = config::path()?;
    let default = match Config::load()?.default {
        Some(name) => say::escaped(&name),
        None => "none: the only identity that you may use, if there is only one".to_owned(),
    };
    say::out(&format!("file     {}\ndefault  {default}\n", say::escaped(&path.display().to_string())))
}
