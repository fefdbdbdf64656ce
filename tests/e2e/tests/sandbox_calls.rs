//! System calls inside: what is refused, how, and that the same call works (or fails otherwise) without the sandbox.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::process::{Command, ExitCode};

use agent_aws_e2e::inside::{differences, placed};
use agent_aws_harness::{Case, Mode, Scene, case, suite};

/// The probe of this package.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

const CASES: &[Case] = &[
    case!(dangerous_calls_are_refused).private(),
    case!(what_no_table_names_is_not_there).private(),
    case!(namespaces_and_mounts_are_refused).private(),
    case!(foreign_abis_are_killed).private(),
    case!(words_cannot_be_typed_into_a_terminal).private(),
    case!(socket_families_are_few).private(),
    case!(ordinary_calls_work).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Every row is answered so inside. Outside, as root, no row is: so it is the sandbox that answers. `absent`: rows that
/// some kernels do not have, which then answer alike.
#[track_caller]
fn expect(mode: Mode, expected: &[(&str, &str)], absent: &[&str]) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let control = Command::new(&probe).arg("calls").output().expect("the probe");
    let control = String::from_utf8_lossy(&control.stdout).into_owned();
    for (name, answer) in expected {
        let line = format!("{name} {answer}");
        let same = control.lines().any(|l| l == line);
        let known = control.lines().any(|l| l.starts_with(&format!("{name} ")));
        assert!(known && (!same || absent.contains(name)), "outside too: {line}\n{control}");
    }
    let output = scene.run(&["--no-wait"], &[&probe, "calls"]).run().ends(0);
    let wrong = differences(&output, expected);
    assert!(wrong.is_empty(), "{wrong:#?}\n{output}");
}

fn dangerous_calls_are_refused(mode: Mode) {
    let refused = [
        "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "keyctl", "add_key", "request_key",
        "bpf", "perf_event_open", "userfaultfd", "open_by_handle_at", "name_to_handle_at", "syslog", "reboot",
        "kexec_load", "init_module", "delete_module", "swapon", "settimeofday", "sethostname",
        "personality-read-implies-exec",
    ];
    // Built without these, a kernel answers with another error; EPERM would be a lie of this test.
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn what_no_table_names_is_not_there(mode: Mode) {
    let unlisted = [
        "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree", "move_mount", "fsopen", "fspick",
        "mount_setattr", "vmsplice", "process_madvise", "fanotify_init", "clone3", "open_tree_attr",
    ];
    let may_lack = ["io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree_attr"];
    expect(mode, &unlisted.map(|name| (name, "ENOSYS")), &may_lack);
}

fn namespaces_and_mounts_are_refused(mode: Mode) {
    let refused = [
        "mount", "umount2", "pivot_root", "chroot", "setns", "unshare-nothing", "unshare-user", "clone-user",
        "clone-net",
    ];
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn foreign_abis_are_killed(mode: Mode) {
    if cfg!(target_arch = "x86_64") {
        expect(mode, &[("x32-getpid", "signal 31"), ("i386-getpid", "signal 31")], &[]);
    }
}

fn words_cannot_be_typed_into_a_terminal(mode: Mode) {
    let refused = ["tiocsti", "tiocsti-high-bits", "tiocsetd", "tioclinux", "tiocconsole-nowhere"];
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn socket_families_are_few(mode: Mode) {
    let refused = [
        "socket-netlink-audit", "socket-netlink-sock-diag", "socket-netlink-uevent", "socket-packet",
        "socket-packet-high-bits", "socket-alg", "socket-vsock", "socket-bluetooth", "socket-xdp", "socket-mptcp",
        "socket-mptcp6",
    ];
    let may_lack = ["socket-alg", "socket-vsock", "socket-bluetooth", "socket-xdp", "socket-packet"];
    let mut expected: Vec<(&str, &str)> = refused.iter().map(|name| (*name, "EAFNOSUPPORT")).collect();
    expected.push(("socketpair-inet", "EPERM"));
    expect(mode, &expected, &may_lack);
}

fn ordinary_calls_work(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let output = scene.run(&["--no-wait"], &[&probe, "calls"]).run().ends(0);
    let names =
        ["getpid", "socket-inet", "socket-inet6", "socket-unix", "socket-netlink-route", "personality-no-randomize"];
    let wrong = differences(&output, &names.map(|name| (name, "ok")));
    assert!(wrong.is_empty(), "{wrong:#?}\n{output}");
    assert_eq!(differences(&output, &[("tiocgwinsz-nowhere", "EBADF")]), [""; 0], "{output}");
}
