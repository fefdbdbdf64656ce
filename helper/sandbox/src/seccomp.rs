//! Installing filters of system calls. The kernel takes the most restrictive answer of all of them.

use agent_aws_bpf::classic::{ALLOW, NOT_PERMITTED, Program, by_number};
use agent_aws_bpf::{Made, seccomp::programs};

use crate::error::Failure;

/// Installs all filters for this process and what it will start. no_new_privs must be set.
pub(crate) fn install(nesting: bool, debug: bool) -> Result<(), Failure> {
    apply(programs(nesting, debug))
}

/// Allows nothing but `calls` from here on: the rest is EPERM.
pub fn allow_only(calls: &[i64]) -> Result<(), Failure> {
    apply(by_number(&[], calls.iter().map(|call| (*call, ALLOW)), NOT_PERMITTED).map(|program| [program]))
}

fn apply(programs: Made<impl IntoIterator<Item = Program>>) -> Result<(), Failure> {
    let installed = programs.and_then(|all| Ok(all.into_iter().try_for_each(|p| seccompiler::apply_filter(&p))?));
    installed.map_err(|e| Failure::plain("seccomp", e))
}
