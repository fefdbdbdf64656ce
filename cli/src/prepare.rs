//! What the helper leaves to the caller's own rights before it builds the sandbox: the agent's home, and in it what
//! something is mounted on; or what of a real home must be hidden.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent_aws_plan::{Origin, Plan};
use agent_aws_policy::Home;
use agent_aws_protocol::Bytes;

use crate::failure::Failure;
use crate::home::beneath::Directory;
use crate::home::lock::{InUse, SetUp};
use crate::home::{git, hide, remove, store};
use crate::preset::Chosen;

/// How long the end of a session waits for a former home to be deleted. What is left goes at the next start.
const DELETION: Duration = Duration::from_secs(10);

/// What is known of a run when its home is made ready.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Begin with an empty home.
    pub(crate) fresh: bool,
    /// The command is a program of ours, which connects to nothing in a home.
    pub(crate) ours: bool,
    /// The caller's git, asked already.
    pub(crate) git: Option<git::Asked>,
}

impl Known {
    /// Git is asked now: it answers while the helper does its part.
    pub(crate) fn of(project: &Path, fresh: bool) -> Self {
        let lookup = |name: &OsStr| std::env::var_os(name);
        let git = store::callers_home().ok().and_then(|home| git::ask(&lookup, &home, project));
        Self { fresh, ours: false, git }
    }
}

/// What was made ready. Kept until the session ends.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Paths of a real home that must be hidden.
    pub(crate) hide: Vec<Bytes>,
    /// What the caller should know once.
    pub(crate) notices: Vec<String>,
    in_use: Option<InUse>,
    deletion: Option<JoinHandle<()>>,
}

impl Prepared {
    /// At the end of the session: the home is free again.
    pub(crate) fn release(self) {
        drop(self.in_use);
        let end = Instant::now() + DELETION;
        while self.deletion.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Makes ready what the plan says of the home; with `explain` nothing is made. `directory` is the working directory.
pub(crate) fn perform(
    plan: &Plan,
    directory: &Path,
    explain: bool,
    known: Known,
    preset: Option<&Chosen>,
) -> Result<Prepared, Failure> {
    match plan.grant.home {
        Home::Agent if explain => Ok(Prepared::default()),
        Home::Agent => agent(plan, known, preset),
        Home::RealReadOnly | Home::Real => real(plan, directory, known.ours),
    }
}

fn agent(plan: &Plan, known: Known, preset: Option<&Chosen>) -> Result<Prepared, Failure> {
    let (Some(parent), Some(name)) = (plan.home.parent(), plan.home.file_name()) else {
        return Err(Failure::Other(format!("{} is no place for a home", plan.home.display()), None));
    };
    let around = Directory::around_homes(parent)?;
    let set_up = SetUp::begin(&around, name)?;
    let in_use = match known.fresh {
        true => emptied(&around, name, &set_up)?,
        false => InUse::with_others(&around, name, &set_up)?,
    };
    let home = around.home(name)?;
    for point in &plan.mount_points {
        home.mount_point(&point.below, &point.source)?;
    }
    let settings = known.git.map(git::Asked::settings).unwrap_or_default();
    let written = git::write(&home, &settings);
    let mut notices: Vec<String> =
        preset.into_iter().flat_map(|preset| preset.write(&home, plan.grant.model.is_some())).collect();
    drop(set_up);
    notices.extend(written.err().map(|e| format!("your git settings are not in the agent's home: {e}")));
    Ok(Prepared { hide: vec![], notices, in_use: Some(in_use), deletion: deletion(around) })
}

/// The home put aside, so that a new one is made; only if nobody has it.
fn emptied(around: &Directory, name: &OsStr, set_up: &SetUp) -> Result<InUse, Failure> {
    let Some(alone) = InUse::alone(around, name, set_up)? else {
        let text = format!("--fresh-home: another session uses the home {}", around.path().join(name).display());
        return Err(Failure::Other(text, Some("end that session, or take another home: --home NAME".into())));
    };
    remove::aside(around, name)?;
    alone.share(set_up)
}

/// Former homes are deleted while the session runs.
fn deletion(around: Directory) -> Option<JoinHandle<()>> {
    let left = remove::left_aside(&around);
    if left.is_empty() {
        return None;
    }
    Some(std::thread::spawn(move || left.iter().for_each(|name| drop(remove::tree(&around, name)))))
}

fn real(plan: &Plan, directory: &Path, ours: bool) -> Result<Prepared, Failure> {
    let is_asked = |origin: &Origin| matches!(origin, Origin::Project | Origin::Repository | Origin::Caller(_));
    let asked = plan.intents.iter().filter(|intent| is_asked(&intent.origin));
    let asked: Vec<&Path> = asked.map(|intent| intent.path.as_path()).collect();
    let facts = hide::Facts { home: &plan.caller.home, directory, asked: &asked, ours };
    let found = hide::hidden(facts, &|name| std::env::var_os(name))?;
    let hide = found.into_iter().map(|path: PathBuf| path.into_os_string().into_vec()).collect();
    Ok(Prepared { hide, ..Prepared::default() })
}
