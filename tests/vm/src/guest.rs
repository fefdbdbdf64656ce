//! The tests of a guest: what needs a kernel with all controllers of control groups, without Landlock, or an old one. The
//! beginning of a name says in which boot it is run.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::limits::{doctor, glutton, got, groups, scene, small};
use agent_aws_e2e::session::{AT_ONCE, Running, State, all_is_gone};
use agent_aws_harness::{Case, Mode, SOON, Scene, Setup, case, suite, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};

const CASES: &[Case] = &[
    case!(with_control_groups_a_fork_bomb_ends_in_eagain_and_others_of_the_caller_go_on),
    case!(with_control_groups_a_sandbox_that_says_nothing_has_the_usual_limit).setuid(),
    case!(with_control_groups_memory_is_limited_and_only_the_hog_dies).setuid(),
    case!(with_control_groups_supervisor_and_broker_are_outside).setuid(),
    case!(with_control_groups_the_agent_sees_its_own_as_the_root).setuid(),
    case!(with_control_groups_the_next_run_sweeps_what_a_kill_left).setuid(),
    case!(with_control_groups_nobody_sweeps_what_is_about_to_be_used).setuid(),
    case!(with_control_groups_what_limits_the_caller_limits_the_session).setuid(),
    case!(with_control_groups_a_group_that_limits_the_caller_is_not_left).setuid(),
    case!(with_control_groups_those_of_systemd_are_not_written_to).setuid(),
    case!(with_control_groups_memory_is_refused_without_the_setuid_bit).unprivileged(),
    case!(with_control_groups_and_all_of_roots_privilege_the_broker_is_not_swapped_out).setuid(),
    case!(with_control_groups_and_no_user_namespaces_the_setuid_bit_is_enough),
    case!(without_landlock_a_run_is_refused_by_its_name),
    case!(without_landlock_a_run_goes_on_where_policy_waives_it),
    case!(on_an_old_kernel_network_none_works),
    case!(on_an_old_kernel_network_shared_is_refused_by_the_name_of_what_it_lacks),
    case!(on_an_old_kernel_network_shared_works_where_policy_waives_scopes),
    case!(on_an_old_kernel_a_fork_bomb_ends_in_eagain),
];

const ROOT: &str = "/sys/fs/cgroup";

fn main() -> ExitCode {
    suite(CASES)
}

fn tool(scene: &Scene) -> String {
    scene.machine.tool("glutton").display().to_string()
}

/// A session that holds as many processes as it gets, and what it said.
fn bomb(scene: &Scene) -> (Running, String) {
    let up = scene.machine.project(&scene.machine.user("alice")).join("up");
    let script = format!("{} processes 200 1000 > up", tool(scene));
    let session = Running::start(&small(scene, &["sh", "-c", &script]));
    within(Duration::from_secs(110), "the bomb", || fs::read_to_string(&up).is_ok_and(|said| said.ends_with('\n')));
    (session, fs::read_to_string(&up).unwrap().trim().to_owned())
}

#[track_caller]
fn is_bounded(said: &str, below: u64) {
    let (number, error) = got(said);
    assert!((below - 18..below).contains(&number) && error == "EAGAIN", "{said}");
}

fn write(path: impl AsRef<Path>, content: &str) {
    fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {content}: {e}", path.as_ref().display()));
}

/// The only group of a session below `place`.
#[track_caller]
fn the_group(place: &Path) -> std::path::PathBuf {
    let all = groups(place);
    assert_eq!(all.len(), 1, "{all:?}");
    place.join("agent-aws").join(all.first().expect("one group"))
}

fn with_control_groups_a_fork_bomb_ends_in_eagain_and_others_of_the_caller_go_on(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let (session, said) = bomb(&scene);
    is_bounded(&said, 48);
    let outside = scene.machine.call("alice", tool(&scene)).args(&["processes", "100"]).run().says();
    assert_eq!(outside, "100");
    assert!(session.lives());
    drop(session);
    within(AT_ONCE, "its group is gone", || groups(Path::new(ROOT)).is_empty());
    // The control: the same in a sandbox with more room.
    let roomy = scene.run(&["--no-wait", "--sandbox", "standard"], &glutton(&tool(&scene), "processes 100"));
    assert_eq!(roomy.run().says(), "100");
}

fn with_control_groups_a_sandbox_that_says_nothing_has_the_usual_limit(mode: Mode) {
    let scene = Scene::new(mode);
    let _session = Running::idle(&scene);
    let group = the_group(Path::new(ROOT));
    assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "8192\n");
    assert!(!group.join("memory.max").exists());
}

fn with_control_groups_memory_is_limited_and_only_the_hog_dies(mode: Mode) {
    let scene = scene(mode, "memory = \"64MiB\"");
    let hog = format!("{} memory 200; echo status $?; {} memory 16", tool(&scene), tool(&scene));
    let said = small(&scene, &["sh", "-c", &hog]).run().says();
    assert!(said.ends_with("status 137\n16"), "{said}");
    // An agent that is the hog itself ends as by any other signal.
    small(&scene, &glutton(&tool(&scene), "memory 200")).run().ends(137);
    // The control.
    let roomy = scene.run(&["--no-wait", "--sandbox", "standard"], &glutton(&tool(&scene), "memory 200"));
    assert_eq!(roomy.run().says(), "200");
}

fn with_control_groups_supervisor_and_broker_are_outside(mode: Mode) {
    let scene = Scene::new(mode);
    let session = Running::idle(&scene);
    let name = the_group(Path::new(ROOT)).file_name().unwrap().display().to_string();
    let of = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for inside in [session.init, session.agent] {
        assert_eq!(of(inside), format!("0::/agent-aws/{name}\n"));
    }
    for outside in [session.supervisor, session.broker, session.cli.id().cast_signed()] {
        assert_eq!(of(outside), "0::/\n");
    }
}

fn with_control_groups_the_agent_sees_its_own_as_the_root(mode: Mode) {
    let scene = Scene::new(mode);
    let said = scene.run(&["--no-wait"], &["sh", "-c", "cat /proc/self/cgroup; ls /sys/fs/cgroup | head -3"]).run();
    assert_eq!(said.stdout, "0::/\n", "{said}");
}

fn with_control_groups_the_next_run_sweeps_what_a_kill_left(mode: Mode) {
    let scene = Scene::new(mode);
    let mounts = scene.machine.mounts();
    let session = Running::idle(&scene);
    let left = the_group(Path::new(ROOT));
    let tree = session.tree();
    for pid in [session.supervisor, session.broker, session.init, session.cli.id().cast_signed()] {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    drop(session);
    all_is_gone(&scene, &mounts, &tree, "everything");
    assert!(left.exists(), "the control: nobody was left to remove it");
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    assert_eq!(groups(Path::new(ROOT)), Vec::<String>::new());
}

fn with_control_groups_nobody_sweeps_what_is_about_to_be_used(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["true"]).run().ends(0);
    let ours = Path::new(ROOT).join("agent-aws");
    let empty = ours.join("0123456789abcdef");
    // As a helper between making its group and starting a process in it.
    let lock = File::open(&ours).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::create_dir(&empty).unwrap();
    let mut waiting = scene.run(&["--no-wait"], &["true"]).spawn();
    std::thread::sleep(Duration::from_secs(3));
    assert!(empty.exists() && waiting.try_wait().unwrap().is_none(), "it waits");
    drop(lock);
    within(SOON, "its end", || waiting.try_wait().unwrap().is_some());
    assert!(!empty.exists(), "the control: without the lock it is swept");
    // The caller cannot hold that lock against everybody.
    let cannot = scene.machine.call("alice", "/bin/ls").args(&[ours.display().to_string()]).run();
    assert_ne!(cannot.code(), 0, "{cannot}");
}

/// Groups as systemd makes them for a login; this process moves into `leaf`. Dropping it moves back and removes them.
struct Login {
    slice: std::path::PathBuf,
    leaf: std::path::PathBuf,
}

impl Login {
    fn new() -> Self {
        let slice = Path::new(ROOT).join("user.slice/user-4242.slice");
        let leaf = slice.join("session-1.scope");
        fs::create_dir_all(&leaf).unwrap();
        for above in [Path::new(ROOT), slice.parent().unwrap(), &slice] {
            write(above.join("cgroup.subtree_control"), "+pids +memory");
        }
        write(leaf.join("cgroup.procs"), &std::process::id().to_string());
        Self { slice, leaf }
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = fs::write(Path::new(ROOT).join("cgroup.procs"), std::process::id().to_string());
        let agents = self.slice.join("agent-aws");
        for directory in [&agents, &self.leaf, &self.slice, self.slice.parent().unwrap()] {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn with_control_groups_what_limits_the_caller_limits_the_session(mode: Mode) {
    let scene = scene(mode, "pids = 1000");
    let login = Login::new();
    let session = Running::start(&small(&scene, &["sleep", "1000"]));
    let group = the_group(&login.slice);
    assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "1000\n");
    drop(session);
    // The control: without a limit of the slice the bomb gets what it asks for.
    let words = "processes 120";
    assert_eq!(small(&scene, &glutton(&tool(&scene), words)).run().says(), "120");
    write(login.slice.join("pids.max"), "60");
    let said = small(&scene, &glutton(&tool(&scene), words)).run().says();
    let (number, error) = got(&said);
    assert!(number < 60 && error == "EAGAIN", "{said}");
}

fn with_control_groups_a_group_that_limits_the_caller_is_not_left(mode: Mode) {
    let scene = scene(mode, "pids = 1000");
    let login = Login::new();
    write(login.leaf.join("pids.max"), "70");
    let output = small(&scene, &["true"]).run().refused("session-1.scope/pids.max limits the caller");
    assert!(output.stderr.contains("limiting the session"), "{output}");
    // A sandbox that asks for nothing runs, and stays where it is.
    // With the host's network it would be refused: what keeps metadata services out is attached to a group.
    let options = ["--no-wait", "--sandbox", "standard", "--network", "none"];
    let call = scene.run(&options, &glutton(&tool(&scene), "processes 120"));
    let said = call.run().says();
    let (number, error) = got(&said);
    assert!(number < 70 && error == "EAGAIN", "{said}");
    assert_eq!(groups(&login.slice), Vec::<String>::new());
    // The control.
    write(login.leaf.join("pids.max"), "max");
    small(&scene, &["true"]).run().ends(0);
}

fn with_control_groups_those_of_systemd_are_not_written_to(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let control = Path::new(ROOT).join("cgroup.subtree_control");
    let _ = fs::remove_dir(Path::new(ROOT).join("agent-aws"));
    for controller in ["-pids", "-memory"] {
        let _ = fs::write(&control, controller);
    }
    assert_eq!(fs::read_to_string(&control).unwrap().trim(), "", "nothing else uses controllers here");
    fs::create_dir_all("/run/systemd/system").unwrap();
    small(&scene, &["true"]).run().refused("cgroup.subtree_control lacks the controller `pids`");
    scene.run(&["--no-wait", "--sandbox", "standard", "--network", "none"], &["true"]).run().ends(0);
    assert_eq!(fs::read_to_string(&control).unwrap().trim(), "");
    assert!(!Path::new(ROOT).join("agent-aws").exists());
    // The control: where systemd does not run, somebody has to.
    fs::remove_dir_all("/run/systemd").unwrap();
    small(&scene, &["true"]).run().ends(0);
    assert_eq!(fs::read_to_string(&control).unwrap().trim(), "pids");
}

fn with_control_groups_memory_is_refused_without_the_setuid_bit(mode: Mode) {
    let scene = scene(mode, "memory = \"64MiB\"");
    small(&scene, &["true"]).run().refused("only the setuid helper can limit it");
}

/// Where the helper can lift the limit of locked memory, which root in a container often cannot.
fn with_control_groups_and_all_of_roots_privilege_the_broker_is_not_swapped_out(mode: Mode) {
    let session = Running::start(&small(&scene(mode, "pids = 100"), &["sleep", "1000"]));
    let state = State::of(session.broker);
    let kilobytes = |field: &str| state.field(field).trim_end_matches(" kB").parse::<u64>().unwrap();
    assert!(kilobytes("VmLck") >= kilobytes("VmRSS") && kilobytes("VmLck") > 0, "{state:?}");
}

fn with_control_groups_and_no_user_namespaces_the_setuid_bit_is_enough(mode: Mode) {
    let scene = Scene::new(mode);
    let call = scene.run(&["--no-wait"], &["echo", "ran"]);
    for setting in ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"] {
        let file = Path::new("/proc/sys").join(setting);
        let former = fs::read_to_string(&file).unwrap();
        write(&file, "0");
        let output = call.run();
        let row = doctor(&scene, "user namespaces");
        write(&file, former.trim());
        match mode {
            Mode::Setuid => assert_eq!((output.says().as_str(), row[0].as_str()), ("ran", "warn")),
            Mode::Unprivileged => {
                output.refused(&format!("{} is 0", setting.replace('/', ".")));
                assert_eq!(row[0], "fail");
            }
        }
        assert_eq!(call.run().says(), "ran", "the control");
    }
}

/// A scene whose sandbox lets those be missing.
fn waiving(mode: Mode, what: &str) -> Scene {
    scene(mode, &format!("waive = [\"{what}\"]"))
}

fn without_landlock_a_run_is_refused_by_its_name(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene.run(&["--no-wait"], &["echo", "ran"]).run().refused("Landlock: this kernel has none");
    assert_eq!(output.stdout, "");
    assert_eq!(doctor(&scene, "Landlock"), ["fail", "sandbox standard", "not enabled"]);
}

fn without_landlock_a_run_goes_on_where_policy_waives_it(mode: Mode) {
    let scene = waiving(mode, "landlock");
    assert_eq!(small(&scene, &["echo", "ran"]).run().says(), "ran");
}

fn on_an_old_kernel_network_none_works(mode: Mode) {
    let scene = Scene::new(mode);
    assert_eq!(scene.run(&["--no-wait", "--network", "none"], &["echo", "ran"]).run().says(), "ran");
}

fn on_an_old_kernel_network_shared_is_refused_by_the_name_of_what_it_lacks(mode: Mode) {
    let scene = Scene::new(mode);
    scene.run(&["--no-wait"], &["echo", "ran"]).run().refused("Landlock scopes (Linux 6.12)");
    assert_eq!(doctor(&scene, "Landlock scopes"), ["fail", "sandbox standard", "ABI 2"]);
    assert_eq!(doctor(&scene, "Landlock")[0], "ok");
}

fn on_an_old_kernel_network_shared_works_where_policy_waives_scopes(mode: Mode) {
    let allow = "[[allow]]\nusers = [\"*\"]\nidentities = [\"incident\", \"own:*\"]\nsandbox = \"old\"\n";
    let policy = format!(
        "[sandbox.old]\nhome = \"agent\"\nnetwork = \"shared\"\nrw-paths = [\"/\"]\nwaive = [\"landlock-scopes\"]\n{allow}"
    );
    let scene = Scene::with(mode, &Setup { policy, ..Setup::default() });
    assert_eq!(scene.run(&["--no-wait", "--sandbox", "old"], &["echo", "ran"]).run().says(), "ran");
}

fn on_an_old_kernel_a_fork_bomb_ends_in_eagain(mode: Mode) {
    let scene = scene(mode, "pids = 48");
    let (session, said) = bomb(&scene);
    is_bounded(&said, 48);
    assert!(session.lives());
}
