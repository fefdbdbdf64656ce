//! The first statements of the process.

use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::sys;

/// The descriptor of the channel to the supervisor.
const CHANNEL: i32 = 3;
/// More than this is not needed: two for each connection of [`crate::places`].
const DESCRIPTORS: u64 = 65_536;

/// Leaves nothing of the starting process but the channel, and nothing of this one to debuggers and core files.
pub fn isolate() -> Result<OwnedFd, String> {
    sys::close_from(4).map_err(|e| format!("cannot close inherited descriptors: {e}"))?;
    undumpable()?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(|e| format!("cannot forbid core files: {e}"))?;
    let channel = sys::inherit(CHANNEL);
    match rustix::net::sockopt::socket_type(&channel) {
        Ok(rustix::net::SocketType::STREAM) => {
            rustix::io::fcntl_setfd(&channel, rustix::io::FdFlags::CLOEXEC).map_err(|e| e.to_string())?;
            Ok(channel)
        }
        _ => {
            // Not ours to close, and if it is not open at all, closing it would abort the process.
            std::mem::forget(channel);
            Err("agent-aws-gateway is started by agent-aws-helper, not by hand".into())
        }
    }
}

pub(crate) fn undumpable() -> Result<(), String> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| format!("cannot become undumpable: {e}"))?;
    match rustix::process::dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok(()),
        _ => Err("the kernel left this process dumpable".into()),
    }
}

/// No root, and as many descriptors as it may have.
pub(crate) fn check() -> Result<(), String> {
    if rustix::process::geteuid().is_root() || rustix::process::getuid().is_root() {
        return Err("the gateway refuses to run as root".into());
    }
    // Out of the caller's terminal session: Ctrl-C there is for the agent. Fails only if we lead a group already.
    let _ = rustix::process::setsid();
    let mut files = rustix::process::getrlimit(Resource::Nofile);
    files.current = Some(files.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS));
    rustix::process::setrlimit(Resource::Nofile, files)
        .map_err(|e| format!("cannot raise the limit of open files: {e}"))
}

/// Says something to whoever started us by hand. stderr may be anything, and it does not matter if it fails.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "agent-aws-gateway: {text}");
}
