//! Giving privilege up for good. Every step is read back; a step that did not take ends the process.

use std::collections::BTreeSet;

use caps::CapSet;
use nix::unistd::{ResGid, ResUid, getresgid, getresuid};
use rustix::process::{DumpableBehavior, Gid, Uid, dumpable_behavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits as Bits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits,
    capability_is_in_bounding_set, configure_capability_in_ambient_set, no_new_privs, set_capabilities,
    set_capabilities_secure_bits, set_keep_capabilities, set_no_new_privs,
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
    not_dumpable()?;
    empty_bounding_set()?;
    lock_securebits()?;
    take_ids(ids)?;
    forbid_gaining(Kept::Nothing)?;
    verify_ids(ids)?;
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
    gain_nothing()?;
    ids.map_or(Ok(()), verify_ids)?;
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
    gain_nothing()?;
    not_dumpable()
}

/// Empties the capability sets but for `kept` (the bounding set must be empty already) and sets no_new_privs. The ambient
/// set never holds what is not inheritable (capabilities(7)).
pub fn forbid_gaining(kept: Kept) -> Result<(), Failure> {
    let fail = |e: rustix::io::Errno| Failure::plain("dropping capabilities", e);
    let left = match kept {
        Kept::Nothing => CapabilitySet::empty(),
        Kept::Kill => CapabilitySet::KILL,
    };
    let wanted = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    caps::clear(None, CapSet::Ambient).map_err(|e| Failure::plain("dropping capabilities", e))?;
    set_capabilities(None, wanted).map_err(fail)?;
    gain_nothing()?;
    let bound = |number| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1u64 << number));
    let unbound = (0..64).all(|number| matches!(bound(number), Ok(false) | Err(rustix::io::Errno::INVAL)));
    match capabilities(None).map_err(fail)? == wanted && unbound {
        true => Ok(()),
        false => Err(Failure::plain("dropping capabilities", "did not take")),
    }
}

fn gain_nothing() -> Result<(), Failure> {
    match set_no_new_privs(true).and_then(|()| no_new_privs()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::plain("no_new_privs", "did not take")),
        Err(e) => Err(Failure::plain("no_new_privs", e)),
    }
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

/// Reads the ids back and then tries to get them back: that must fail. The ids for files follow the effective ones.
fn verify_ids(ids: &Ids) -> Result<(), Failure> {
    let (uid, gid) = (ids.uid.into(), ids.gid.into());
    let groups = || Some(rustix::process::getgroups().ok()?.iter().map(|g| g.as_raw()).collect::<BTreeSet<u32>>());
    let wanted = ids.groups.as_ref().map(|groups| groups.iter().copied().collect::<BTreeSet<u32>>());
    let what = match () {
        () if getresuid() != Ok(ResUid { real: uid, effective: uid, saved: uid }) => "uid",
        () if getresgid() != Ok(ResGid { real: gid, effective: gid, saved: gid }) => "gid",
        () if wanted.is_some() && wanted != groups() => "setgroups",
        () => return no_way_back(ids),
    };
    Err(Failure::plain("dropping privilege", format!("{what} did not take")))
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
