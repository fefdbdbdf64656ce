//! The first statements of the process, and its last.

use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use crate::cause::Cause;
use crate::sys;

/// The descriptor of the channel to the supervisor.
const CHANNEL: i32 = 3;
/// Descriptors for 1,024 clients at a door, as many at the next, and our own.
const DESCRIPTORS: u64 = 4096;

/// Leaves nothing of the starting process but the channel, and nothing of this one to debuggers and core files.
pub(crate) fn isolate() -> Result<OwnedFd, String> {
    sys::close_from(4).map_err(|e| format!("cannot close inherited descriptors: {e}"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| format!("cannot become undumpable: {e}"))?;
    if rustix::process::dumpable_behavior() != Ok(DumpableBehavior::NotDumpable) {
        return Err("the kernel left this process dumpable".into());
    }
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(|e| format!("cannot forbid core files: {e}"))?;
    // Where it is not granted, the answers alone are locked.
    sys::lock_all();
    let channel = sys::inherit(CHANNEL);
    match rustix::net::sockopt::socket_type(&channel) {
        Ok(rustix::net::SocketType::STREAM) => {
            rustix::io::fcntl_setfd(&channel, rustix::io::FdFlags::CLOEXEC).map_err(|e| e.to_string())?;
            Ok(channel)
        }
        _ => {
            // Not ours to close, and if it is not open at all, closing it would abort the process.
            std::mem::forget(channel);
            Err("agent-aws-broker is started by agent-aws-helper, not by hand".into())
        }
    }
}

/// Holds the process against what the supervisor promised: no root, no capability, no way to gain either.
pub(crate) fn check() -> Result<(), Cause> {
    let refuse = |what: &str| Err(Cause::last(format!("the broker refuses to run {what}")));
    if rustix::process::geteuid().is_root() || rustix::process::getuid().is_root() {
        return refuse("as root");
    }
    match rustix::thread::capabilities(None) {
        Ok(sets) if sets.permitted.is_empty() && sets.effective.is_empty() && sets.inheritable.is_empty() => {}
        _ => return refuse("with a capability"),
    }
    if rustix::thread::no_new_privs() != Ok(true) {
        return refuse("without no_new_privs");
    }
    // Out of the caller's terminal session: Ctrl-C there is for the agent. Our own group also gathers the children
    // that a credential_process starts, see `end`. Fails only if we lead a group already, which is as good.
    let _ = rustix::process::setsid();
    let mut files = rustix::process::getrlimit(Resource::Nofile);
    files.current = Some(files.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS));
    rustix::process::setrlimit(Resource::Nofile, files)
        .map_err(|e| Cause::last(format!("cannot raise the limit of open files: {e}")))
}

/// Ends the process at once, with every child that a credential_process left in our group. Without such programs the
/// filter has no kill, and nobody to be killed.
pub(crate) fn end() -> ! {
    if rustix::process::getpgrp() == rustix::process::getpid() {
        let _ = rustix::process::kill_current_process_group(Signal::KILL);
    }
    std::process::exit(0)
}

/// Says something to whoever started us by hand. stderr may be anything, and it does not matter if it fails.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "agent-aws-broker: {text}");
}
