//! Making the sandbox: open what the plan needs with the rights of whoever may, then build in new namespaces, drop, and
//! execute init.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_aws_plan::tables::SECRET_STORES;
use agent_aws_plan::{Access, Intent, Kind, Opener, Origin, Plan, Source, SourceId, What};
use agent_aws_policy::Network;
use agent_aws_protocol::{Channel, ChannelError, FailureCode, MAX_DESCRIPTORS, Refusal};
use agent_aws_sandbox as linux;
use agent_aws_sandbox::{Builder, Failure, Group, Ids, KernelFacts, Listeners, Namespaces, Opened};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::child::Child;
use crate::entry::{Entered, restore_limits};
use crate::gateway::{self, laid};
use crate::refusal::{advise, broken, installation, kernel, refuse, unplannable};
use crate::service::Service;
use crate::sys;

/// How long opening the caller's paths may take: they may lie on a file server.
const OPENING: Duration = Duration::from_secs(20);
/// How long building may take.
const BUILDING: Duration = Duration::from_secs(20);
/// How long a message of init's that has begun may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Init, inside.
const INIT: &str = "/run/agent-aws/agent-aws-init";

/// A sandbox with init in it, waiting to be told what to launch.
pub(crate) struct Sandbox {
    /// pid 1; its channel is the conversation with init.
    pub(crate) init: Child,
    /// The doors.
    pub(crate) listeners: Listeners,
    /// The inherited door: the broker's end, the agent's end.
    pub(crate) inherited: (OwnedFd, OwnedFd),
    report: Channel,
    guard: Option<Child>,
}

/// What a child says of sources.
#[derive(Debug, Serialize, Deserialize)]
enum Found {
    /// Of the next ones: whether the caller may write there, or that nothing is. What is there comes along.
    Next(Vec<Option<bool>>),
    Failed(String),
    /// That was all.
    Done,
}

/// What the builder says: the mounts stand, and whether there is a door over HTTP; the broker's ends of the doors come
/// along. Or why it went no further.
type Built = Result<bool, Refusal>;

/// Builds it, until the mounts stand.
pub(crate) fn build(entered: &Entered, plan: &Plan, plumber: Option<&Service>) -> Result<Sandbox, Refusal> {
    let (ours, theirs) = Channel::pair().map_err(|e| refuse(FailureCode::Kernel, e))?;
    // Before anything is sent: the kernel tells the agent's process id with its first message.
    let ours = Channel::new(ours, PATIENCE).with_credentials().map_err(|e| refuse(FailureCode::Kernel, e))?;
    let inherited = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let inherited = inherited.map_err(|e| refuse(FailureCode::Kernel, format_args!("socketpair: {e}")))?;
    let private = plan.grant.network != Network::Shared;
    let facts = KernelFacts::probe(!entered.mode.is_privileged());
    let prepared = match entered.mode.is_privileged() {
        true => Some(prepare(entered, plan, facts)?),
        false => None,
    };
    let group = match (entered.mode.is_privileged(), plan.grant.limits.memory) {
        (true, _) => Group::make(&plan.grant.session, &plan.grant.limits, !private).map_err(kernel)?,
        (false, None) => None,
        (false, _) => return Err(kernel(Failure::plain("`memory`", "only the setuid helper can limit it"))),
    };
    let guard = match private {
        true => None,
        false => gateway::guard(plumber, group.as_ref(), plan)?,
    };
    let namespaces = Namespaces { network: private, user: facts.user_namespace, group };
    // Why the kernel gives none, and what to do, the CLI says.
    let builder = Child::start("new namespaces", Some(namespaces), BUILDING, |report| {
        let report = Channel::new(report, BUILDING);
        let refusal = become_init(entered, plan, facts, prepared, (&report, theirs, plumber));
        let _ = report.send(&Built::Err(refusal));
        125
    })?;
    let Child { process, channel: report } = builder;
    let said = report.receive::<Built>(Some(BUILDING)).map_err(|e| broken("setting up the sandbox", e))?;
    let listeners = Listeners { http: said.message?, doors: said.descriptors };
    Ok(Sandbox { init: Child { process, channel: ours }, listeners, inherited, report, guard })
}

impl Sandbox {
    /// Waits until init was executed, which is silence, and what guards it is there.
    pub(crate) fn wait_for_init(&mut self, plan: &Plan) -> Result<(), Refusal> {
        match self.report.receive::<Built>(Some(BUILDING)) {
            Err(ChannelError::Closed) => gateway::guarded(self.guard.take(), plan),
            Err(e) => Err(broken("setting up the sandbox", e)),
            Ok(said) => Err(said.message.err().unwrap_or_else(|| installation("two sandboxes", "report this"))),
        }
    }
}

/// Detached trees for the sources, and what to do with them.
struct Prepared {
    trees: Vec<Option<OwnedFd>>,
    lowered: linux::Lowered,
}

/// Opens everything, holds it against the plan's bounds, clones the mounts and lowers the plan.
fn prepare(entered: &Entered, plan: &Plan, facts: KernelFacts) -> Result<Prepared, Refusal> {
    let opened = open_all(entered, plan)?;
    let mut kinds = Vec::new();
    let (mut trees, mut places) = (Vec::new(), Vec::new());
    for (index, (source, found)) in plan.sources.iter().zip(opened).enumerate() {
        let kind = match &found.descriptor {
            Some(fd) => linux::kind_of(fd.as_fd()).map_err(|e| unusable(source, &e))?,
            None => Kind::Missing,
        };
        places.push(check(plan, SourceId(index), &found, &kind)?);
        in_its_tree(plan, index, &places, &kinds)?;
        let shown = |i: &Intent| matches!(i.what, What::Bind(s) | What::Device(s) if s.0 == index);
        // What is only masked gets no mount: to put one away unused takes the kernel longer than all the others.
        // A link of the caller's is a row of a project, and mounted as such; one of the system is made anew.
        let link = matches!(kind, Kind::Link(_)) && source.opener == Opener::Caller;
        let mounted = (link || matches!(kind, Kind::Directory | Kind::File)) && plan.intents.iter().any(shown);
        trees.push(match found.descriptor {
            Some(fd) if mounted => Some(linux::clone_tree(fd.as_fd(), &source.path).map_err(kernel)?),
            _ => None,
        });
        kinds.push(kind);
    }
    let lowered = linux::lower(plan, &kinds, &facts).map_err(kernel)?;
    Ok(Prepared { trees, lowered })
}

fn unusable(source: &Source, failure: &Failure) -> Refusal {
    refuse(FailureCode::BadRequest, format_args!("`{}`: {failure}", source.path.display().to_string().escape_debug()))
}

/// A row of a project must lie in the tree that was opened: whoever exchanges the project for a link meanwhile would
/// have rows of another place shown. What lies behind a link is not mounted.
fn in_its_tree(plan: &Plan, index: usize, places: &[PathBuf], kinds: &[Kind]) -> Result<(), Refusal> {
    let here = |i: &&Intent| matches!(i.what, What::Bind(s) if s.0 == index);
    let row = plan.intents.iter().find(here).filter(|i| i.origin == Origin::Table("project".into()));
    let (Some(row), Some(real)) = (row, places.last().filter(|real| !real.as_os_str().is_empty())) else {
        return Ok(());
    };
    let before = plan.sources.iter().zip(places).zip(kinds).filter(|(_, kind)| **kind != Kind::Missing);
    let around = before.filter_map(|((s, place), kind)| Some((row.path.strip_prefix(&s.path).ok()?, place, kind)));
    match around.min_by_key(|(below, ..)| below.components().count()) {
        Some((below, place, kind)) if !matches!(kind, Kind::Link(_)) && place.join(below) != *real => {
            let text = format!("`{}` was moved while it was opened", row.path.display().to_string().escape_debug());
            Err(refuse(FailureCode::BadRequest, text))
        }
        _ => Ok(()),
    }
}

/// What was opened must be what policy allows: the kernel says where it really is, if that matters.
fn check(plan: &Plan, id: SourceId, found: &Opened, kind: &Kind) -> Result<PathBuf, Refusal> {
    let Some(source) = plan.sources.get(id.0) else {
        return Ok(PathBuf::new());
    };
    let shown = || source.path.display().to_string().escape_debug().to_string();
    let Some(fd) = &found.descriptor else {
        return match source.required && source.opener == Opener::Caller {
            true => Err(refuse(FailureCode::BadRequest, format_args!("`{}` does not exist", shown()))),
            false => Ok(PathBuf::new()),
        };
    };
    if source.opener != Opener::Caller {
        return Ok(PathBuf::new());
    }
    let real = linux::real_path(fd.as_fd()).map_err(kernel)?;
    plan.check_real(id, &real).map_err(unplannable)?;
    let here = plan.intents.iter().find(|i| matches!(i.what, What::Bind(s) if s == id));
    match here.map(|i| (&i.origin, i.access)) {
        Some((Origin::Project | Origin::Repository, _)) if *kind != Kind::Directory => {
            Err(refuse(FailureCode::BadRequest, format_args!("the project `{}` is no directory", shown())))
        }
        Some((Origin::Project | Origin::Repository | Origin::Caller(_), Access::Write)) if !found.writable => {
            let text = format!("you cannot write to `{}`", shown());
            Err(advise(FailureCode::BadRequest, text, "choose another project with --project DIR, or use --ro"))
        }
        _ => Ok(real),
    }
}

/// Opens every source with the rights that it says: the caller's in another process, meanwhile.
fn open_all(entered: &Entered, plan: &Plan) -> Result<Vec<Opened>, Refusal> {
    let (child, reopened) = match entered.mode.is_privileged() {
        true => (Some(open_as_caller(&entered.caller, plan)?), None),
        false => (None, Some(entered.installation.reopened()?)),
    };
    let ours = reopened.as_ref().unwrap_or(&entered.installation);
    let open = |source: &Source| match source.opener {
        Opener::Root => linux::open_source(source).map_err(kernel).map(Some),
        Opener::Caller => Ok(None),
        Opener::Ours => {
            let program = ours.program(source.path.to_str().unwrap_or_default())?;
            Ok(Some(Opened { descriptor: Some(program), writable: false }))
        }
    };
    let opened: Vec<Option<Opened>> = plan.sources.iter().map(open).collect::<Result<_, Refusal>>()?;
    let theirs = child.map_or_else(|| open_here(plan), |child| receive_opened(plan, &child))?;
    let mut theirs = theirs.into_iter();
    let all = opened.into_iter().map(|found| found.or_else(|| theirs.next()));
    all.map(|found| found.ok_or_else(|| installation("a source is missing", "report this"))).collect()
}

fn callers(plan: &Plan) -> impl Iterator<Item = &Source> {
    plan.sources.iter().filter(|s| s.opener == Opener::Caller)
}

/// Without privilege this process has the caller's rights and no others.
fn open_here(plan: &Plan) -> Result<Vec<Opened>, Refusal> {
    let opened: Result<Vec<Opened>, Failure> = callers(plan).map(linux::open_source).collect();
    let opened = opened.map_err(|e| refuse(FailureCode::BadRequest, e))?;
    show_no_secret(plan, &opened).map_err(|e| refuse(FailureCode::BadRequest, e))?;
    Ok(opened)
}

/// In a child with all of the caller's ids: what root may not open (FUSE, root_squash) the caller may, what the caller
/// may not open stays closed, and a file server that hangs hangs only the child.
fn open_as_caller(caller: &Ids, plan: &Plan) -> Result<Child, Refusal> {
    Child::start("starting a process", None, OPENING, |socket| {
        let channel = Channel::new(socket, OPENING);
        match linux::become_permanently(caller).and_then(|()| tell_opened(plan, &channel)) {
            Ok(()) => 0,
            Err(e) => {
                let _ = channel.send(&Found::Failed(e.to_string()));
                1
            }
        }
    })
}

fn receive_opened(plan: &Plan, child: &Child) -> Result<Vec<Opened>, Refusal> {
    let mut opened = Vec::new();
    loop {
        let said = child.channel.receive::<Found>(Some(OPENING)).map_err(|e| broken("opening your files", e))?;
        match said.message {
            Found::Next(states) if opened.len() + states.len() <= plan.sources.len() => {
                let mut here = said.descriptors.into_iter();
                let found =
                    |w: Option<bool>| Opened { descriptor: w.and_then(|_| here.next()), writable: w == Some(true) };
                opened.extend(states.into_iter().map(found));
            }
            Found::Done => return Ok(opened),
            Found::Failed(text) => return Err(refuse(FailureCode::BadRequest, text)),
            _ => return Err(installation("more files were opened than asked for", "report this")),
        }
    }
}

/// What the caller asked to be shown must not be a secret store, contain one or lie inside one, whatever it is called.
fn show_no_secret(plan: &Plan, opened: &[Opened]) -> Result<(), Failure> {
    let home = &plan.caller.home;
    let stores = SECRET_STORES.rows().map(|row| home.join(row.path));
    let secrets = linux::Secrets::look(stores);
    let asked = |path: &Path| {
        let asked =
            |o: &Origin| matches!(o, Origin::Project | Origin::Repository | Origin::Caller(_) | Origin::Tool(_));
        plan.intents.iter().any(|i| asked(&i.origin) && i.path == path)
    };
    for (source, found) in callers(plan).zip(opened).filter(|(source, _)| asked(&source.path)) {
        let Some(fd) = &found.descriptor else { continue };
        let shown = secrets.shown_by(fd.as_fd());
        if let Some(store) = shown.map_err(|e| Failure::os("looking above", &source.path, e))? {
            let cause = format!("it is, contains or lies inside `{}`", store.display());
            return Err(Failure { step: "showing", object: Some(source.path.clone()), cause });
        }
    }
    Ok(())
}

/// In the child: opens and tells.
fn tell_opened(plan: &Plan, channel: &Channel) -> Result<(), Failure> {
    let fail = |e| Failure::plain("opening your files", e);
    let opened: Vec<Opened> = callers(plan).map(linux::open_source).collect::<Result<_, _>>()?;
    show_no_secret(plan, &opened)?;
    for some in opened.chunks(MAX_DESCRIPTORS) {
        let states = some.iter().map(|found| found.descriptor.as_ref().map(|_| found.writable)).collect();
        let here: Vec<_> = some.iter().filter_map(|found| found.descriptor.as_ref().map(AsFd::as_fd)).collect();
        channel.send_with(&Found::Next(states), &here).map_err(fail)?;
    }
    channel.send(&Found::Done).map_err(fail)
}

/// In the new namespaces. Returns only with what kept it from becoming init.
fn become_init(
    entered: &Entered,
    plan: &Plan,
    facts: KernelFacts,
    prepared: Option<Prepared>,
    with: (&Channel, OwnedFd, Option<&Service>),
) -> Refusal {
    let prepared = match prepared {
        Some(prepared) => Ok(prepared),
        None => map_ids(&entered.caller).map_err(kernel).and_then(|()| prepare(entered, plan, facts)),
    };
    match prepared.and_then(|p| finish(entered, plan, p, &with).map_err(kernel)) {
        Ok(never) => match never {},
        Err(refusal) => refusal,
    }
}

fn finish(
    entered: &Entered,
    plan: &Plan,
    prepared: Prepared,
    (report, channel, plumber): &(&Channel, OwnedFd, Option<&Service>),
) -> Result<Infallible, Failure> {
    let owner = (entered.caller.uid, entered.caller.gid);
    // Now: from before it is in its group, the root of what it sees would be the caller's.
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(|e| Failure::plain("a cgroup namespace", e))?;
    // Modes are said where they matter; the mask would only take from them.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let laying = |e: Refusal| Failure::plain("the sandbox's network", e.text);
    let plumber = plumber.filter(|_| prepared.lowered.private_network).map(|p| p.start(None));
    let plumber = plumber.transpose().map_err(laying)?;
    let listeners = Builder::new(prepared.trees, owner).apply(&prepared.lowered.ops)?;
    if let Some(plumber) = plumber {
        laid(plumber, !plan.grant.publish.is_empty()).map_err(laying)?;
    }
    let doors: Vec<_> = listeners.doors.iter().map(AsFd::as_fd).collect();
    let told = report.send_with(&Built::Ok(listeners.http), &doors);
    told.map_err(|e| Failure::plain("the helper", e))?;
    // Opened beneath the new root, where Landlock's rules cover it.
    let init = openat(CWD, INIT, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let init = init.map_err(|e| Failure::os("opening", Path::new(INIT), e))?;
    linux::become_permanently(&entered.caller)?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| Failure::plain("PDEATHSIG", e))?;
    restore_limits(&entered.limits, &plan.grant.limits, !entered.mode.is_privileged());
    sys::duplicate_to(channel.as_fd(), sys::CHANNEL).map_err(|e| Failure::plain("init's channel", e))?;
    let command = plan.command.iter().map(|argument| CString::new(argument.as_slice()));
    let arguments = [Ok(c"agent-aws-init".into())].into_iter().chain(command).collect::<Result<Vec<_>, _>>();
    let arguments = arguments.map_err(|_| Failure::plain("the command", "an argument contains a NUL byte"))?;
    linux::restrict(&prepared.lowered.fence)?;
    Err(Failure::os("executing", Path::new(INIT), sys::execute(init.as_fd(), &arguments, &[])))
}

/// The user namespace of unprivileged mode knows the caller's ids and no others. setgroups is denied first, or a group
/// that only takes rights away could be dropped (CVE-2014-8989).
fn map_ids(caller: &Ids) -> Result<(), Failure> {
    // /proc/self of a process that is not dumpable is root's. Nothing in this one is more than the caller's own.
    let dumpable = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable);
    dumpable.map_err(|e| Failure::plain("PR_SET_DUMPABLE", e))?;
    for (file, content) in [
        ("/proc/self/setgroups", "deny".to_string()),
        ("/proc/self/uid_map", format!("{0} {0} 1", caller.uid)),
        ("/proc/self/gid_map", format!("{0} {0} 1", caller.gid)),
    ] {
        std::fs::write(file, content).map_err(|e| Failure::os("writing", Path::new(file), e))?;
    }
    linux::not_dumpable()
}
