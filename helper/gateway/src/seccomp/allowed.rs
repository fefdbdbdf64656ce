//! What the gateway may call once it is confined. Anything else answers ENOSYS.

/// System call and who needs it.
pub(super) const CALLS: &[(i64, &str)] = &[
    // Memory. Never executable: the other filter.
    (libc::SYS_brk, "malloc"),
    (libc::SYS_mmap, "malloc"),
    (libc::SYS_munmap, "malloc"),
    (libc::SYS_mremap, "malloc"),
    (libc::SYS_mprotect, "malloc"),
    (libc::SYS_madvise, "malloc"),
    // There is one thread, and no signal to send.
    (libc::SYS_futex, "locks"),
    (libc::SYS_sched_yield, "locks"),
    (libc::SYS_rt_sigprocmask, "the runtime"),
    (libc::SYS_rt_sigaction, "the runtime"),
    (libc::SYS_rt_sigreturn, "the runtime"),
    (libc::SYS_sigaltstack, "the end of the main thread"),
    (libc::SYS_restart_syscall, "after a stop"),
    (libc::SYS_getpid, "abort"),
    (libc::SYS_gettid, "abort"),
    (libc::SYS_exit, "the end"),
    (libc::SYS_exit_group, "the end"),
    // Time and chance.
    (libc::SYS_clock_gettime, "where the vDSO has none"),
    (libc::SYS_getrandom, "hash tables, ids of questions"),
    // Waiting.
    (libc::SYS_epoll_create1, "tokio"),
    (libc::SYS_epoll_ctl, "tokio"),
    (libc::SYS_epoll_pwait, "tokio"),
    (libc::SYS_eventfd2, "tokio's waker"),
    (libc::SYS_ppoll, "the channels"),
    // Sockets: name servers, what is dialled, what was accepted. Which ones: the other filter.
    (libc::SYS_socket, "name servers, dialling"),
    (libc::SYS_connect, "name servers, dialling"),
    (libc::SYS_bind, "whether an address is the machine's own"),
    (libc::SYS_accept4, "the listeners"),
    (libc::SYS_shutdown, "half-closed connections"),
    (libc::SYS_getsockname, "what was dialled"),
    (libc::SYS_getpeername, "connections"),
    (libc::SYS_getsockopt, "connections, checks of descriptors"),
    (libc::SYS_setsockopt, "connections"),
    (libc::SYS_sendto, "all sockets"),
    (libc::SYS_recvfrom, "all sockets"),
    (libc::SYS_sendmsg, "the channels, answers of DNS"),
    (libc::SYS_recvmsg, "the channels, questions of DNS"),
    (libc::SYS_read, "tokio's waker"),
    (libc::SYS_write, "tokio's waker"),
    (libc::SYS_readv, "connections"),
    (libc::SYS_writev, "connections"),
    (libc::SYS_close, "everything"),
    (libc::SYS_fcntl, "close-on-exec, non-blocking, the spare descriptor"),
    (libc::SYS_ioctl, "non-blocking sockets"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "the channels"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "tokio"),
];
