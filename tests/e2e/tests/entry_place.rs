//! Entry conditions 20 and 21: where a caller stands.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::start::{Answer, Start, nothing_is_left, request};
use agent_aws_e2e::sys;
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::{RunRequest, Showing, Shown};
use nix::mount::{MsFlags, mount};

const CASES: &[Case] = &[
    case!(a_deleted_working_directory_is_refused_in_words),
    case!(a_directory_that_the_caller_may_not_enter_is_not_entered_as_root).private(),
    case!(a_path_longer_than_the_kernel_takes_is_refused_in_words),
    case!(a_file_system_that_never_answers_hangs_nobody).setuid().private(),
    case!(a_project_on_nfs_with_root_squash_is_opened_by_the_caller)
        .ignored("needs an NFS server; the FUSE case shows that root does not touch the caller's paths"),
    case!(a_magic_link_leads_to_no_project),
    case!(a_leaked_directory_is_no_working_directory),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A request from elsewhere.
fn from(scene: &Scene, project: impl Into<PathBuf>) -> RunRequest {
    RunRequest { project: project.into().into_os_string().into_vec(), ..request(scene) }
}

/// Case 20, runc's working directory: the helper's own does not matter, and one that is gone is no project.
fn a_deleted_working_directory_is_refused_in_words(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let gone = scene.machine.project(&alice).join("gone");
    let deleted = |mut start: Start| {
        scene.machine.directory(&alice, &gone);
        start.directory.clone_from(&gone);
        let gone = gone.clone();
        start.as_caller(move || std::fs::remove_dir(&gone))
    };
    let control = deleted(Start::program(&scene, "/bin/cat", &["/proc/self/cwd/x"])).run();
    assert_ne!(control.code(), 0, "{control}");
    deleted(Start::run_of(&scene, &["true"])).run().refused("working directory");
    deleted(Start::helper(&scene, &["true"])).working_in(&gone).ask(from(&scene, &gone)).refused("gone");
    assert_eq!(deleted(Start::helper(&scene, &["echo", "ran"])).ask(request(&scene)).says(), "ran\n");
    nothing_is_left(&scene);
}

/// Case 20: what root can enter and the caller cannot.
fn a_directory_that_the_caller_may_not_enter_is_not_entered_as_root(mode: Mode) {
    let scene = Scene::new(mode);
    let secret = scene.machine.project(&scene.machine.user("alice")).join("roots");
    std::fs::create_dir(&secret).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o700)).unwrap();
    std::fs::write(secret.join("secret"), "of root's\n").unwrap();
    let command = ["cat", "secret"];
    // The control: root can, by the same path; the directory was entered while that was possible.
    let mut inside = Start::program(&scene, "/bin/cat", &["secret"]);
    (inside.ids, inside.directory) = (None, secret.clone());
    assert_eq!(inside.run().says(), "of root's");
    let within = |mut start: Start| {
        start.directory.clone_from(&secret);
        start
    };
    let output = within(Start::run_of(&scene, &command)).run().ends(125);
    assert!(!output.stdout.contains("of root's") && !output.stderr.is_empty(), "{output}");
    // By an agent-aws that hands the directory over whatever it is: it is the agent that may not enter.
    for project in [secret.clone(), scene.machine.project(&scene.machine.user("alice"))] {
        let answer = within(Start::helper(&scene, &command)).working_in(&secret).ask(from(&scene, project));
        assert_eq!(answer.not_executed(), Some((libc::EACCES, true)), "it ran something: {}", answer.output);
    }
    nothing_is_left(&scene);
}

/// Case 20: getcwd(2) fails beyond 4096 bytes, and no call takes such a path.
fn a_path_longer_than_the_kernel_takes_is_refused_in_words(mode: Mode) {
    let scene = Scene::new(mode);
    let deep = "cd \"$1\"; n=$(printf '%0200d' 0); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; \
                do mkdir -p $n && cd -P $n 2>/dev/null || break; done; shift; exec \"$@\"";
    let project = scene.machine.project(&scene.machine.user("alice")).display().to_string();
    let program = scene.machine.program().display().to_string();
    let identity = scene.identity();
    let run = ["-c", deep, "bash", &project, &program, "run", identity[0], identity[1], "--", "true"];
    let output = Start::program(&scene, "/bin/bash", &run).run();
    assert_eq!(output.code(), 125, "{output}");
    assert!(output.stderr.contains("working directory"), "{output}");
    let long: PathBuf = Path::new("/").join(vec!["d".repeat(200); 25].join("/"));
    let answer = Start::helper(&scene, &["true"]).working_in(&long).ask(from(&scene, &long));
    assert!(answer.refusal().is_some() && answer.output.stdout.is_empty(), "{answer}");
    nothing_is_left(&scene);
}

/// Case 20: a FUSE file system of the caller's whose server is silent. Root gets no answer to wait for, because it does
/// not ask; who asks as the caller is the caller's own program.
fn a_file_system_that_never_answers_hangs_nobody(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let place = scene.machine.project(&alice).join("silent");
    scene.machine.directory(&alice, &place);
    let server = File::options().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
    let (uid, gid) = (alice.uid, alice.gid);
    let options = format!("fd={},rootmode=40000,user_id={uid},group_id={gid}", server.as_raw_fd());
    mount(Some("silent"), &place, Some("fuse"), MsFlags::empty(), Some(options.as_str())).expect("a FUSE mount");
    let control = Start::program(&scene, "/usr/bin/timeout", &["-s", "KILL", "1", "ls", "silent"]).run();
    assert_eq!(control.code(), 137, "the control does not hang: {control}");
    let answer = Start::helper(&scene, &["true"]).working_in(&place).ask(from(&scene, &place));
    answer.refused("silent");
    nothing_is_left(&scene);
    let project = place.display().to_string();
    let identity = scene.identity();
    let program = scene.machine.program().display().to_string();
    let run = ["-s", "KILL", "3", &program, "run", identity[0], identity[1], "--project", &project, "--", "true"];
    let hangs = Start::program(&scene, "/usr/bin/timeout", &run).run();
    assert_eq!(hangs.code(), 137, "{hangs}");
    nothing_is_left(&scene);
    drop(server);
}

/// Case 21, CVE-2024-21626: a name in /proc means something else in each process.
fn a_magic_link_leads_to_no_project(mode: Mode) {
    let scene = Scene::new(mode);
    let start = || {
        let leaked = File::open("/etc").unwrap();
        let start = Start::helper(&scene, &["sh", "-c", "pwd; ls -A"]);
        start.as_caller(move || sys::duplicate(leaked.as_raw_fd(), 5))
    };
    let ordinary = start().ask(request(&scene));
    assert_eq!(ordinary.exit(), Some(agent_aws_protocol::Exit::Code(0)), "the control: {ordinary}");
    for link in [
        "/proc/self/fd/5", "/proc/1/root", "/proc/self/root/etc", "/proc/self/cwd", "/proc/thread-self/cwd",
        "/dev/fd/5",
    ] {
        let answer = start().working_in(link).ask(from(&scene, link));
        assert!(answer.refusal().is_some() && answer.output.stdout.is_empty(), "{link}: {answer}");
        let more = RunRequest { ro: vec![Shown { path: link.into(), why: Showing::Asked }], ..request(&scene) };
        refused_or_without(&start().ask(more), link);
    }
    nothing_is_left(&scene);
}

/// A path that is no project may still be asked for with `--ro`; it must not bring what it leads to.
#[track_caller]
fn refused_or_without(answer: &Answer, link: &str) {
    let shows = answer.output.stdout.lines().any(|line| line == "passwd");
    assert!(answer.refusal().is_some() || !shows, "--ro {link}: {answer}");
}

/// Case 21: the directory is entered inside, by name, where nothing leaked exists.
fn a_leaked_directory_is_no_working_directory(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let look = ["sh", "-c", "cat agent-aws/policy.toml passwd ../root/.bashrc; pwd"];
    let leak = |start: Start| {
        let leaked = File::open("/etc").unwrap();
        start.as_caller(move || sys::duplicate(leaked.as_raw_fd(), 5))
    };
    for directory in ["/proc/self/fd/5", "/proc/1/cwd", "/proc/self/cwd", "/proc/self/root", "/dev/fd/5"] {
        let answer = leak(Start::helper(&scene, &look)).working_in(directory).ask(from(&scene, &project));
        let stdout = &answer.output.stdout;
        assert!(!stdout.contains("root:x:0:0") || answer.refusal().is_some(), "{directory}: {answer}");
        assert!(!stdout.contains("[identity"), "{directory}: {answer}");
    }
    // Through the CLI: the same place by its name in /proc, which is the project of the one who stands there.
    let through = "cd /proc/self/fd/5 && PWD=/proc/self/fd/5 exec \"$@\"";
    let program = scene.machine.program().display().to_string();
    let identity = scene.identity();
    let run =
        ["-c", through, "sh", &program, "run", identity[0], identity[1], "--", "sh", "-c", "cat agent-aws/policy.toml"];
    let output = leak(Start::program(&scene, "/bin/sh", &run)).run();
    assert!(output.code() != 0 && !output.stdout.contains("[identity"), "{output}");
    nothing_is_left(&scene);
}

fn a_project_on_nfs_with_root_squash_is_opened_by_the_caller(_: Mode) {}
