//! A CLI of the caller's own making hands the helper something else than what it was asked to open.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::channel;

use agent_aws_e2e::start::{Answer, Found, Start, nothing_is_left, open_path, request};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};
use agent_aws_protocol::{Exit, RunRequest, Showing, Shown};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const CASES: &[Case] = &[
    case!(what_is_asked_for_is_shown),
    case!(a_place_out_of_bounds_is_refused_wherever_it_is_handed).private(),
    case!(another_users_directory_gives_no_more_than_the_caller_has).setuid(),
    case!(a_file_or_a_socket_is_no_project),
    case!(what_is_open_or_no_file_at_all_is_refused),
    case!(more_or_fewer_than_asked_for_are_refused),
    case!(nothing_at_all_is_no_project),
    case!(a_row_of_another_tree_is_refused),
    case!(another_home_is_refused),
    case!(what_policy_hides_is_hidden_though_it_is_called_missing).setuid(),
    case!(a_directory_of_another_mount_namespace_is_refused).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn project(scene: &Scene) -> PathBuf {
    scene.machine.project(&scene.machine.user("alice"))
}

/// The helper, by hand.
fn helper(scene: &Scene) -> Start {
    Start::helper(scene, &["sh", "-c", "echo ran; ls -A"])
}

/// What lies at `path` is handed over for what was asked for at `place`.
fn instead(found: &mut [Found], place: &Path, path: &Path) {
    let at = found.iter_mut().find(|(asked, _)| asked == place);
    at.unwrap_or_else(|| panic!("{} is not asked for", place.display())).1 =
        Some(open_path(path, false).expect("opening"));
}

#[track_caller]
fn runs_nothing(answer: &Answer, what: &str) {
    assert!(answer.exit().is_none() && answer.output.stdout.is_empty(), "{what}: it ran\n{answer}");
}

/// The control of all others.
fn what_is_asked_for_is_shown(mode: Mode) {
    let scene = Scene::new(mode);
    scene.machine.file(&scene.machine.user("alice"), &project(&scene).join("here"), 0o644, "");
    let said = helper(&scene).handing(|found| assert!(found.len() > 8)).ask(request(&scene)).says();
    assert!(said.starts_with("ran\n") && said.lines().any(|line| line == "here"), "{said}");
    nothing_is_left(&scene);
}

/// As project, with `--ro`, with `--rw` and as home.
fn a_place_out_of_bounds_is_refused_wherever_it_is_handed(mode: Mode) {
    let scene = Scene::new(mode);
    let (alice, shown) = (scene.machine.user("alice"), project(&scene).join("shown"));
    scene.machine.directory(&alice, &shown);
    let path = shown.as_os_str().as_encoded_bytes().to_vec();
    let ro = RunRequest { ro: vec![Shown { path: path.clone(), why: Showing::Asked }], ..request(&scene) };
    let rw = RunRequest { rw: vec![path], ..request(&scene) };
    for other in ["/", "/etc/agent-aws", "/proc", "/home"] {
        let other = Path::new(other);
        let place = project(&scene);
        let answer = helper(&scene).handing(move |found| instead(found, &place, other)).ask(request(&scene));
        runs_nothing(&answer, &format!("{} as project", other.display()));
        assert!(answer.refusal().is_some(), "{answer}");
        for request in [&ro, &rw] {
            // Only shown, /home is what the caller may see: but it has homes in it.
            let place = shown.clone();
            let answer = helper(&scene).handing(move |found| instead(found, &place, other)).ask(request.clone());
            runs_nothing(&answer, &format!("{} as --ro or --rw", other.display()));
            assert!(answer.refusal().is_some(), "{answer}");
        }
        let answer = helper(&scene).handing(move |found| as_home(found, other)).ask(request(&scene));
        runs_nothing(&answer, &format!("{} as home", other.display()));
        answer.refused("was moved");
    }
    nothing_is_left(&scene);
}

fn as_home(found: &mut [Found], path: &Path) {
    let home = found.iter().find(|(asked, _)| asked.to_string_lossy().contains("/agent-aws/homes/"));
    let home = home.expect("a home is asked for").0.clone();
    instead(found, &home, path);
}

/// It is shown where policy lets the caller's own paths be; inside, the caller's rights count.
fn another_users_directory_gives_no_more_than_the_caller_has(mode: Mode) {
    let scene = Scene::new(mode);
    let bob = scene.machine.user("bob");
    scene.machine.file(&bob, &bob.home.join("of-bob"), 0o600, "a secret of Bob's\n");
    let place = project(&scene);
    let look = ["sh", "-c", "cat of-bob; echo x > of-alice; echo ran"];
    let answer =
        Start::helper(&scene, &look).handing(move |found| instead(found, &place, &bob.home)).ask(request(&scene));
    assert!(!answer.output.stdout.contains("secret"), "{answer}");
    let bob = scene.machine.user("bob");
    assert!(!bob.home.join("of-alice").exists(), "{answer}");
    nothing_is_left(&scene);
}

fn a_file_or_a_socket_is_no_project(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let (file, socket) = (project(&scene).join("file"), project(&scene).join("socket"));
    scene.machine.file(&alice, &file, 0o666, "");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (other, words) in [(file, "no directory"), (socket, "no file or directory")] {
        let place = project(&scene);
        let answer = helper(&scene).handing(move |found| instead(found, &place, &other)).ask(request(&scene));
        match mode {
            Mode::Setuid => answer.refused(words),
            Mode::Unprivileged => answer.refused("was moved"),
        };
    }
    nothing_is_left(&scene);
}

/// Only a descriptor that nothing can be read from, and that is closed without asking anybody.
fn what_is_open_or_no_file_at_all_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    type Make = fn(&Path) -> OwnedFd;
    let make: [Make; 3] = [
        |place| File::open(place).unwrap().into(),
        |_| UnixStream::pair().unwrap().0.into(),
        |_| File::open("/dev/null").unwrap().into(),
    ];
    for make in make {
        let place = project(&scene);
        let other = move |found: &mut Vec<Found>| {
            let at = found.iter_mut().find(|(asked, _)| *asked == place).unwrap();
            at.1 = Some(make(&place));
        };
        helper(&scene).handing(other).ask(request(&scene)).refused("was not asked for");
    }
    nothing_is_left(&scene);
}

fn more_or_fewer_than_asked_for_are_refused(mode: Mode) {
    let scene = Scene::new(mode);
    for more in [1, 8, 100] {
        let many = move |found: &mut Vec<Found>| {
            found.extend((0..more).map(|_| (PathBuf::new(), open_path(Path::new("/"), false))));
        };
        let answer = helper(&scene).handing(many).ask(request(&scene));
        assert_ne!(answer.exit(), Some(Exit::Code(0)), "{more} more: {answer}");
        runs_nothing(&answer, "more than asked for");
    }
    let fewer = |found: &mut Vec<Found>| drop(found.pop());
    helper(&scene).handing(fewer).ask(request(&scene)).refused("out of turn");
    nothing_is_left(&scene);
}

fn nothing_at_all_is_no_project(mode: Mode) {
    let scene = Scene::new(mode);
    let missing = |found: &mut Vec<Found>| found.iter_mut().for_each(|(_, fd)| *fd = None);
    helper(&scene).handing(missing).ask(request(&scene)).refused("does not exist");
    nothing_is_left(&scene);
}

/// It would stand in the project, read-only or not, in place of what git executes.
fn a_row_of_another_tree_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let (alice, hooks) = (scene.machine.user("alice"), project(&scene).join(".git/hooks"));
    scene.machine.directory(&alice, &project(&scene).join(".git"));
    scene.machine.directory(&alice, &hooks);
    let elsewhere = alice.home.join("elsewhere");
    scene.machine.directory(&alice, &elsewhere);
    for row in [hooks.clone(), project(&scene).join(".git")] {
        let (row, elsewhere) = (row.clone(), elsewhere.clone());
        let answer = helper(&scene).handing(move |found| instead(found, &row, &elsewhere)).ask(request(&scene));
        match mode {
            Mode::Setuid => drop(answer.refused("was moved")),
            // It opens again what it mounts.
            Mode::Unprivileged => drop(answer.says()),
        }
    }
    // All of them the same.
    if mode == Mode::Setuid {
        let place = project(&scene);
        let same = move |found: &mut Vec<Found>| {
            found.iter_mut().filter(|(path, fd)| path.starts_with(&place) && fd.is_some()).for_each(|(_, fd)| {
                *fd = open_path(&place, false);
            });
        };
        helper(&scene).handing(same).ask(request(&scene)).refused("was moved");
    }
    nothing_is_left(&scene);
}

fn another_home_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    for other in [alice.home.clone(), alice.home.join(".aws"), project(&scene)] {
        let answer = helper(&scene).handing(move |found| as_home(found, &other)).ask(request(&scene));
        answer.refused("was moved");
    }
    nothing_is_left(&scene);
}

fn what_policy_hides_is_hidden_though_it_is_called_missing(mode: Mode) {
    let hidden = "/home/alice/hidden-by-policy";
    let policy = format!("hide = [\"{hidden}\"]\n");
    let policy = format!(
        "[sandbox.hiding]\nhome = \"real-read-only\"\nnetwork = \"shared\"\nrw-paths = [\"/\"]\n{policy}[[allow]]\nusers = \
         [\"*\"]\nidentities = [\"incident\"]\nsandbox = \"hiding\"\n"
    );
    let scene = Scene::with(mode, &Setup { policy, ..Setup::default() });
    let alice = scene.machine.user("alice");
    scene.machine.directory(&alice, Path::new(hidden));
    scene.machine.file(&alice, &Path::new(hidden).join("secret"), 0o644, "it is shown\n");
    let look = ["sh", "-c", "cat /home/alice/hidden-by-policy/secret; echo ran"];
    let asked = RunRequest { sandbox: Some("hiding".into()), ..request(&scene) };
    let control = Start::helper(&scene, &look).ask(asked.clone());
    assert_eq!(control.says(), "ran\n");
    let missing = move |found: &mut Vec<Found>| {
        let at = found.iter_mut().find(|(path, _)| path == Path::new(hidden));
        at.expect("it is asked for").1 = None;
    };
    Start::helper(&scene, &look).handing(missing).ask(asked).refused("was moved");
    nothing_is_left(&scene);
}

/// What a descriptor is called there may be anything: the kernel clones no mount of it here.
fn a_directory_of_another_mount_namespace_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let place = project(&scene);
    // The namespace lives as long as somebody is in it.
    let (end, ended) = channel::<()>();
    let elsewhere = move |found: &mut Vec<Found>| {
        let (there, (here, opened)) = (place.clone(), channel());
        let open = move || {
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).expect("a mount namespace");
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
            mount(Some("/etc"), &there, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
            here.send(open_path(&there, false).expect("opening")).unwrap();
            let _ = ended.recv();
        };
        std::thread::spawn(open);
        let fd = opened.recv().expect("a descriptor from there");
        found.iter_mut().find(|(asked, _)| *asked == place).unwrap().1 = Some(fd);
    };
    let answer = helper(&scene).handing(elsewhere).ask(request(&scene));
    runs_nothing(&answer, "from another mount namespace");
    match mode {
        Mode::Setuid => answer.refused("cloning the mount of"),
        Mode::Unprivileged => answer.refused("was moved"),
    };
    drop(end);
    nothing_is_left(&scene);
}
