//! Before the first byte of the agent is read, the process is confined as if it were lost already.

use std::fs;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::{entry, seccomp};

/// After this: no file, no capability, no new process, no socket but TCP and UDP. In setuid mode the helper has given an
/// empty root, which is held against; in unprivileged mode it is made here. Must run while there is one thread.
pub fn confine() -> Result<(), String> {
    if !root_is_empty()? {
        leave_files().map_err(|e| {
            format!(
                "the gateway cannot confine itself ({e}); unprivileged user namespaces may be switched off here: use \
                 network = \"none\", or the setuid helper"
            )
        })?;
    }
    rustix::thread::set_no_new_privs(true).map_err(|e| format!("no_new_privs: {e}"))?;
    verify()?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for (resource, name) in [(Resource::Nproc, "processes"), (Resource::Fsize, "size of files")] {
        rustix::process::setrlimit(resource, none).map_err(|e| format!("cannot limit the {name}: {e}"))?;
    }
    seccomp::install()
}

fn verify() -> Result<(), String> {
    if !root_is_empty()? {
        return Err("the root directory of the gateway is not empty".into());
    }
    match rustix::thread::capabilities(None) {
        Ok(sets) if sets.permitted.is_empty() && sets.effective.is_empty() && sets.inheritable.is_empty() => {}
        _ => return Err("the gateway refuses to run with a capability".into()),
    }
    match rustix::thread::no_new_privs() {
        Ok(true) => Ok(()),
        _ => Err("the gateway refuses to run without no_new_privs".into()),
    }
}

/// Also moves there: a working directory outside of the root would be a way out.
fn root_is_empty() -> Result<bool, String> {
    let look = || -> rustix::io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty())?;
        rustix::process::fchdir(&root)?;
        for entry in rustix::fs::Dir::read_from(&root)? {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    };
    look().map_err(|e| format!("the root directory: {e}"))
}

/// A user namespace that knows our own ids, and in it an empty root that nothing can be written to.
fn leave_files() -> Result<(), String> {
    let step = |what: &'static str| move |e: rustix::io::Errno| format!("{what}: {e}");
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // The files of an undumpable process are root's. The caller's own programs, which alone could trace us now, gain
    // nothing: nothing of the agent was read yet.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(step("dumpable"))?;
    let new = nix::sched::CloneFlags::CLONE_NEWUSER | nix::sched::CloneFlags::CLONE_NEWNS;
    nix::sched::unshare(new).map_err(|e| format!("unshare: {e}"))?;
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    {
        fs::write(format!("/proc/self/{file}"), text).map_err(|e| format!("{file}: {e}"))?;
    }
    entry::undumpable()?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(step("private mounts"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Any directory would do; this one is known to be there.
    rustix::mount::mount("none", "/proc", "tmpfs", flags, c"mode=0555,size=4k").map_err(step("empty root"))?;
    rustix::process::chdir("/proc").map_err(step("empty root"))?;
    rustix::process::pivot_root(".", ".").map_err(step("pivot_root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(step("old root"))?;
    rustix::process::chdir("/").map_err(step("empty root"))?;
    drop_capabilities().map_err(step("capabilities"))
}

fn drop_capabilities() -> rustix::io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A kernel older than the list.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(e) => return Err(e),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    let empty = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: empty, permitted: empty, inheritable: empty })
}
