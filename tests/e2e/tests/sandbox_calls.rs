//! System calls inside: what is refused, how, and that the same call works (or fails otherwise) without the sandbox.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::process::{Command, ExitCode};

use agent_aws_e2e::inside::{differences, file, placed};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

/// The probe of this package.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

const CASES: &[Case] = &[
    case!(dangerous_calls_are_refused).private(),
    case!(what_only_x86_has_is_refused).private(),
    case!(what_no_table_names_is_not_there).private(),
    case!(namespaces_and_mounts_are_refused).private(),
    case!(foreign_abis_are_killed).private(),
    case!(words_cannot_be_typed_into_a_terminal).private(),
    case!(socket_families_are_few).private(),
    case!(no_connection_is_opened_by_sending).private(),
    case!(a_program_that_asks_for_fast_open_connects_without),
    case!(nesting_admits_namespaces_and_nothing_else).private(),
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
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "pidfd_getfd",
        "kcmp",
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "open_by_handle_at",
        "name_to_handle_at",
        "syslog",
        "reboot",
        "kexec_load",
        "init_module",
        "delete_module",
        "swapon",
        "settimeofday",
        "sethostname",
        "setdomainname",
        "clock_settime",
        "acct",
        "quotactl",
        "swapoff",
        "finit_module",
        "lookup_dcookie",
        "move_pages",
        "migrate_pages",
        "mbind",
        "set_mempolicy",
        "personality-read-implies-exec",
        "personality-read-implies-exec-high-bits",
    ];
    // Built without these, a kernel answers with another error; EPERM would be a lie of this test.
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn what_only_x86_has_is_refused(mode: Mode) {
    if cfg!(target_arch = "x86_64") {
        expect(mode, &["kexec_file_load", "iopl", "ioperm", "modify_ldt"].map(|name| (name, "EPERM")), &[]);
    }
}

fn what_no_table_names_is_not_there(mode: Mode) {
    let unlisted = [
        "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree", "move_mount", "fsopen", "fspick",
        "mount_setattr", "fsconfig", "fsmount", "vmsplice", "process_madvise", "fanotify_init", "memfd_secret",
        "remap_file_pages", "clone3", "open_tree_attr",
    ];
    let may_lack = ["io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret", "open_tree_attr"];
    expect(mode, &unlisted.map(|name| (name, "ENOSYS")), &may_lack);
}

fn namespaces_and_mounts_are_refused(mode: Mode) {
    let refused = [
        "mount", "umount2", "pivot_root", "chroot", "setns", "unshare-nothing", "unshare-user", "clone-user",
        "clone-net", "clone-mount", "clone-pid", "clone-ipc", "clone-uts", "clone-cgroup",
    ];
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn foreign_abis_are_killed(mode: Mode) {
    if cfg!(target_arch = "x86_64") {
        expect(mode, &[("x32-getpid", "signal 31"), ("i386-getpid", "signal 31")], &[]);
    }
}

fn words_cannot_be_typed_into_a_terminal(mode: Mode) {
    let refused = [
        "tiocsti", "tiocsti-high-bits", "tiocsetd", "tiocsetd-high-bits", "tioclinux", "tioclinux-high-bits",
        "tiocconsole-nowhere",
    ];
    expect(mode, &refused.map(|name| (name, "EPERM")), &[]);
}

fn socket_families_are_few(mode: Mode) {
    let refused = [
        "socket-netlink-audit", "socket-netlink-sock-diag", "socket-netlink-uevent", "socket-packet",
        "socket-packet-high-bits", "socket-alg", "socket-vsock", "socket-bluetooth", "socket-xdp", "socket-mptcp",
        "socket-mptcp6", "socket-mptcp-high-bits", "socket-tipc", "socket-can", "socket-rds", "socket-key",
        "socket-smc", "socket-kcm", "socket-qipcrtr", "socket-netlink-generic", "socket-netlink-netfilter",
        "socket-netlink-xfrm", "socket-netlink-connector",
    ];
    // Modules that are not there to be loaded.
    let may_lack = [
        "socket-alg", "socket-vsock", "socket-bluetooth", "socket-xdp", "socket-packet", "socket-tipc", "socket-can",
        "socket-rds", "socket-key", "socket-smc", "socket-kcm", "socket-qipcrtr", "socket-netlink-netfilter",
        "socket-netlink-xfrm", "socket-netlink-connector",
    ];
    let mut expected: Vec<(&str, &str)> = refused.iter().map(|name| (*name, "EAFNOSUPPORT")).collect();
    expected.push(("socketpair-inet", "EPERM"));
    expect(mode, &expected, &may_lack);
}

/// And only that: the same calls without it find what they would find anyway.
fn no_connection_is_opened_by_sending(mode: Mode) {
    let refused = [
        "sendto-fast-open", "sendto-fast-open-among-flags", "sendmsg-fast-open", "sendmmsg-fast-open",
        "setsockopt-fast-open", "setsockopt-fast-open-connect", "setsockopt-fast-open-connect-high-bits",
    ];
    expect(mode, &refused.map(|name| (name, "EOPNOTSUPP")), &[]);
    let scene = Scene::new(mode);
    let output = scene.run(&["--no-wait"], &[&placed(&scene, PROBE), "calls"]).run().ends(0);
    let plain = [
        "sendto-nowhere", "sendmsg-nowhere", "sendmmsg-nowhere", "setsockopt-nodelay-nowhere", "setsockopt-ip-nowhere",
        "setsockopt-socket-nowhere",
    ];
    assert_eq!(differences(&output, &plain.map(|name| (name, "EBADF"))), [""; 0], "{output}");
}

/// With a real connection: the first data goes with the first packet outside, and does not inside, where a program that
/// asks for it connects all the same.
fn a_program_that_asks_for_fast_open_connects_without(mode: Mode) {
    const ASK: &str = r#"
import errno, socket, threading
server = socket.create_server(("127.0.0.1", 0))
def asks(how):
    client = socket.socket()
    try: how(client); return "ok"
    except OSError as e: return "unsupported" if e.errno == errno.EOPNOTSUPP else str(e)
def option(client): client.setsockopt(socket.IPPROTO_TCP, 30, 1)
def send(client): client.sendto(b"data", socket.MSG_FASTOPEN, server.getsockname())
def message(client): client.sendmsg([b"data"], [], socket.MSG_FASTOPEN, server.getsockname())
def plain(client): client.connect(server.getsockname()); client.sendall(b"data")
print(*map(asks, (option, send, message, plain)))
"#;
    let scene = Scene::new(mode);
    let script = file(&scene, "fast_open.py", ASK).display().to_string();
    let said = scene.run(&["--no-wait"], &["/usr/bin/python3", &script]).run().says();
    assert_eq!(said, "unsupported unsupported unsupported ok");
    let control = scene.machine.call("alice", "/usr/bin/python3").arg(script).run().says();
    assert_eq!(control, "ok ok ok ok");
}

/// A sandbox in which an agent may build sandboxes of its own.
fn nesting(mode: Mode) -> Scene {
    let policy = "[sandbox.nesting]\nnetwork = \"shared\"\nrw-paths = [\"/\"]\nnesting = true\n\
                  [[allow]]\nusers = [\"alice\"]\nidentities = [\"incident\", \"own:*\"]\nsandbox = \"nesting\"\n";
    Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() })
}

/// What `nesting` admits is namespaces and the mounts in them, by the calls that inner sandboxes make, and nothing else.
fn nesting_admits_namespaces_and_nothing_else(mode: Mode) {
    let scene = nesting(mode);
    let probe = placed(&scene, PROBE);
    let calls = |sandbox: &str| scene.run(&["--no-wait", "--sandbox", sandbox], &[&probe, "calls"]).run().ends(0);
    let (with, without) = (calls("nesting"), calls("standard"));
    let admitted = ["unshare-nothing", "unshare-user", "clone-user"];
    assert_eq!(differences(&with, &admitted.map(|name| (name, "ok"))), [""; 0], "{with}");
    // Beside them only these answer otherwise than without it: the kernel does, that a capability is missing, or a
    // structure. Calls of the newer way to mount are as absent as before.
    let changed: Vec<&str> = with
        .stdout
        .lines()
        .filter(|line| !without.stdout.lines().any(|same| same == *line))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name)
        .filter(|name| !admitted.contains(name))
        .collect();
    assert_eq!(changed, ["mount", "umount2", "setns", "clone3"], "{with}\n{without}");
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
