//! What a broker of a system source may call. Anything else answers ENOSYS, on which glibc falls back.

/// System call and who needs it.
pub(super) const CALLS: &[(i64, &str)] = &[
    // Memory.
    (libc::SYS_brk, "malloc"),
    (libc::SYS_mmap, "malloc, thread stacks, libraries of the name service"),
    (libc::SYS_munmap, "malloc"),
    (libc::SYS_mremap, "malloc"),
    (libc::SYS_mprotect, "malloc, thread stacks"),
    (libc::SYS_madvise, "malloc, ended threads"),
    // Threads and signals: tokio's blocking pool, the closing thread.
    (libc::SYS_futex, "locks"),
    (libc::SYS_set_robust_list, "new threads"),
    (libc::SYS_rseq, "new threads"),
    (libc::SYS_set_tid_address, "new threads"),
    (libc::SYS_sigaltstack, "new threads"),
    (libc::SYS_rt_sigprocmask, "new threads"),
    (libc::SYS_rt_sigaction, "the runtime"),
    (libc::SYS_rt_sigreturn, "the runtime"),
    (libc::SYS_restart_syscall, "after a stop"),
    (libc::SYS_mlock, "answers are not swapped out"),
    (libc::SYS_sched_yield, "locks"),
    (libc::SYS_sched_getaffinity, "the runtime counts processors"),
    (libc::SYS_membarrier, "the runtime"),
    (libc::SYS_prctl, "names of threads"),
    (libc::SYS_prlimit64, "stack size of new threads"),
    (libc::SYS_getpid, "the runtime, the resolver"),
    (libc::SYS_gettid, "abort"),
    (libc::SYS_getpgid, "the end"),
    (libc::SYS_tgkill, "abort"),
    (libc::SYS_exit, "ended threads"),
    (libc::SYS_exit_group, "the end"),
    (libc::SYS_geteuid, "glibc's resolver"),
    (libc::SYS_getuid, "glibc's resolver"),
    (libc::SYS_getegid, "glibc's resolver"),
    (libc::SYS_getgid, "glibc's resolver"),
    // Time and chance.
    (libc::SYS_clock_gettime, "both clocks, where the vDSO has none"),
    (libc::SYS_clock_getres, "the runtime"),
    (libc::SYS_clock_nanosleep, "the resolver's waits"),
    (libc::SYS_nanosleep, "the resolver's waits"),
    (libc::SYS_gettimeofday, "the resolver"),
    (libc::SYS_getrandom, "TLS, request ids"),
    // Waiting.
    (libc::SYS_epoll_create1, "tokio"),
    (libc::SYS_epoll_ctl, "tokio"),
    (libc::SYS_epoll_pwait, "tokio"),
    (libc::SYS_eventfd2, "tokio's waker"),
    (libc::SYS_ppoll, "the channel, the resolver"),
    // Sockets: STS, name servers, the doors.
    (libc::SYS_socket, "STS, name servers"),
    (libc::SYS_socketpair, "tokio"),
    (libc::SYS_connect, "STS, name servers"),
    (libc::SYS_bind, "the resolver's netlink question which addresses there are"),
    (libc::SYS_accept4, "doors"),
    (libc::SYS_shutdown, "doors"),
    (libc::SYS_getsockname, "doors, the resolver"),
    (libc::SYS_getpeername, "connections"),
    (libc::SYS_getsockopt, "connections, checks of descriptors"),
    (libc::SYS_setsockopt, "connections"),
    (libc::SYS_sendto, "all sockets"),
    (libc::SYS_recvfrom, "all sockets"),
    (libc::SYS_sendmsg, "the channel, the resolver"),
    (libc::SYS_recvmsg, "the channel, the capability door"),
    (libc::SYS_sendmmsg, "the resolver asks for both families at once"),
    (libc::SYS_read, "everything"),
    (libc::SYS_write, "everything"),
    (libc::SYS_readv, "connections"),
    (libc::SYS_writev, "connections"),
    (libc::SYS_pread64, "the source's file"),
    (libc::SYS_close, "everything"),
    (libc::SYS_dup, "the runtime"),
    (libc::SYS_fcntl, "close-on-exec, non-blocking"),
    (libc::SYS_ioctl, "non-blocking sockets, the resolver's FIONREAD"),
    (libc::SYS_pipe2, "the runtime"),
    // Files: trusted certificates, the resolver's configuration, libraries of the name service. Nothing can be created:
    // the broker's file view, set up by the supervisor, decides what there is to open.
    (libc::SYS_openat, "as said above"),
    (libc::SYS_newfstatat, "as said above"),
    (libc::SYS_fstat, "as said above"),
    (libc::SYS_statx, "as said above"),
    (libc::SYS_lseek, "as said above"),
    (libc::SYS_getdents64, "directory of certificates"),
    (libc::SYS_readlinkat, "as said above"),
    (libc::SYS_faccessat, "as said above"),
    (libc::SYS_uname, "the resolver"),
    (libc::SYS_sysinfo, "malloc sizes its arenas"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_access, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_readlink, "older C libraries"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "the resolver"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "tokio"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_getpgrp, "the end"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_time, "the resolver"),
];
