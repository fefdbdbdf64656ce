//! `serve`: the pattern of a credential daemon, for one identity and as long as it is wanted.

use agent_aws_protocol::{Bytes, Exit, ModelAsk, RunRequest};

use super::outside;
use crate::args::{Run, Serve};
use crate::failure::Failure;
use crate::serve::Where;
use crate::{factor, place, request, serve};

/// Serves until its end.
pub(super) fn perform(options: &Serve) -> Result<Exit, Failure> {
    outside()?;
    let directory = place::working_directory(std::env::var_os("PWD"))?;
    let place = match (&options.socket, &options.directory) {
        (Some(path), _) => Where::Socket(place::absolute(&directory, path)?),
        (None, Some(path)) => Where::Directory(place::absolute(&directory, path)?),
        (None, None) => {
            return Err(Failure::Option("there is no socket".into(), "say --socket PATH or --directory DIR"));
        }
    };
    let code = factor::code(&options.options.choice)?;
    serve::serve(&place, options.command.clone(), || {
        let mut request = request(options)?;
        code.put(&mut request);
        Ok(request)
    })
}

/// A run without anything of a sandbox.
fn request(options: &Serve) -> Result<RunRequest, Failure> {
    let run = Run {
        options: options.options.clone(),
        access: options.access.clone(),
        deny_action: options.deny_action.clone(),
        network: Some("none".into()),
        ..Run::default()
    };
    let built = request::build(&run)?.request;
    Ok(RunRequest { project: Bytes::new(), wait: true, serve: true, model: ModelAsk::Without, ..built })
}
