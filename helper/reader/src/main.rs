//! agent-aws-reader: reads policies for the helper.
//!
//! Started by the helper with descriptor 3, the conversation with it, and nothing else: no privilege, no file, no name of
//! the caller. It gets the files of a policy open, reads them and answers with the policy as data, or with what is wrong.
//! The supervisor keeps it, to read the policy again before each refresh.

mod confine;
mod sys;

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_policy::Policy;
use agent_aws_policy_text::{DEFAULT_POLICY, Diagnostic, MAX_FILE_BYTES, SourceFile, parse};
use agent_aws_protocol::{Channel, ChannelError, HelperToReader, ReaderToHelper};

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest piece of a policy in one message, in bytes.
const PIECE: usize = 32 * 1024;

/// Name and content of a file, or why it cannot be read.
type Content = (String, Result<Vec<u8>, String>);

fn main() -> ExitCode {
    let Some(socket) = sys::inherited() else {
        return ExitCode::from(2);
    };
    let channel = Channel::new(socket, PATIENCE);
    if let Err(what) = confine::confine() {
        let _ = channel.send(&ReaderToHelper::Faulty { what });
        return ExitCode::FAILURE;
    }
    match serve(&channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Until the helper has gone.
fn serve(channel: &Channel) -> Result<(), ChannelError> {
    let mut files: Vec<Content> = Vec::new();
    loop {
        let said = channel.receive::<HelperToReader>(None)?;
        match said.message {
            HelperToReader::File { name } => {
                let file = said.descriptors.into_iter().next().ok_or("the file did not come along".to_owned());
                let bytes = file.and_then(|file| read(File::from(file)).map_err(|e| e.to_string()));
                files.push((name, bytes));
            }
            HelperToReader::Shipped { name } => files.push((name, Ok(DEFAULT_POLICY.as_bytes().to_vec()))),
            HelperToReader::Read => answer(channel, policy(&std::mem::take(&mut files)))?,
        }
    }
}

/// One byte more than a policy file may have, so that a larger one is found out.
fn read(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn policy(files: &[Content]) -> Result<Policy, String> {
    let mut sources = Vec::new();
    for (name, bytes) in files {
        sources.push(SourceFile { name, bytes: bytes.as_ref().map_err(|why| format!("{name}: {why}"))? });
    }
    parse(&sources).map_err(|all| in_a_line(&all))
}

/// The first of what is wrong, and how much more there is. A key that is misspelt is often why another one is lacking.
fn in_a_line(all: &[Diagnostic]) -> String {
    let misspelt = all.iter().find(|d| d.message.starts_with("unknown key"));
    let first = misspelt.or(all.first()).map(ToString::to_string).unwrap_or_default();
    let more = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
    format!("{first}{more}")
}

fn answer(channel: &Channel, policy: Result<Policy, String>) -> Result<(), ChannelError> {
    match policy.and_then(|policy| postcard::to_stdvec(&policy).map_err(|e| e.to_string())) {
        Ok(bytes) => {
            for piece in bytes.chunks(PIECE) {
                channel.send(&ReaderToHelper::Piece(piece.to_vec()))?;
            }
            channel.send(&ReaderToHelper::Done)
        }
        Err(what) => channel.send(&ReaderToHelper::Faulty { what }),
    }
}
