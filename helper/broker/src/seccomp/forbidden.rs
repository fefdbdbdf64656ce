//! What nothing that this process starts may call. Answered with EPERM.

/// System call and why it is refused.
pub(super) const CALLS: &[(i64, &str)] = &[
    // Reaching into other processes of the same user, which the sandbox is there to prevent.
    (libc::SYS_ptrace, "reads and steers another process"),
    (libc::SYS_process_vm_readv, "reads another process"),
    (libc::SYS_process_vm_writev, "writes another process"),
    (libc::SYS_pidfd_getfd, "takes another process's descriptors"),
    (libc::SYS_process_madvise, "steers another process's memory"),
    (libc::SYS_kcmp, "compares another process's resources"),
    // New kernel surface that neither the SDK nor a login tool uses.
    (libc::SYS_bpf, "kernel programs"),
    (libc::SYS_perf_event_open, "kernel tracing"),
    (libc::SYS_userfaultfd, "stops the kernel inside a copy"),
    (libc::SYS_io_uring_setup, "system calls that no filter sees"),
    (libc::SYS_io_uring_enter, "system calls that no filter sees"),
    (libc::SYS_io_uring_register, "system calls that no filter sees"),
    (libc::SYS_fanotify_init, "watches every file"),
    // Mounts and namespaces. clone's own flags are left: programs of a login tool may sandbox themselves.
    (libc::SYS_mount, "changes the file view"),
    (libc::SYS_umount2, "changes the file view"),
    (libc::SYS_pivot_root, "changes the file view"),
    (libc::SYS_chroot, "changes the file view"),
    (libc::SYS_open_tree, "changes the file view"),
    (libc::SYS_move_mount, "changes the file view"),
    (libc::SYS_fsopen, "changes the file view"),
    (libc::SYS_fsconfig, "changes the file view"),
    (libc::SYS_fsmount, "changes the file view"),
    (libc::SYS_fspick, "changes the file view"),
    (libc::SYS_mount_setattr, "changes the file view"),
    (libc::SYS_setns, "enters another namespace"),
    // The machine as a whole.
    (libc::SYS_init_module, "kernel modules"),
    (libc::SYS_finit_module, "kernel modules"),
    (libc::SYS_delete_module, "kernel modules"),
    (libc::SYS_kexec_load, "another kernel"),
    (libc::SYS_reboot, "the machine"),
    (libc::SYS_swapon, "swap may hold secrets"),
    (libc::SYS_swapoff, "the machine"),
    (libc::SYS_acct, "the machine"),
    (libc::SYS_quotactl, "the machine"),
    (libc::SYS_syslog, "kernel addresses"),
    (libc::SYS_settimeofday, "the clock that expiry is held against"),
    (libc::SYS_clock_settime, "the clock that expiry is held against"),
    (libc::SYS_adjtimex, "the clock that expiry is held against"),
    (libc::SYS_clock_adjtime, "the clock that expiry is held against"),
    (libc::SYS_open_by_handle_at, "opens files by number, past directories"),
    (libc::SYS_lookup_dcookie, "kernel tracing"),
    (libc::SYS_personality, "switches off address randomization"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_kexec_file_load, "another kernel"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "hardware"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "hardware"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_modify_ldt, "segments"),
];
