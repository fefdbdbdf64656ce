//! Landlock and seccomp, after the drop: the last two walls, and the first two that an agent meets.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::error::Failure;
use crate::op::Fence;
use crate::seccomp;

/// Restricts this process and all that it will start. Every rule is a hard requirement: one that the kernel does not
/// take in full is a failure.
pub fn restrict(fence: &Fence) -> Result<(), Failure> {
    if fence.files || fence.scopes {
        landlock(fence)?;
    }
    seccomp::install(fence.nesting, fence.debug)
}

fn landlock(fence: &Fence) -> Result<(), Failure> {
    let fail = |e: landlock::RulesetError| Failure::plain("Landlock", e);
    let abi = ABI::from(i32::try_from(fence.landlock).unwrap_or(0));
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if fence.files {
        ruleset = ruleset.handle_access(AccessFs::from_all(abi)).map_err(fail)?;
    }
    if fence.scopes {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal).map_err(fail)?;
    }
    let mut ruleset = ruleset.create().map_err(fail)?;
    if fence.files {
        // Names may be listed anywhere in the view; what is in the files is said row by row.
        ruleset = allow(ruleset, Path::new("/"), AccessFs::ReadDir.into(), abi)?;
        for path in &fence.read {
            ruleset = allow(ruleset, path, AccessFs::from_read(abi), abi)?;
        }
        for path in &fence.write {
            ruleset = allow(ruleset, path, AccessFs::from_all(abi), abi)?;
        }
    }
    match ruleset.restrict_self().map_err(fail)? {
        RestrictionStatus { ruleset: RulesetStatus::FullyEnforced, no_new_privs: true, .. } => Ok(()),
        status => Err(Failure::plain("Landlock", format!("not enforced in full: {status:?}"))),
    }
}

fn allow(
    ruleset: RulesetCreated,
    path: &Path,
    access: landlock::BitFlags<AccessFs>,
    abi: ABI,
) -> Result<RulesetCreated, Failure> {
    let place = PathFd::new(path).map_err(|e| Failure::plain("Landlock", e))?;
    // Rights that make sense for directories only are refused on files.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
    let rule = PathBeneath::new(place, access).set_compatibility(CompatLevel::HardRequirement);
    ruleset.add_rule(rule).map_err(|e| Failure::plain("Landlock", e))
}
