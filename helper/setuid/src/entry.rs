//! Entry: from whatever a caller set up to a process in a known state, before anything is read.

use std::os::fd::OwnedFd;
use std::time::Duration;

use agent_aws_policy::Limits;
use agent_aws_protocol::{Channel, Refusal};
use agent_aws_sandbox::{Ids, USUAL_PIDS, not_dumpable};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use rustix::net::sockopt;
use rustix::process::{getgid, getgroups, getuid};

use crate::installation::Installation;
use crate::refusal::installation;
use crate::{installation as place, sys};

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Proof that this process is uid 0 in the initial user namespace. What needs root asks for a reference to it.
pub(crate) struct Root(());

/// With what power the helper runs.
pub(crate) enum Mode {
    /// Setuid: policy binds the caller.
    Privileged(Root),
    /// No setuid bit: same sandbox, in a user namespace; policy is advisory.
    Unprivileged,
}

impl Mode {
    /// Whether policy binds the caller.
    pub(crate) fn is_privileged(&self) -> bool {
        matches!(self, Self::Privileged(_))
    }
}

/// A resource limit of the caller: which, soft, hard.
pub(crate) type Limit = (Resource, u64, u64);

/// The caller as the kernel knows it, and the state of this process.
pub(crate) struct Entered {
    /// With what power.
    pub(crate) mode: Mode,
    /// The caller's real ids and the process's supplementary groups.
    pub(crate) caller: Ids,
    /// Limits that the caller had, for the agent.
    pub(crate) limits: Vec<Limit>,
    /// Our own files.
    pub(crate) installation: Installation,
    /// Whether the caller is root itself.
    pub(crate) root_caller: bool,
}

/// The end of the conversation with the CLI; `None` if we were not started by it.
pub(crate) fn channel() -> Option<Channel> {
    let socket = sys::inherited_channel()?;
    let unix = sockopt::socket_domain(&socket).ok()? == rustix::net::AddressFamily::UNIX;
    let stream = sockopt::socket_type(&socket).ok()? == rustix::net::SocketType::STREAM;
    let listening = sockopt::socket_acceptconn(&socket).ok()?;
    (unix && stream && !listening).then(|| Channel::new(socket, PATIENCE))
}

/// The first statements of the program. The order matters: until `take_root` a caller can stop or kill us.
pub(crate) fn enter() -> Result<Entered, Refusal> {
    let odd = |what: &str| installation(what, "agent-aws-helper is started by `agent-aws` only");
    not_dumpable().map_err(crate::refusal::kernel)?;
    let (uid, gid) = (getuid(), getgid());
    let (euid, egid) = (rustix::process::geteuid(), rustix::process::getegid());
    let groups = getgroups().map_err(|_| odd("the caller's groups cannot be read"))?;
    if gid != egid {
        return Err(odd("the helper has a setgid bit or an effective group of its own"));
    }
    if u32::MAX == uid.as_raw() || u32::MAX == gid.as_raw() {
        return Err(odd("the caller has no valid uid or gid"));
    }
    if euid.is_root() && in_initial_namespace() {
        take_root()?;
    }
    sys::clear_environment();
    sys::reset_signals_and_timers();
    SigSet::all().thread_set_mask().map_err(|_| odd("signals cannot be blocked"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let limits = lift_limits().map_err(|what| odd(&what))?;
    let mut installation = place::look()?;
    let mode = mode(uid.as_raw(), euid.as_raw(), &mut installation)?;
    let caller = Ids {
        uid: uid.as_raw(),
        gid: gid.as_raw(),
        groups: mode.is_privileged().then(|| groups.iter().map(|g| g.as_raw()).collect()),
    };
    Ok(Entered { mode, caller, limits, installation, root_caller: uid.is_root() })
}

/// From here on the caller can neither stop nor kill nor trace us.
fn take_root() -> Result<(), Refusal> {
    let fail = |step: &str, e: rustix::io::Errno| installation(format!("{step}: {e}"), "reinstall agent-aws");
    let (uid, gid) = (rustix::process::Uid::from_raw(0), rustix::process::Gid::from_raw(0));
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| fail("setresuid", e))?;
    rustix::thread::set_thread_groups(&[]).map_err(|e| fail("setgroups", e))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| fail("setresgid", e))?;
    not_dumpable().map_err(crate::refusal::kernel)
}

/// Limits of the caller's must not make a write of ours fail halfway or leave a core. The agent gets them back.
fn lift_limits() -> Result<Vec<Limit>, String> {
    use Resource as R;
    let mut former = Vec::new();
    for which in [R::RLIMIT_FSIZE, R::RLIMIT_CPU, R::RLIMIT_AS, R::RLIMIT_DATA, R::RLIMIT_NPROC, R::RLIMIT_NOFILE] {
        let (soft, hard) = getrlimit(which).map_err(|e| format!("{which:?}: {e}"))?;
        former.push((which, soft, hard));
        let open_files = matches!(which, R::RLIMIT_NOFILE);
        let wanted = if open_files { hard.min(4096) } else { libc::RLIM_INFINITY };
        let lifted = setrlimit(which, wanted, hard.max(wanted)).is_ok() || setrlimit(which, hard, hard).is_ok();
        let (now, _) = getrlimit(which).map_err(|e| format!("{which:?}: {e}"))?;
        let floor = match which {
            R::RLIMIT_NOFILE => 128,
            R::RLIMIT_NPROC => 4,
            R::RLIMIT_CPU => 60,
            _ => 64 * 1024 * 1024,
        };
        if !lifted || now < floor {
            return Err(format!("the limit {which:?} ({now}) is too low to run anything (at least {floor})"));
        }
    }
    let core = getrlimit(R::RLIMIT_CORE).unwrap_or((0, 0));
    setrlimit(R::RLIMIT_CORE, 0, core.1).map_err(|e| format!("RLIMIT_CORE: {e}"))?;
    former.push((R::RLIMIT_CORE, core.0, core.1));
    Ok(former)
}

/// What we are, and if we are not what the installation says, why.
fn mode(uid: u32, euid: u32, ours: &mut Installation) -> Result<Mode, Refusal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim).unwrap_or("?");
    let initial = in_initial_namespace();
    // Traced with the setuid bit in effect means traced by root, who may.
    let traced = field("TracerPid:") != "0";
    if euid != 0 && ours.setuid {
        let cause = match (field("NoNewPrivs:"), traced, initial) {
            ("1", _, _) => "no_new_privs is set (a container, a sandbox or a service with NoNewPrivileges)",
            (_, true, _) => "it is being traced by a debugger",
            (_, _, false) => "this is a user namespace other than the machine's own",
            _ => ours.fault().unwrap_or("the file system it lies on is mounted nosuid"),
        };
        let advice = "run it outside, or use an installation of agent-aws without the setuid bit";
        return Err(installation(format!("the helper has the setuid bit, but it has no effect here: {cause}"), advice));
    }
    if field("Seccomp:") != "0" && euid == 0 && uid != 0 {
        return Err(installation("a seccomp filter of the caller's is in place", "run agent-aws outside of it"));
    }
    match (euid, initial) {
        (0, true) => ours.must_be_trustworthy().map(|()| Mode::Privileged(Root(()))),
        _ => Ok(Mode::Unprivileged),
    }
}

/// Whether this is the machine's own user namespace: uid 0 of any other is somebody's fake.
fn in_initial_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/user").is_ok_and(|l| l.as_os_str() == "user:[4026531837]")
}

/// Puts the caller's limits back, in the process that becomes the agent, or what the sandbox says where that is less.
/// The kernel counts processes by uid and user namespace: only in one of its own (`alone`) nobody else's count.
pub(crate) fn restore_limits(limits: &[Limit], sandbox: &Limits, alone: bool) {
    for (which, soft, hard) in limits {
        let most = match which {
            Resource::RLIMIT_NPROC if alone => sandbox.pids.unwrap_or(USUAL_PIDS),
            Resource::RLIMIT_NOFILE => sandbox.open_files.unwrap_or(libc::RLIM_INFINITY),
            _ => libc::RLIM_INFINITY,
        };
        let _ = setrlimit(*which, most.min(*soft), most.min(*hard));
    }
}

/// A descriptor of /dev/null, for processes that have nothing to say.
pub(crate) fn null() -> std::io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?)
}
