//! What the running kernel can do.

use crate::sys;

/// Facts that lowering depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelFacts {
    /// ABI version of Landlock; 0 if there is none.
    pub landlock: u32,
    /// Whether the sandbox is made in a user namespace of its own (no setuid bit).
    pub user_namespace: bool,
}

impl KernelFacts {
    /// Asks the kernel.
    pub fn probe(user_namespace: bool) -> Self {
        Self { landlock: sys::landlock_abi(), user_namespace }
    }
}
