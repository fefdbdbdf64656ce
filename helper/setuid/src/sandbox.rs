//! Making the sandbox: open what the plan needs with the rights of whoever may, then build in new namespaces, drop, and
//! execute init.

use std::convert::Infallible;
use std::ffi::CString;
use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent_aws_plan::{Intent, Kind, Opener, Origin, Plan, Source, SourceId, What};
use agent_aws_policy::{Home, Network};
use agent_aws_protocol::{Channel, ChannelError, CliToHelper, FailureCode, Refusal};
use agent_aws_sandbox as linux;
use agent_aws_sandbox::{Builder, Failure, Group, Ids, KernelFacts, Listeners, Namespaces};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, openat};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::child::Child;
use crate::entry::{Entered, restore_limits};
use crate::gateway::{self, laid};
use crate::refusal::{broken, installation, kernel, refuse, unplannable};
use crate::service::Service;
use crate::{PREPARED, out_of_turn, sys};

/// How long building may take.
const BUILDING: Duration = Duration::from_secs(20);
/// How long a message of init's that has begun may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Init, inside.
const INIT: &str = "/run/agent-aws/agent-aws-init";
/// What is not, or no more, what was asked for.
const MOVED: &str = "was moved while it was opened";

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

/// What is there where a source points: O_PATH, never usable to read or write by itself.
pub(crate) type Opened = Option<OwnedFd>;

/// What the builder says: the mounts stand, and whether there is a door over HTTP; the broker's ends of the doors come
/// along. Or why it went no further.
type Built = Result<bool, Refusal>;

/// Builds it, until the mounts stand.
pub(crate) fn build(
    entered: &Entered,
    plan: &Plan,
    opened: Vec<Opened>,
    plumber: Option<&Service>,
) -> Result<Sandbox, Refusal> {
    let (ours, theirs) = Channel::pair().map_err(|e| refuse(FailureCode::Kernel, e))?;
    // Before anything is sent: the kernel tells the agent's process id with its first message.
    let ours = Channel::new(ours, PATIENCE).with_credentials().map_err(|e| refuse(FailureCode::Kernel, e))?;
    let inherited = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let inherited = inherited.map_err(|e| refuse(FailureCode::Kernel, format_args!("socketpair: {e}")))?;
    let private = plan.grant.network != Network::Shared;
    let facts = KernelFacts::probe(!entered.mode.is_privileged());
    let prepared = match entered.mode.is_privileged() {
        true => Ok(prepare(entered, plan, facts, opened)?),
        false => Err(opened),
    };
    let group = match (entered.mode.is_privileged(), plan.grant.limits.memory) {
        (true, _) => Group::make(&plan.grant.session, &plan.grant.limits, !private).map_err(kernel)?,
        (false, None) => None,
        (false, _) => return Err(kernel(Failure::plain("`memory`", "only the setuid helper can limit it"))),
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
    // After it: it has more to do.
    let guard = match private {
        true => None,
        false => gateway::guard(plumber, process.group.as_ref(), plan)?,
    };
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
fn prepare(entered: &Entered, plan: &Plan, facts: KernelFacts, opened: Vec<Opened>) -> Result<Prepared, Refusal> {
    let opened = open_all(entered, plan, opened)?;
    let mut kinds = Vec::new();
    let (mut trees, mut places) = (Vec::new(), Vec::new());
    for (index, (source, found)) in plan.sources.iter().zip(opened).enumerate() {
        let kind = match &found {
            Some(fd) => linux::kind_of(fd.as_fd()).map_err(|e| unusable(source, e))?,
            None => Kind::Missing,
        };
        places.push(check(plan, SourceId(index), found.as_ref(), &kind)?);
        in_its_tree(plan, index, &places, &kinds)?;
        let shown = |i: &Intent| matches!(i.what, What::Bind(s) | What::Device(s) if s.0 == index);
        // What is only masked gets no mount: to put one away unused takes the kernel longer than all the others.
        // A link of the caller's is a row of a project, and mounted as such; one of the system is made anew.
        let link = matches!(kind, Kind::Link(_)) && source.opener == Opener::Caller;
        let mounted = (link || matches!(kind, Kind::Directory | Kind::File)) && plan.intents.iter().any(shown);
        trees.push(match found {
            Some(fd) if mounted => Some(linux::clone_tree(fd.as_fd(), &source.path).map_err(kernel)?),
            _ => None,
        });
        kinds.push(kind);
    }
    let lowered = linux::lower(plan, &kinds, &facts).map_err(kernel)?;
    Ok(Prepared { trees, lowered })
}

fn unusable(source: &Source, why: impl Display) -> Refusal {
    refuse(FailureCode::BadRequest, format_args!("`{}` {why}", source.path.display().to_string().escape_debug()))
}

/// A row of a project or of a home must lie in the tree that was opened: whoever exchanges the project for a link
/// meanwhile, or hands over something else, would have another place shown. What lies behind a link is not mounted.
fn in_its_tree(plan: &Plan, index: usize, places: &[PathBuf], kinds: &[Kind]) -> Result<(), Refusal> {
    let Some(row) = plan.sources.get(index).filter(|s| s.keep_link && s.opener == Opener::Caller) else {
        return Ok(());
    };
    let shown = plan.intents.iter().any(|i| matches!(i.what, What::Bind(s) if s.0 == index));
    let Some(real) = places.last().filter(|real| shown && !real.as_os_str().is_empty()) else { return Ok(()) };
    let before = plan.sources.iter().zip(places).zip(kinds).filter(|(_, kind)| **kind != Kind::Missing);
    let around = before.filter_map(|((s, place), kind)| Some((row.path.strip_prefix(&s.path).ok()?, place, kind)));
    match around.min_by_key(|(below, ..)| below.components().count()) {
        Some((below, place, kind)) if !matches!(kind, Kind::Link(_)) && place.join(below) != *real => {
            Err(unusable(row, MOVED))
        }
        _ => Ok(()),
    }
}

/// Whether a home is one. The agent's may lie behind links of the caller's, but is called what it is; the caller's own
/// is where the user database says.
fn is_home(plan: &Plan, source: &Source, real: &Path) -> Result<bool, Refusal> {
    if plan.grant.home == Home::Agent {
        return Ok(source.path.iter().rev().take(2).eq(real.iter().rev().take(2)));
    }
    let lies = || linux::open_source(source)?.map(|fd| linux::real_path(fd.as_fd())).transpose();
    Ok(real == source.path || lies().map_err(kernel)?.is_some_and(|path| path == real))
}

/// What was opened must be what policy allows: the kernel says where it really is, if that matters.
fn check(plan: &Plan, id: SourceId, found: Option<&OwnedFd>, kind: &Kind) -> Result<PathBuf, Refusal> {
    let Some(source) = plan.sources.get(id.0) else {
        return Ok(PathBuf::new());
    };
    let Some(fd) = found else {
        // Policy hides it from whatever agent-aws the caller runs: that one's word is not enough.
        let masked = |i: &Intent| matches!(i.what, What::Mask(s) if s == id);
        return match source.opener {
            Opener::Caller if source.required => Err(unusable(source, "does not exist")),
            Opener::Caller if !source.keep_link && plan.intents.iter().any(masked) && linux::is_there(&source.path) => {
                Err(unusable(source, MOVED))
            }
            _ => Ok(PathBuf::new()),
        };
    };
    if source.opener != Opener::Caller {
        return Ok(PathBuf::new());
    }
    // What is only hidden, or bound onto itself read-only, may be a socket or a FIFO.
    if !source.keep_link && !linux::is_plain(fd.as_fd()).map_err(kernel)? {
        return Err(unusable(source, "is no file or directory"));
    }
    let real = linux::real_path(fd.as_fd()).map_err(kernel)?;
    plan.check_real(id, &real).map_err(unplannable)?;
    let here = plan.intents.iter().find(|i| matches!(i.what, What::Bind(s) if s == id));
    match here.map(|i| (&i.origin, i.access)) {
        Some((Origin::Project | Origin::Repository, _)) if *kind != Kind::Directory => {
            let text = format!("the project `{}` is no directory", source.path.display().to_string().escape_debug());
            Err(refuse(FailureCode::BadRequest, text))
        }
        Some((Origin::Sandbox, _)) if !source.keep_link && !is_home(plan, source, &real)? => {
            Err(unusable(source, MOVED))
        }
        _ => Ok(real),
    }
}

/// Everything that the plan needs, opened: the caller's by the CLI.
fn open_all(entered: &Entered, plan: &Plan, opened: Vec<Opened>) -> Result<Vec<Opened>, Refusal> {
    let reopened = match entered.mode.is_privileged() {
        true => None,
        false => Some(entered.installation.reopened()?),
    };
    let ours = reopened.as_ref().unwrap_or(&entered.installation);
    let mut callers = opened.into_iter();
    let open = |source: &Source| match source.opener {
        Opener::Root => linux::open_source(source).map_err(kernel),
        Opener::Ours => ours.program(source.path.to_str().unwrap_or_default()).map(Some),
        Opener::Caller => match callers.next().flatten() {
            Some(seen) if reopened.is_some() => open_again(source, &seen),
            found => Ok(found),
        },
    };
    plan.sources.iter().map(open).collect()
}

/// Without privilege: a descriptor from before the user namespace cannot be cloned in it. What is there must be what
/// the CLI looked at; of a row in its tree, a program may just have written a new one.
fn open_again(source: &Source, seen: &OwnedFd) -> Result<Opened, Refusal> {
    let found = linux::open_source(source).map_err(|e| refuse(FailureCode::BadRequest, e))?;
    let same = found.as_ref().map(|fd| linux::is_same(fd.as_fd(), seen.as_fd()));
    match same.transpose().map_err(kernel)? {
        Some(true) => Ok(found),
        _ if source.keep_link => Ok(found),
        _ => Err(unusable(source, MOVED)),
    }
}

/// What the CLI opened: it has all of the caller's ids, so what root may not open (FUSE, root_squash) it may, what the
/// caller may not open stays closed, and a file server that hangs hangs only the CLI. It may be a program of the
/// caller's own making: where descriptors lead is looked at later.
pub(crate) fn opened(cli: &Channel, plan: &Plan) -> Result<Vec<Opened>, Refusal> {
    let most = plan.sources.iter().filter(|s| s.opener == Opener::Caller).count();
    let (end, mut opened) = (Instant::now() + PREPARED, Vec::new());
    while opened.len() < most {
        let left = end.saturating_duration_since(Instant::now());
        let said = cli.receive::<CliToHelper>(Some(left)).map_err(|e| broken("agent-aws", e))?;
        let CliToHelper::Opened(states) = said.message else { return Err(out_of_turn()) };
        // Nothing else: to close a file that is open may take its server for ever.
        let is_path = |fd: &OwnedFd| fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::PATH));
        let with = states.iter().filter(|is_there| **is_there).count();
        let as_asked = with == said.descriptors.len() && said.descriptors.iter().all(is_path);
        if !as_asked || states.is_empty() || opened.len() + states.len() > most {
            return Err(refuse(FailureCode::BadRequest, "agent-aws opened something that it was not asked for"));
        }
        let mut here = said.descriptors.into_iter();
        opened.extend(states.into_iter().map(|is_there| if is_there { here.next() } else { None }));
    }
    Ok(opened)
}

/// In the new namespaces. Returns only with what kept it from becoming init.
fn become_init(
    entered: &Entered,
    plan: &Plan,
    facts: KernelFacts,
    prepared: Result<Prepared, Vec<Opened>>,
    with: (&Channel, OwnedFd, Option<&Service>),
) -> Refusal {
    let prepared = match prepared {
        Ok(prepared) => Ok(prepared),
        Err(opened) => map_ids(&entered.caller).map_err(kernel).and_then(|()| prepare(entered, plan, facts, opened)),
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
