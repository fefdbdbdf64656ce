//! System calls, as data. What is in no table is answered ENOSYS, as on a kernel that does not have it.

/// Numbers of calls, by the names of the libc crate.
#[macro_export]
macro_rules! calls {
    ($($name:ident)*) => { &[$($crate::libc::$name),*] };
}

/// Calls with one reason.
pub(crate) struct Group {
    /// Why they are admitted or refused.
    #[allow(dead_code)] // for the reader, and for the documentation
    pub(crate) reason: &'static str,
    /// Their numbers on this architecture.
    pub(crate) calls: &'static [i64],
}

/// Admitted.
pub(crate) const ALLOWED: &[Group] = include!("../tables/syscalls-allowed.in");

/// Refused with EPERM: programs ask for them, and cope with a refusal.
pub(crate) const REFUSED: &[Group] = include!("../tables/syscalls-refused.in");

/// Refused with EPERM unless `nesting` admits them.
pub(crate) const NESTING: &[Group] = include!("../tables/syscalls-nesting.in");

/// Refused with EPERM unless `debug` admits them.
pub(crate) const DEBUG: &[Group] = include!("../tables/syscalls-debug.in");
