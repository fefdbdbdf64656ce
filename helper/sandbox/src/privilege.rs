//! Giving privilege up for good. Every step is read back; a step that did not take ends the process.

use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::path::Path;

use caps::{CapSet, Capability};
use rustix::process::{DumpableBehavior, Gid, Uid, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits as Bits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits,
    configure_capability_in_ambient_set, set_capabilities, set_capabilities_secure_bits, set_keep_capabilities,
};

use crate::error::Failure;

/// Whose ids a process takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// All four uids.
    pub uid: u32,
    /// All four gids.
    pub gid: u32,
    /// Supplementary groups; `None` where they cannot be changed (a user namespace without setgroups).
    pub groups: Option<Vec<u32>>,
}

/// What is left of root's capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// CAP_KILL: without it not even uid 0 may end a process of another uid.
    Kill,
}

/// Takes `ids` for good, with no way back: bounding set empty, securebits locked, groups, gid, uid, every capability
/// set empty, no_new_privs, not dumpable.
pub fn become_permanently(ids: &Ids) -> Result<(), Failure> {
    become_checked(ids, &Status::open()?)
}

/// The same where /proc may be out of reach by now.
pub fn become_checked(ids: &Ids, status: &Status) -> Result<(), Failure> {
    not_dumpable()?;
    empty_bounding_set()?;
    lock_securebits()?;
    take_ids(ids)?;
    forbid_gaining(Kept::Nothing, status)?;
    verify_ids(ids, &status.read())?;
    // Each change of credentials sets it again from fs.suid_dumpable.
    not_dumpable()
}

/// Takes `ids`, or keeps those there are, with the capabilities that laying pipes in a network takes and no others. They
/// outlast the execution that follows, and nothing can be gained by it.
pub fn become_plumber(ids: Option<&Ids>) -> Result<(), Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("the plumber's capabilities", e);
    let wanted = CapabilitySet::NET_ADMIN | CapabilitySet::NET_BIND_SERVICE | CapabilitySet::BPF;
    not_dumpable()?;
    // Before the bounding set is empty, which bounds what can be inherited.
    let sets = capabilities(None).map_err(fail)?;
    set_capabilities(None, CapabilitySets { inheritable: wanted, ..sets }).map_err(fail)?;
    empty_bounding_set()?;
    if let Some(ids) = ids {
        set_keep_capabilities(true).map_err(fail)?;
        take_ids(ids)?;
    }
    set_capabilities(None, CapabilitySets { effective: wanted, permitted: wanted, inheritable: wanted })
        .map_err(fail)?;
    wanted.iter().try_for_each(|one| configure_capability_in_ambient_set(one, true)).map_err(fail)?;
    rustix::thread::set_no_new_privs(true).map_err(|e| Failure::plain("no_new_privs", e))?;
    // Not by /proc: the builder puts the new root there meanwhile.
    if let Some(ids) = ids {
        let groups = rustix::process::getgroups().map_err(|e| Failure::plain("setgroups", e))?;
        let is = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw(), groups.is_empty());
        if is != (ids.uid, ids.gid, ids.groups.as_ref().is_some_and(Vec::is_empty)) {
            return Err(Failure::plain("dropping privilege", "the plumber's ids did not take"));
        }
        no_way_back(ids)?;
    }
    not_dumpable()
}

fn take_ids(ids: &Ids) -> Result<(), Failure> {
    if let Some(groups) = &ids.groups {
        let groups: Vec<Gid> = groups.iter().map(|g| Gid::from_raw(*g)).collect();
        rustix::thread::set_thread_groups(&groups).map_err(|e| Failure::plain("setgroups", e))?;
    }
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| Failure::plain("setresgid", e))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| Failure::plain("setresuid", e))
}

/// What a process without any privilege can still give up: ambient capabilities, gaining new ones, being traced.
pub fn forbid_gaining_unprivileged() -> Result<(), Failure> {
    caps::clear(None, CapSet::Ambient).map_err(|e| Failure::plain("dropping capabilities", e))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| Failure::plain("no_new_privs", e))?;
    not_dumpable()
}

/// Empties the capability sets but for `kept` (the bounding set must be empty already) and sets no_new_privs.
pub fn forbid_gaining(kept: Kept, status: &Status) -> Result<(), Failure> {
    let capability = |e: caps::errors::CapsError| Failure::plain("dropping capabilities", e);
    caps::clear(None, CapSet::Ambient).map_err(capability)?;
    caps::clear(None, CapSet::Inheritable).map_err(capability)?;
    let wanted = match kept {
        Kept::Nothing => caps::CapsHashSet::new(),
        Kept::Kill => [Capability::CAP_KILL].into_iter().collect(),
    };
    caps::set(None, CapSet::Effective, &wanted).map_err(capability)?;
    caps::set(None, CapSet::Permitted, &wanted).map_err(capability)?;
    rustix::thread::set_no_new_privs(true).map_err(|e| Failure::plain("no_new_privs", e))?;
    let left = wanted.iter().map(Capability::bitmask).sum::<u64>();
    let status = status.read();
    let sets = [("CapInh:", 0), ("CapPrm:", left), ("CapEff:", left), ("CapBnd:", 0), ("CapAmb:", 0)];
    for (set, expected) in sets {
        if u64::from_str_radix(field(&status, set), 16) != Ok(expected) {
            return Err(Failure::plain("dropping capabilities", format!("{set} is {}", field(&status, set))));
        }
    }
    match field(&status, "NoNewPrivs:") {
        "1" => Ok(()),
        _ => Err(Failure::plain("no_new_privs", "did not take")),
    }
}

/// What the kernel says of this process (proc_pid_status(5)): opened before what it lies in is out of reach.
#[derive(Debug)]
pub struct Status(std::fs::File);

impl Status {
    /// Opens it.
    pub fn open() -> Result<Self, Failure> {
        let path = "/proc/self/status";
        std::fs::File::open(path).map(Self).map_err(|e| Failure::os("opening", Path::new(path), e))
    }

    /// As it is now; nothing, which no expectation meets, if it cannot be read.
    fn read(&self) -> String {
        let (mut file, mut text) = (&self.0, Vec::with_capacity(4096));
        let read = file.rewind().and_then(|()| file.read_to_end(&mut text));
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&text).into_owned())
    }
}

fn field<'s>(status: &'s str, name: &str) -> &'s str {
    status.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim)
}

/// Nobody of the same uid may trace this process or read its memory, and it leaves no core.
pub fn not_dumpable() -> Result<(), Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("PR_SET_DUMPABLE", e);
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(fail)?;
    match dumpable_behavior().map_err(fail)? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(Failure::plain("PR_SET_DUMPABLE", "did not take")),
    }
}

/// Nothing may be gained by executing a file. Numbers that the kernel does not know end the loop; what is left is read back with the other sets.
pub fn empty_bounding_set() -> Result<(), Failure> {
    for number in 0..64 {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => break,
            Err(e) => return Err(Failure::plain("emptying the bounding set", e)),
        }
    }
    Ok(())
}

/// uid 0 means nothing from here on, and nobody can make it mean something again.
fn lock_securebits() -> Result<(), Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("locking securebits", e);
    let wanted = Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED;
    set_capabilities_secure_bits(wanted).map_err(fail)?;
    match capabilities_secure_bits().map_err(fail)? == wanted {
        true => Ok(()),
        false => Err(Failure::plain("locking securebits", "did not take")),
    }
}

/// Reads the ids back and then tries to get them back: that must fail.
fn verify_ids(ids: &Ids, status: &str) -> Result<(), Failure> {
    let bad = |what| Err(Failure::plain("dropping privilege", format!("{what} did not take")));
    let four = |id: u32| [id; 4].map(|i| i.to_string()).join("\t");
    for (what, name, id) in [("uid", "Uid:", ids.uid), ("gid", "Gid:", ids.gid)] {
        if field(status, name) != four(id) {
            return bad(what);
        }
    }
    if let Some(wanted) = &ids.groups {
        let have = field(status, "Groups:").split_whitespace().map(|g| g.parse().unwrap_or(u32::MAX));
        if have.collect::<BTreeSet<u32>>() != wanted.iter().copied().collect() {
            return bad("setgroups");
        }
    }
    no_way_back(ids)
}

/// Getting root back is tried: that must fail.
fn no_way_back(ids: &Ids) -> Result<(), Failure> {
    let root = Uid::from_raw(0);
    let other = Uid::from_raw(if ids.uid == 0 { 1 } else { 0 });
    if rustix::thread::set_thread_res_uid(other, other, other).is_ok()
        || (ids.uid != 0 && rustix::thread::set_thread_uid(root).is_ok())
    {
        return Err(Failure::plain("dropping privilege", "giving root up did not take"));
    }
    Ok(())
}
