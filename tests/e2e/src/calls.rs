//! System calls that an attacker tries, by number, without a library between. Arguments are such that a call does no harm
//! where it is admitted, even as root.

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

use crate::sys;

/// One attempt.
#[derive(Debug)]
pub struct Row {
    /// What it is called in tables.
    pub name: &'static str,
    number: i64,
    arguments: [u64; 6],
}

impl Row {
    /// Makes the call.
    pub fn attempt(&self) -> Result<(), Errno> {
        match self.number {
            I386_GETPID => {
                #[cfg(target_arch = "x86_64")]
                sys::i386_getpid();
                Ok(())
            }
            PTY => on_a_terminal(self.arguments),
            number => sys::call(number, self.arguments),
        }
    }
}

/// Types a letter into a terminal (TIOCSTI), with these bits set in the request beside its own.
pub fn type_into(terminal: &impl AsRawFd, bits: u64) -> Result<(), Errno> {
    let fd = u64::try_from(terminal.as_raw_fd()).unwrap_or(u64::MAX);
    sys::call(libc::SYS_ioctl, [fd, 0x5412 | bits, pointer(c"x"), 0, 0, 0])
}

/// Sets an option of a socket to 1.
pub fn set_option(socket: &impl AsRawFd, level: i32, name: i32) -> Result<(), Errno> {
    let number = |value: i32| u64::try_from(value).unwrap_or(u64::MAX);
    let one = u64::try_from((&raw const ONE).expose_provenance()).unwrap_or_default();
    sys::call(libc::SYS_setsockopt, [number(socket.as_raw_fd()), number(level), number(name), one, 4, 0])
}

/// ioctl(2) on a pseudo terminal of our own.
fn on_a_terminal([request, argument, ..]: [u64; 6]) -> Result<(), Errno> {
    let terminal = nix::pty::openpty(None, None)?;
    let fd = u64::try_from(terminal.slave.as_raw_fd()).unwrap_or(u64::MAX);
    sys::call(libc::SYS_ioctl, [fd, request, argument, 0, 0, 0])
}

/// Not a number of a call: getpid in the 32-bit ABI.
const I386_GETPID: i64 = -2;
/// Not a number of a call: an ioctl on a pseudo terminal; request and argument follow.
const PTY: i64 = -3;

const NOWHERE: u64 = u64::MAX;
const HIGH: u64 = 1 << 32;
const NEW_USER: u64 = 0x1000_0000;
/// The line discipline of every terminal (N_TTY).
static DISCIPLINE: i32 = 0;
/// The value of an option that is switched on.
static ONE: i32 = 1;
/// SECCOMP_RET_LOG: an action that every kernel with seccomp(2) of today has.
static LOG: u32 = 0x7ffc_0000;

fn pointer(text: &'static CStr) -> u64 {
    u64::try_from(text.as_ptr().expose_provenance()).unwrap_or_default()
}

fn row(name: &'static str, number: i64, some: &[u64]) -> Row {
    let mut arguments = [0; 6];
    arguments.iter_mut().zip(some).for_each(|(to, from)| *to = *from);
    Row { name, number, arguments }
}

/// All of them.
pub fn rows() -> Vec<Row> {
    let mut all = processes();
    all.extend(machine());
    all.extend(of_x86());
    all.extend(namespaces());
    all.extend(others());
    all.extend(unlisted());
    all.extend(sockets());
    all.extend(sending());
    all.extend(foreign());
    all.extend(terminals());
    all
}

fn processes() -> Vec<Row> {
    let me = u64::from(std::process::id());
    vec![
        row("getpid", libc::SYS_getpid, &[]),
        row("ptrace", libc::SYS_ptrace, &[0]),
        row("process_vm_readv", libc::SYS_process_vm_readv, &[me]),
        row("process_vm_writev", libc::SYS_process_vm_writev, &[me]),
        row("pidfd_getfd", libc::SYS_pidfd_getfd, &[NOWHERE]),
        row("kcmp", libc::SYS_kcmp, &[me, me, 1]),
        row("keyctl", libc::SYS_keyctl, &[0, u64::MAX - 2]),
        row("add_key", libc::SYS_add_key, &[]),
        row("request_key", libc::SYS_request_key, &[]),
        row("personality-read-implies-exec", libc::SYS_personality, &[0x40_0000]),
        row("personality-read-implies-exec-high-bits", libc::SYS_personality, &[0x40_0000 | HIGH]),
        row("personality-no-randomize", libc::SYS_personality, &[0x4_0000]),
    ]
}

fn machine() -> Vec<Row> {
    vec![
        row("bpf", libc::SYS_bpf, &[]),
        row("perf_event_open", libc::SYS_perf_event_open, &[]),
        row("userfaultfd", libc::SYS_userfaultfd, &[]),
        row("open_by_handle_at", libc::SYS_open_by_handle_at, &[NOWHERE]),
        row("name_to_handle_at", libc::SYS_name_to_handle_at, &[NOWHERE]),
        row("syslog", libc::SYS_syslog, &[10]),
        row("reboot", libc::SYS_reboot, &[]),
        row("kexec_load", libc::SYS_kexec_load, &[0, 0, 0, 0xffff_ffff]),
        row("init_module", libc::SYS_init_module, &[]),
        row("delete_module", libc::SYS_delete_module, &[pointer(c"no-such-module"), 0x800]),
        row("swapon", libc::SYS_swapon, &[]),
        row("settimeofday", libc::SYS_settimeofday, &[]),
        row("sethostname", libc::SYS_sethostname, &[0, NOWHERE]),
        row("setdomainname", libc::SYS_setdomainname, &[0, NOWHERE]),
        row("clock_settime", libc::SYS_clock_settime, &[NOWHERE]),
        row("acct", libc::SYS_acct, &[pointer(c"/no/such/file")]),
        row("quotactl", libc::SYS_quotactl, &[NOWHERE]),
        row("swapoff", libc::SYS_swapoff, &[]),
        row("finit_module", libc::SYS_finit_module, &[NOWHERE, pointer(c""), 0]),
        row("lookup_dcookie", libc::SYS_lookup_dcookie, &[NOWHERE]),
        row("move_pages", libc::SYS_move_pages, &[0, 0, 0, 0, 0, NOWHERE]),
        row("migrate_pages", libc::SYS_migrate_pages, &[0x7fff_ffff]),
        row("mbind", libc::SYS_mbind, &[1]),
        row("set_mempolicy", libc::SYS_set_mempolicy, &[0xffff]),
    ]
}

/// What only x86 has.
#[cfg(target_arch = "x86_64")]
fn of_x86() -> Vec<Row> {
    vec![
        row("kexec_file_load", libc::SYS_kexec_file_load, &[NOWHERE, NOWHERE, 0, 0, NOWHERE]),
        row("iopl", libc::SYS_iopl, &[99]),
        row("ioperm", libc::SYS_ioperm, &[NOWHERE, NOWHERE]),
        row("modify_ldt", libc::SYS_modify_ldt, &[99]),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn of_x86() -> Vec<Row> {
    vec![]
}

fn namespaces() -> Vec<Row> {
    let child = u64::from(libc::SIGCHLD.unsigned_abs());
    vec![
        row("mount", libc::SYS_mount, &[]),
        row("umount2", libc::SYS_umount2, &[]),
        row("pivot_root", libc::SYS_pivot_root, &[]),
        row("chroot", libc::SYS_chroot, &[pointer(c"/")]),
        row("setns", libc::SYS_setns, &[NOWHERE]),
        row("unshare-nothing", libc::SYS_unshare, &[0]),
        row("unshare-user", libc::SYS_unshare, &[NEW_USER]),
        row("clone-user", libc::SYS_clone, &[NEW_USER | child]),
        row("clone-net", libc::SYS_clone, &[0x4000_0000 | child]),
        row("clone-mount", libc::SYS_clone, &[0x0002_0000 | child]),
        row("clone-pid", libc::SYS_clone, &[0x2000_0000 | child]),
        row("clone-ipc", libc::SYS_clone, &[0x0800_0000 | child]),
        row("clone-uts", libc::SYS_clone, &[0x0400_0000 | child]),
        row("clone-cgroup", libc::SYS_clone, &[0x0200_0000 | child]),
        row("clone3", libc::SYS_clone3, &[]),
    ]
}

/// Calls that tools use, and some that they do not.
fn others() -> Vec<Row> {
    let me = u64::from(std::process::id());
    let action = u64::try_from((&raw const LOG).expose_provenance()).unwrap_or_default();
    vec![
        row("pidfd_open", libc::SYS_pidfd_open, &[me]),
        row("memfd_create", libc::SYS_memfd_create, &[pointer(c"x")]),
        row("memfd_secret", libc::SYS_memfd_secret, &[]),
        row("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, &[0, 0, 1]),
        row("seccomp", libc::SYS_seccomp, &[2, 0, action]),
        row("move_pages", libc::SYS_move_pages, &[]),
        row("quotactl", libc::SYS_quotactl, &[0, 0, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        row("modify_ldt", libc::SYS_modify_ldt, &[]),
    ]
}

/// Calls of this kernel that no table of the product names.
fn unlisted() -> Vec<Row> {
    vec![
        row("io_uring_setup", libc::SYS_io_uring_setup, &[1]),
        row("io_uring_enter", libc::SYS_io_uring_enter, &[NOWHERE]),
        row("io_uring_register", libc::SYS_io_uring_register, &[NOWHERE]),
        row("open_tree", libc::SYS_open_tree, &[NOWHERE]),
        row("move_mount", libc::SYS_move_mount, &[NOWHERE]),
        row("fsopen", libc::SYS_fsopen, &[]),
        row("fspick", libc::SYS_fspick, &[NOWHERE]),
        row("mount_setattr", libc::SYS_mount_setattr, &[NOWHERE]),
        row("fsconfig", libc::SYS_fsconfig, &[NOWHERE]),
        row("fsmount", libc::SYS_fsmount, &[NOWHERE]),
        row("memfd_secret", libc::SYS_memfd_secret, &[NOWHERE]),
        row("remap_file_pages", libc::SYS_remap_file_pages, &[0, 0, 1]),
        row("vmsplice", libc::SYS_vmsplice, &[NOWHERE]),
        row("process_madvise", libc::SYS_process_madvise, &[NOWHERE]),
        row("fanotify_init", libc::SYS_fanotify_init, &[NOWHERE]),
        // Newer than the libraries here (Linux 6.15): what comes next must not be there either (CVE-2021-41133).
        row("open_tree_attr", 467, &[NOWHERE]),
    ]
}

fn sockets() -> Vec<Row> {
    let socket = |name, family, kind, protocol| row(name, libc::SYS_socket, &[family, kind, protocol]);
    vec![
        socket("socket-inet", 2, 1, 0),
        socket("socket-inet6", 10, 1, 0),
        socket("socket-unix", 1, 1, 0),
        socket("socket-netlink-route", 16, 3, 0),
        socket("socket-netlink-audit", 16, 3, 9),
        socket("socket-netlink-sock-diag", 16, 3, 4),
        socket("socket-netlink-uevent", 16, 3, 15),
        socket("socket-alg", 38, 5, 0),
        socket("socket-packet", 17, 3, 0),
        socket("socket-packet-high-bits", 17 | HIGH, 3, 0),
        socket("socket-vsock", 40, 1, 0),
        socket("socket-bluetooth", 31, 3, 1),
        socket("socket-xdp", 44, 3, 0),
        socket("socket-mptcp", 2, 1, 262),
        socket("socket-mptcp6", 10, 1, 262),
        socket("socket-mptcp-high-bits", 2, 1, 262 | HIGH),
        socket("socket-tipc", 30, 1, 0),
        socket("socket-can", 29, 3, 1),
        socket("socket-rds", 21, 5, 0),
        socket("socket-key", 15, 3, 2),
        socket("socket-smc", 43, 1, 0),
        socket("socket-kcm", 41, 2, 0),
        socket("socket-qipcrtr", 42, 2, 0),
        socket("socket-netlink-generic", 16, 3, 16),
        socket("socket-netlink-netfilter", 16, 3, 12),
        socket("socket-netlink-xfrm", 16, 3, 6),
        socket("socket-netlink-connector", 16, 3, 11),
        row("socketpair-inet", libc::SYS_socketpair, &[2, 1, 0]),
    ]
}

/// Connections that are opened by sending, and the same calls without that. No descriptor is needed: a call that is
/// admitted says that there is none.
fn sending() -> Vec<Row> {
    let fast = u64::from(libc::MSG_FASTOPEN.unsigned_abs());
    let tcp = u64::from(libc::IPPROTO_TCP.unsigned_abs());
    vec![
        row("sendto-fast-open", libc::SYS_sendto, &[NOWHERE, 0, 0, fast]),
        row("sendto-fast-open-among-flags", libc::SYS_sendto, &[NOWHERE, 0, 0, fast | 0x4040 | HIGH]),
        row("sendmsg-fast-open", libc::SYS_sendmsg, &[NOWHERE, 0, fast]),
        row("sendmmsg-fast-open", libc::SYS_sendmmsg, &[NOWHERE, 0, 1, fast]),
        row("setsockopt-fast-open", libc::SYS_setsockopt, &[NOWHERE, tcp, 23]),
        row("setsockopt-fast-open-connect", libc::SYS_setsockopt, &[NOWHERE, tcp, 30]),
        row("setsockopt-fast-open-connect-high-bits", libc::SYS_setsockopt, &[NOWHERE, tcp | HIGH, 30 | HIGH]),
        row("sendto-nowhere", libc::SYS_sendto, &[NOWHERE, 0, 0, 0x4040]),
        row("sendmsg-nowhere", libc::SYS_sendmsg, &[NOWHERE, 0, 0x4040]),
        row("sendmmsg-nowhere", libc::SYS_sendmmsg, &[NOWHERE, 0, 1, 0x4040]),
        row("setsockopt-nodelay-nowhere", libc::SYS_setsockopt, &[NOWHERE, tcp, 1]),
        // The numbers of those options at another level: of IP, and of the socket.
        row("setsockopt-ip-nowhere", libc::SYS_setsockopt, &[NOWHERE, 0, 23]),
        row("setsockopt-socket-nowhere", libc::SYS_setsockopt, &[NOWHERE, 1, 30]),
    ]
}

#[cfg(target_arch = "x86_64")]
fn foreign() -> Vec<Row> {
    vec![row("x32-getpid", libc::SYS_getpid | 0x4000_0000, &[]), row("i386-getpid", I386_GETPID, &[])]
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign() -> Vec<Row> {
    vec![]
}

fn terminals() -> Vec<Row> {
    let letter = pointer(c"x");
    let discipline = u64::try_from((&raw const DISCIPLINE).expose_provenance()).unwrap_or_default();
    vec![
        row("tiocgwinsz-nowhere", libc::SYS_ioctl, &[NOWHERE, 0x5413]),
        row("tiocsti", PTY, &[0x5412, letter]),
        row("tiocsti-high-bits", PTY, &[0x5412 | HIGH, letter]),
        row("tiocsetd", PTY, &[0x5423, discipline]),
        row("tiocsetd-high-bits", PTY, &[0x5423 | HIGH, discipline]),
        row("tioclinux", PTY, &[0x541c, letter]),
        row("tioclinux-high-bits", PTY, &[0x541c | HIGH, letter]),
        row("tiocconsole-nowhere", libc::SYS_ioctl, &[NOWHERE, 0x541d]),
    ]
}
