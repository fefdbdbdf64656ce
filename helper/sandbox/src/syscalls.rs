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
pub(crate) const ALLOWED: &[Group] = &[
    Group {
        reason: "files, directories, attributes",
        calls: calls! {
            SYS_chdir SYS_close SYS_close_range SYS_copy_file_range SYS_dup SYS_dup3 SYS_faccessat SYS_faccessat2
            SYS_fadvise64 SYS_fallocate SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl
            SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat
            SYS_fstatfs SYS_fsync SYS_ftruncate SYS_getcwd SYS_getdents64 SYS_getxattr SYS_lgetxattr SYS_linkat
            SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_mkdirat SYS_mknodat
            SYS_newfstatat SYS_openat SYS_openat2 SYS_pread64 SYS_preadv SYS_preadv2 SYS_pwrite64 SYS_pwritev
            SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_removexattr SYS_renameat2 SYS_sendfile
            SYS_setxattr SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync SYS_syncfs SYS_tee SYS_truncate
            SYS_umask SYS_unlinkat SYS_utimensat SYS_write SYS_writev
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_access SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_fchmodat2 SYS_futimesat SYS_getdents SYS_lchown
            SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_readlink SYS_rename SYS_renameat SYS_rmdir SYS_stat
            SYS_symlink SYS_sync_file_range SYS_unlink SYS_utime SYS_utimes
        },
    },
    Group {
        reason: "memory of the process",
        calls: calls! {
            SYS_brk SYS_madvise SYS_memfd_create SYS_mincore SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap SYS_mprotect
            SYS_mremap SYS_mseal SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_pkey_alloc SYS_pkey_free
            SYS_pkey_mprotect SYS_membarrier SYS_get_mempolicy
        },
    },
    Group {
        reason: "waiting for events (not io_uring: its operations escape every filter)",
        calls: calls! {
            SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_inotify_add_watch
            SYS_inotify_init1 SYS_inotify_rm_watch SYS_ppoll SYS_pselect6 SYS_signalfd4 SYS_timerfd_create
            SYS_timerfd_gettime SYS_timerfd_settime SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_setup
            SYS_io_submit SYS_fanotify_mark
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_inotify_init SYS_poll SYS_select SYS_signalfd SYS_pause
        },
    },
    Group {
        reason: "processes, threads, scheduling",
        calls: calls! {
            SYS_clone SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_getpgid SYS_getpid SYS_getppid
            SYS_getpriority SYS_setpriority SYS_prlimit64 SYS_getrusage SYS_getsid SYS_setpgid SYS_setsid SYS_kill
            SYS_tgkill SYS_tkill SYS_pidfd_open SYS_pidfd_send_signal SYS_process_mrelease SYS_wait4 SYS_waitid
            SYS_gettid SYS_set_tid_address SYS_prctl SYS_restart_syscall SYS_rseq SYS_set_robust_list
            SYS_get_robust_list SYS_futex SYS_futex_waitv SYS_sched_get_priority_max SYS_sched_get_priority_min
            SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler
            SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam
            SYS_sched_setscheduler SYS_sched_yield SYS_ioprio_get SYS_ioprio_set SYS_getcpu
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_fork SYS_vfork SYS_getpgrp SYS_getrlimit SYS_setrlimit SYS_arch_prctl
        },
    },
    Group {
        reason: "signals and timers",
        calls: calls! {
            SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn
            SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sigaltstack SYS_getitimer SYS_setitimer
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_alarm
        },
    },
    Group {
        reason: "reading clocks; setting them needs a capability nobody has",
        calls: calls! {
            SYS_adjtimex SYS_clock_adjtime SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_gettimeofday
            SYS_nanosleep SYS_times SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime
            SYS_timer_settime
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_time
        },
    },
    Group {
        reason: "asking who one is; changing it needs a capability nobody has",
        calls: calls! {
            SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getresgid SYS_getresuid SYS_getuid SYS_setfsgid
            SYS_setfsuid SYS_setgid SYS_setgroups SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setuid
            SYS_capget SYS_capset
        },
    },
    Group {
        reason: "sockets, of the families that the second filter admits",
        calls: calls! {
            SYS_accept SYS_accept4 SYS_bind SYS_connect SYS_getpeername SYS_getsockname SYS_getsockopt
            SYS_setsockopt SYS_listen SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_sendmmsg SYS_sendmsg SYS_sendto
            SYS_shutdown SYS_socket SYS_socketpair SYS_pipe2
        },
    },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_pipe
        },
    },
    Group {
        reason: "inside the ipc namespace of the sandbox",
        calls: calls! {
            SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink
            SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_shmat
            SYS_shmctl SYS_shmdt SYS_shmget
        },
    },
    Group {
        reason: "less the requests that the second filter refuses",
        calls: calls! {
            SYS_ioctl
        },
    },
    Group {
        reason: "asking about the machine",
        calls: calls! {
            SYS_getrandom SYS_sysinfo SYS_uname
        },
    },
    Group {
        reason: "tightening further is always allowed",
        calls: calls! {
            SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_seccomp
        },
    },
];

/// Refused with EPERM: programs ask for them, and cope with a refusal.
pub(crate) const REFUSED: &[Group] = &[
    Group {
        reason: "the keyring is shared by uid across sandboxes and may hold keys",
        calls: calls! {
            SYS_add_key SYS_keyctl SYS_request_key
        },
    },
    Group {
        reason: "one process reading another: the wall inside the sandbox",
        calls: calls! {
            SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd SYS_kcmp
        },
    },
    Group {
        reason: "kernel interfaces with a history",
        calls: calls! {
            SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_lookup_dcookie
        },
    },
    Group {
        reason: "files by handle pass every mount",
        calls: calls! {
            SYS_open_by_handle_at SYS_name_to_handle_at
        },
    },
    Group {
        reason: "the machine is not the agent's",
        calls: calls! {
            SYS_acct SYS_quotactl SYS_swapon SYS_swapoff SYS_syslog SYS_reboot SYS_kexec_load SYS_init_module
            SYS_finit_module SYS_delete_module SYS_settimeofday SYS_clock_settime SYS_sethostname SYS_setdomainname
            SYS_vhangup
        },
    },
    Group {
        reason: "memory of other processes",
        calls: calls! {
            SYS_move_pages SYS_migrate_pages SYS_mbind SYS_set_mempolicy
        },
    },
    Group { reason: "direct access to hardware, and segments of old binaries", calls: calls! {} },
    #[cfg(target_arch = "x86_64")]
    Group {
        reason: "the same, in the words of x86",
        calls: calls! {
            SYS_iopl SYS_ioperm SYS_modify_ldt
        },
    },
];

/// Refused with EPERM unless `nesting` admits them.
pub(crate) const NESTING: &[Group] = &[Group {
    reason: "namespaces and mounts: with `nesting` a user namespace gives them to an inner sandbox",
    calls: calls! {
        SYS_unshare SYS_setns SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot
    },
}];
