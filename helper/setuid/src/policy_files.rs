//! The policy on disk: opened by descriptor, each component root's own, and read by a process without privilege.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_aws_policy::Policy;
use agent_aws_protocol::{FailureCode, HelperToReader, ReaderToHelper, Refusal};
use agent_aws_sandbox::Ids;
use rustix::fs::{Dir, Mode, OFlags, openat};

use crate::child::Child;
use crate::entry::{Entered, Mode as Power};
use crate::installation::{open_directory_of_root, open_file_of_root};
use crate::refusal::advise;
use crate::service::{Manner, Service};
use crate::subject::NOBODY;

/// Where policy lives.
const DIRECTORY: &str = "/etc/agent-aws";
/// More files than a policy has, which is for the reader to say; a bound for what is open here at once.
const MAX_FILES: usize = 100;
/// The largest policy, as data, in bytes.
const MAX_POLICY: usize = 64 << 20;
/// How long the reader may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where policy is read from, now and at every renewal, and by whom.
pub(crate) struct PolicyFiles {
    place: Place,
    reader: Child,
}

enum Place {
    /// Root's own directory.
    Directory(OwnedFd),
    /// The policy that is shipped: what holds where nothing can be enforced.
    Shipped,
}

/// Starts who reads policy: it gets ready while other things are asked.
pub(crate) fn reader(entered: &Entered) -> Result<Child, Refusal> {
    let nobody = Ids { uid: NOBODY, gid: NOBODY, groups: Some(vec![]) };
    let name = "agent-aws-reader";
    let service = Service {
        name,
        program: entered.installation.program(name)?,
        ids: entered.mode.is_privileged().then_some(nobody),
        arguments: vec![],
        environment: vec![],
        channel: None,
        manner: Manner::Files,
    };
    service.start(None)
}

impl PolicyFiles {
    /// Finds the policy. In unprivileged mode one that cannot be read is replaced by the shipped one: it could not
    /// bind the caller anyway.
    pub(crate) fn find(power: &Power, reader: Result<Child, Refusal>) -> Result<Self, Refusal> {
        let place = match open_directory_of_root(Path::new(DIRECTORY)) {
            Ok(directory) if power.is_privileged() => Place::Directory(directory),
            Ok(directory) => {
                let readable = open_file_of_root(&directory, Path::new("policy.toml"), false).is_ok();
                if readable { Place::Directory(directory) } else { Place::Shipped }
            }
            Err(_) if !power.is_privileged() => Place::Shipped,
            Err(what) => return Err(broken(&format!("policy: {what}"))),
        };
        Ok(Self { place, reader: reader? })
    }

    /// Who reads it.
    pub(crate) fn reader(&self) -> &Child {
        &self.reader
    }

    /// Has it read as it is now.
    pub(crate) fn read(&self) -> Result<Policy, Refusal> {
        match &self.place {
            // All are open before the reader hears of one: what it was handed and not asked for would come before the next.
            Place::Directory(directory) => opened(directory)?
                .into_iter()
                .try_for_each(|(name, file)| self.tell(&HelperToReader::File { name }, Some(&file)))?,
            Place::Shipped => {
                let name = format!("{DIRECTORY}/policy.toml (as shipped)");
                self.tell(&HelperToReader::Shipped { name }, None)?;
            }
        }
        self.tell(&HelperToReader::Read, None)?;
        let mut bytes = Vec::new();
        loop {
            match self.reader.channel.receive(Some(DEADLINE)).map_err(|e| self.given_up(&e))?.message {
                ReaderToHelper::Piece(piece) if bytes.len() < MAX_POLICY => bytes.extend(piece),
                ReaderToHelper::Done => return postcard::from_bytes(&bytes).map_err(|e| self.given_up(&e)),
                ReaderToHelper::Faulty { what } => return Err(broken(&what)),
                ReaderToHelper::Piece(_) => return Err(self.given_up(&"its answer is too long")),
            }
        }
    }

    fn tell(&self, message: &HelperToReader, with: Option<&OwnedFd>) -> Result<(), Refusal> {
        let with: Vec<_> = with.iter().map(|file| file.as_fd()).collect();
        self.reader.channel.send_with(message, &with).map_err(|e| self.given_up(&e))
    }

    /// A reader that does not answer as it should is ended: what it says late must not be taken for a later answer.
    fn given_up(&self, why: &dyn std::fmt::Display) -> Refusal {
        self.reader.process.kill();
        let text = format!("policy: agent-aws-reader: {why}");
        advise(FailureCode::Policy, text, "start again; if that does not help, reinstall agent-aws")
    }
}

/// Every file, in the order of their names, open.
fn opened(directory: &OwnedFd) -> Result<Vec<(String, OwnedFd)>, Refusal> {
    let mut files = vec![open(directory, Path::new("policy.toml"), DIRECTORY)?];
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, "policy.d", flags, Mode::empty()) {
        Ok(more) => {
            root_owned(&more)?;
            for name in names(&more)? {
                files.push(open(&more, Path::new(&name), &format!("{DIRECTORY}/policy.d"))?);
            }
        }
        Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(broken(&format!("{DIRECTORY}/policy.d: {e}"))),
    }
    Ok(files)
}

fn open(directory: &OwnedFd, name: &Path, under: &str) -> Result<(String, OwnedFd), Refusal> {
    let shown = PathBuf::from(under).join(name).display().to_string();
    let file = open_file_of_root(directory, name, false).map_err(|what| broken(&format!("{shown}: {what}")))?;
    Ok((shown, file))
}

fn broken(what: &str) -> Refusal {
    advise(FailureCode::Policy, what, "nothing runs without a valid policy: `agent-aws policy check` as root says more")
}

fn root_owned(directory: &OwnedFd) -> Result<(), Refusal> {
    let found = rustix::fs::fstat(directory).map_err(|e| broken(&format!("{DIRECTORY}/policy.d: {e}")))?;
    match found.st_uid == 0 && found.st_mode & 0o022 == 0 {
        true => Ok(()),
        false => Err(broken(&format!("{DIRECTORY}/policy.d: is not root's own, or others may write to it"))),
    }
}

fn names(directory: &OwnedFd) -> Result<Vec<OsString>, Refusal> {
    let fail = |e: rustix::io::Errno| broken(&format!("{DIRECTORY}/policy.d: {e}"));
    let mut found = Vec::new();
    for entry in Dir::read_from(directory).map_err(fail)? {
        let name = OsString::from_vec(entry.map_err(fail)?.file_name().to_bytes().to_vec());
        let is_ours = name.as_bytes().ends_with(b".toml") || name.as_bytes().ends_with(b".json");
        if is_ours && !name.as_bytes().starts_with(b".") {
            found.push(name);
        }
    }
    if found.len() >= MAX_FILES {
        return Err(broken(&format!("{DIRECTORY}/policy.d: {MAX_FILES} files or more")));
    }
    found.sort();
    Ok(found)
}
