//! Entry conditions 25 to 28, 31 and 32: what power the helper really has, whatever it looks like.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::path::Path;
use std::process::ExitCode;

use agent_aws_e2e::start::{Start, nothing_is_left, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};
use agent_aws_protocol::Ask;
use nix::sched::{CloneFlags, unshare};

const CASES: &[Case] = &[
    case!(no_new_privs_is_named_as_the_cause).setuid(),
    case!(no_new_privs_does_not_matter_without_a_setuid_bit).unprivileged(),
    case!(a_seccomp_filter_of_the_callers_is_refused).setuid().private(),
    case!(a_system_call_that_a_filter_fails_is_a_refusal),
    case!(fake_root_in_a_user_namespace_is_no_root).setuid(),
    case!(a_user_namespace_without_root_is_named_as_the_cause).setuid(),
    case!(a_policy_mounted_by_the_caller_grants_no_system_source).setuid(),
    case!(a_debugger_is_named_as_the_cause).setuid(),
    case!(root_is_refused_unless_it_says_so).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// What every refusal of this file must leave alone.
fn no_session_was(scene: &Scene) {
    assert!(scene.sts.requests().is_empty(), "somebody asked the STS: {:?}", scene.sts.requests());
    nothing_is_left(scene);
}

/// Case 25, sudo-rs and chromium: the bit has no effect, and it looks like an installation without.
fn no_new_privs_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::new(mode);
    let control = Start::program(&scene, "/usr/bin/grep", &["NoNewPrivs", "/proc/self/status"]);
    assert_eq!(control.as_caller(sys::no_new_privs).run().says(), "NoNewPrivs:\t1");
    Start::helper(&scene, &["true"]).as_caller(sys::no_new_privs).ask(request(&scene)).refused("no_new_privs");
    Start::run_of(&scene, &["true"]).as_caller(sys::no_new_privs).run().refused("no_new_privs");
    no_session_was(&scene);
}

/// Case 25, the other side: where nothing is gained, nothing is lost.
fn no_new_privs_does_not_matter_without_a_setuid_bit(mode: Mode) {
    let scene = Scene::new(mode);
    let start = Start::helper(&scene, &["echo", "ran"]).as_caller(sys::no_new_privs);
    assert_eq!(start.ask(request(&scene)).says(), "ran\n");
    Start::run_of(&scene, &["true"]).as_caller(sys::no_new_privs).run().ends(0);
    nothing_is_left(&scene);
}

/// Case 26, bwrap and nspawn: with no_new_privs unset, only root can leave a filter to a setuid program. One that makes
/// setresuid "succeed" is how a filter turns against it.
fn a_seccomp_filter_of_the_callers_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    for call in [libc::SYS_setresuid, libc::SYS_swapon] {
        let mut start = Start::helper(&scene, &["true"]);
        let ids = start.ids.take().unwrap();
        let start = start.as_root(move || sys::filtered_user(ids.0, ids.1, &ids.2, call));
        let answer = start.ask(request(&scene));
        assert!(answer.refusal().is_some(), "filter of {call}: {answer}");
        if call == libc::SYS_swapon {
            answer.refused("seccomp filter");
        }
    }
    no_session_was(&scene);
}

/// Case 26: whatever fails, fails the run. In setuid mode a filter of the caller's own needs no_new_privs, which is
/// refused already.
fn a_system_call_that_a_filter_fails_is_a_refusal(mode: Mode) {
    let scene = Scene::new(mode);
    let calls = [
        libc::SYS_prctl,
        libc::SYS_seccomp,
        libc::SYS_clone3,
        libc::SYS_unshare,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_mount_setattr,
        libc::SYS_openat2,
        libc::SYS_pivot_root,
        libc::SYS_landlock_restrict_self,
        libc::SYS_umount2,
        libc::SYS_close_range,
        libc::SYS_capset,
    ];
    for call in calls {
        let start = Start::helper(&scene, &["echo", "ran"]).as_caller(move || {
            sys::no_new_privs()?;
            sys::filter(call, libc::EPERM.unsigned_abs())
        });
        let answer = start.ask(request(&scene));
        let refused = answer.refusal().is_some() || (answer.messages.is_empty() && answer.output.code() == 125);
        // Not every call is needed in each mode; but one that was made and failed must not be passed over.
        let unused = mode == Mode::Unprivileged
            && [libc::SYS_unshare, libc::SYS_capset, libc::SYS_pivot_root, libc::SYS_umount2].contains(&call);
        assert!(refused || unused, "system call {call} failed, and: {answer}");
        nothing_is_left(&scene);
    }
}

/// Makes this process root of a new user namespace, as `unshare -Ur` does.
fn fake_root(uid: u32, gid: u32) -> std::io::Result<()> {
    // A change of ids made /proc/self root's.
    nix::sys::prctl::set_dumpable(true)?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// Case 27: uid 0, every capability, dumpable, not AT_SECURE: all of it worth nothing outside the namespace.
fn fake_root_in_a_user_namespace_is_no_root(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let fake = |start: Start| start.as_caller(move || fake_root(alice.uid, alice.gid));
    let control = fake(Start::program(&scene, "/usr/bin/id", &["-u"])).run().says();
    assert_eq!(control, "0", "the control is no fake root");
    for allow_root in [false, true] {
        let asked = agent_aws_protocol::RunRequest { allow_root, ..request(&scene) };
        let answer = fake(Start::helper(&scene, &["echo", "ran"])).ask(asked);
        let text = answer.refusal().map(|r| r.text.clone()).unwrap_or_default();
        let says_why = ["policy does not grant it", "you are root"].iter().any(|w| text.contains(w));
        assert!(says_why, "{answer}");
        answer.refused("");
    }
    fake(Start::run_of(&scene, &["true"])).run().ends(125);
    no_session_was(&scene);
    assert!(scene.machine.audit().is_empty(), "fake root wrote the audit trail");
}

/// Case 27, with no uid 0 in the namespace.
fn a_user_namespace_without_root_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::new(mode);
    let lost = |start: Start| start.as_caller(|| unshare(CloneFlags::CLONE_NEWUSER).map_err(Into::into));
    assert_eq!(lost(Start::program(&scene, "/usr/bin/id", &["-u"])).run().says(), "65534");
    lost(Start::helper(&scene, &["true"])).ask(request(&scene)).refused("user namespace");
    no_session_was(&scene);
}

/// Case 28, the class of CVE-2021-44731 (snap-confine): a mount namespace in which /etc is the caller's.
fn a_policy_mounted_by_the_caller_grants_no_system_source(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let theirs = alice.home.join("etc");
    let policy = std::fs::read_to_string("/etc/agent-aws/policy.toml").unwrap();
    let wide =
        policy.replace("users = [\"alice\"]", "users = [\"*\"]").replace("\"incident\"]", "\"incident\", \"own:*\"]");
    scene.machine.file(&alice, &theirs.join("policy.toml"), 0o644, wide);
    let keys = b"[default]\naws_access_key_id = AKIAWORKSTATIONWORKS\naws_secret_access_key = guessed\n";
    scene.machine.file(&alice, &theirs.join("sources/workstation"), 0o600, keys);
    let mounted = |start: Start| {
        let (uid, gid, from) = (alice.uid, alice.gid, theirs.clone());
        start.as_caller(move || {
            fake_root(uid, gid)?;
            let none = None::<&str>;
            nix::mount::mount(Some(&from), "/etc/agent-aws", none, nix::mount::MsFlags::MS_BIND, none)?;
            Ok(())
        })
    };
    let control = mounted(Start::program(&scene, "/bin/cat", &["/etc/agent-aws/sources/workstation"])).run();
    assert!(control.stdout.contains("guessed"), "the control mounts nothing: {control}");
    for allow_root in [false, true] {
        let asked = agent_aws_protocol::RunRequest { allow_root, ..request(&scene) };
        mounted(Start::helper(&scene, &["true"])).ask(asked).refused("");
    }
    no_session_was(&scene);
}

/// Case 31, chromium: a setuid program that is traced from exec does not get its uid.
fn a_debugger_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::new(mode);
    if !Path::new("/usr/bin/strace").exists() {
        panic!("strace is needed: a tracer of the caller's own");
    }
    let traced = |mut start: Start, program: std::path::PathBuf| {
        let rest = start.arguments.split_off(1);
        let trace = ["strace", "-o", "/dev/null", "-f"].map(Into::into);
        start.arguments = trace.into_iter().chain([program.into()]).chain(rest).collect();
        start.instead("/usr/bin/strace")
    };
    let helper = scene.machine.libexec().join("agent-aws-helper");
    traced(Start::helper(&scene, &["true"]), helper).ask(request(&scene)).refused("debugger");
    let cli = traced(Start::run_of(&scene, &["true"]), scene.machine.program());
    cli.run().refused("debugger");
    no_session_was(&scene);
}

/// Case 32, sudo-rs #1581: an agent of root's is asked for by name, or it is an accident.
fn root_is_refused_unless_it_says_so(mode: Mode) {
    let rule = "[[allow]]\nusers = [\"root\"]\nidentities = [\"incident\"]\nsandbox = \"standard\"\n";
    let scene = Scene::with(mode, &Setup { policy: rule.into(), ..Setup::default() });
    // A home of its own, in this world only.
    let home = Path::new("/home/root");
    std::fs::create_dir_all(home.join("src")).unwrap();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    std::fs::write("/etc/passwd", passwd.replacen(":/root:", ":/home/root:", 1)).unwrap();
    let root = |mut start: Start| {
        start.ids = Some((0, 0, vec![]));
        start.directory = home.join("src");
        start.environment.retain(|entry| !entry.as_encoded_bytes().starts_with(b"HOME="));
        start.entry("HOME=/home/root")
    };
    let asked = |allow_root| agent_aws_protocol::RunRequest {
        allow_root,
        identity: Ask::Named("incident".into()),
        project: b"/home/root/src".to_vec(),
        ..request(&scene)
    };
    root(Start::helper(&scene, &["true"])).ask(asked(false)).refused("you are root");
    let refused = root(Start::run_of(&scene, &["true"])).run().refused("you are root");
    assert!(refused.stderr.contains("--allow-root"), "{refused}");
    no_session_was(&scene);
    let look =
        ["sh", "-c", "id -u; grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status; cat /etc/agent-aws/sources/workstation"];
    let said = root(Start::helper(&scene, &look)).ask(asked(true));
    let lines: Vec<&str> = said.output.stdout.lines().collect();
    assert_eq!(lines.first(), Some(&"0"), "{said}");
    assert_eq!(lines.iter().filter(|l| l.ends_with("\t0000000000000000")).count(), 3, "{said}");
    assert!(!said.output.stdout.contains("aws_secret"), "{said}");
    nothing_is_left(&scene);
}
