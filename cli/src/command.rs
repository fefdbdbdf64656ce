//! What each subcommand does.

mod audit;
mod complete;
mod config;
pub(crate) mod doctor;
mod home;
mod listing;
mod policy;
mod serve;
mod who;

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use agent_aws_protocol::Exit;

use crate::args::{Command, Run};
use crate::factor::{self, Code};
use crate::failure::Failure;
use crate::home::{store, toolchains};
use crate::prepare::Known;
use crate::request::Asked;
use crate::{preset, request, say, session, worktree};

/// Does it, and says how to end.
pub(crate) fn perform(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(run) => return start(&run, |_| {}),
        Command::Serve(serve) => return serve::perform(&serve),
        Command::Policy(policy) => return policy::perform(policy),
        Command::Home(command) => return home::perform(command),
        Command::Doctor(options) => return doctor::perform(&options),
        Command::Identities(options) => listing::identities(&options)?,
        Command::Whoami(options) => return who::whoami(options),
        Command::Credentials(options) => return who::credentials(options),
        Command::Sessions(options) if options.log => listing::log(&options)?,
        Command::Sessions(options) => listing::sessions(&options)?,
        Command::Stop(options) => return listing::stop(&options),
        Command::Audit(options) => return audit::audit(&options),
        Command::Config(command) => config::perform(command)?,
        Command::Completion { shell } => complete::script(shell)?,
        Command::Complete { words } => complete::complete(&words)?,
    }
    Ok(Exit::Code(0))
}

/// A session has one identity, and no other session in it.
fn outside() -> Result<(), Failure> {
    if !who::inside() {
        return Ok(());
    }
    let text = "this is inside a sandbox of agent-aws, where no other session can be started";
    Err(Failure::Other(text.into(), Some("run it outside".into())))
}

/// Starts a session; `change` has the last word about what is asked.
fn start(run: &Run, change: impl FnOnce(&mut Asked)) -> Result<Exit, Failure> {
    outside()?;
    let code = if run.explain { Code::default() } else { factor::code(&run.options.choice)? };
    let change = |asked: &mut Asked| {
        code.put(&mut asked.request);
        change(asked);
    };
    Ok(session::run(&run.command, false, || ask(run, change))?.exit)
}

/// What the helper shall be asked, put together while it starts.
fn ask(run: &Run, change: impl FnOnce(&mut Asked)) -> Result<Asked, Failure> {
    let mut asked = request::build(run)?;
    change(&mut asked);
    match worktree::repository(Path::new(OsStr::from_bytes(&asked.request.project))) {
        Ok(repository) => asked.request.repository = repository.unwrap_or_default().into_os_string().into_vec(),
        Err(doubt) => say::failure(&doubt.to_string(), Some(worktree::ADVICE)),
    }
    let (lookup, home) = (|name: &OsStr| std::env::var_os(name), store::callers_home().ok());
    if let Some(home) = &home {
        toolchains::add(&mut asked, home, &lookup);
    }
    if let Some(preset) = preset::choose(run.preset.as_deref(), run.command.first())? {
        preset.add(&mut asked, home.as_deref(), &lookup);
    }
    if !run.explain {
        asked.known = Known::of(Path::new(OsStr::from_bytes(&asked.request.project)), run.fresh_home);
    }
    Ok(asked)
}
