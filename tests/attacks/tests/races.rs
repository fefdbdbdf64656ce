//! Races: names that are exchanged in a tight loop while a session starts or runs. Each runs ten seconds at least, and
//! its control is a victim that looks at a path first and mounts it by that path afterwards.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_attacks::promised;
use agent_aws_attacks::race::{self, Tally};
use agent_aws_e2e::inside::{agents_home, inside, placed};
use agent_aws_harness::{Case, Mode, Output, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(a_project_swapped_for_a_link_shows_nothing_else).private(),
    case!(a_writable_path_swapped_for_a_link_shows_nothing_else).private(),
    case!(a_shown_path_swapped_for_a_link_shows_no_secret).private(),
    case!(rows_of_a_project_swapped_for_a_link_show_nothing_else).private(),
    case!(a_home_whose_mount_points_are_swapped_leads_nowhere).private(),
    case!(a_pinned_directory_is_not_renamed_however_often_one_tries).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// What only the other place has.
const MARK: &str = "mark";

/// A scene in which only `~/src` may be written, and the attacker's tool.
fn narrow(mode: Mode) -> (Scene, String) {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace(r#"rw-paths = ["/"]"#, r#"rw-paths = ["~/src"]"#);
    scene.machine.policy(&policy);
    let racer = placed(&scene, env!("CARGO_BIN_EXE_racer"));
    (scene, racer)
}

/// A directory of Alice's with a file in it.
fn directory(scene: &Scene, below: &str, file: &str, content: &str) -> PathBuf {
    let alice = scene.machine.user("alice");
    let place = alice.home.join(below);
    scene.machine.file(&alice, &place.join(file), 0o644, content);
    place
}

/// A symbolic link of Alice's, beside what it is to be exchanged with.
fn link(scene: &Scene, to: &Path, at: &Path) {
    symlink(to, at).unwrap();
    let alice = scene.machine.user("alice");
    std::os::unix::fs::lchown(at, Some(alice.uid), Some(alice.gid)).unwrap();
}

/// In a word: what the agent saw, or that there was none.
fn seen(output: &Output) -> String {
    match (output.code(), output.stdout.trim()) {
        (0, "") => "nothing there".into(),
        (0, seen) => seen.replace('\n', " and "),
        (125, _) => "refused".into(),
        _ => panic!("{output}"),
    }
}

/// Both sides of the swap were met, and what is to be kept was never taken.
#[track_caller]
fn never_taken(mode_promises: &str, tally: &Tally, taken: &str) {
    assert!(tally.of("original") > 0, "no run met the one side: {tally}");
    not_taken(mode_promises, tally, taken);
}

/// The same where so much is opened one by one that a run hardly ever meets the same side each time: then it is refused.
fn not_taken(mode_promises: &str, tally: &Tally, taken: &str) {
    assert!(tally.all() - tally.of("original") > 0, "no run met the other side: {tally}");
    assert!(tally.all() >= 20, "too few runs: {tally}");
    let times = tally.of(taken);
    assert_eq!(format!("{times} times"), mode_promises, "{tally}");
}

/// Case 71: between the CLI, which names the project, and the helper, which opens it.
fn a_project_swapped_for_a_link_shows_nothing_else(mode: Mode) {
    let (scene, racer) = narrow(mode);
    let project = directory(&scene, "src/swapped", "file", "original\n");
    let elsewhere = directory(&scene, "elsewhere", "file", "taken\n");
    fs::write(elsewhere.join(MARK), "").unwrap();
    let other = project.with_file_name("link");
    link(&scene, &elsewhere, &other);
    let victim = inside(&scene, &["--project", &project.display().to_string()], "cat file; touch written");
    let tally = race::run(&scene, &racer, (&project, &other), &victim, seen);
    assert!(!elsewhere.join("written").exists(), "{tally}");
    assert!(race::unprotected(&scene, &racer, (&project, &other), MARK) > 0);
    never_taken(&promised!(mode), &tally, "taken");
}

/// Case 71: the same for a path of `--rw`, where a directory in the middle is exchanged.
fn a_writable_path_swapped_for_a_link_shows_nothing_else(mode: Mode) {
    let (scene, racer) = narrow(mode);
    let middle = directory(&scene, "src/middle", "leaf/file", "original\n");
    let elsewhere = directory(&scene, "elsewhere", "leaf/file", "taken\n");
    fs::write(elsewhere.join(MARK), "").unwrap();
    let other = middle.with_file_name("link");
    link(&scene, &elsewhere, &other);
    let leaf = middle.join("leaf").display().to_string();
    let victim = inside(&scene, &["--rw", &leaf], &format!("cat {leaf}/file; touch {leaf}/written"));
    let tally = race::run(&scene, &racer, (&middle, &other), &victim, seen);
    assert!(!elsewhere.join("leaf/written").exists(), "{tally}");
    assert!(race::unprotected(&scene, &racer, (&middle, &other), MARK) > 0);
    never_taken(&promised!(mode), &tally, "taken");
}

/// Case 71: a path of `--ro`, whose bound are the secret stores.
fn a_shown_path_swapped_for_a_link_shows_no_secret(mode: Mode) {
    let (scene, racer) = narrow(mode);
    let middle = directory(&scene, "src/middle", "file", "original\n");
    let store = directory(&scene, ".kube", "file", "taken\n");
    fs::write(store.join(MARK), "").unwrap();
    let other = middle.with_file_name("link");
    link(&scene, &store, &other);
    let file = middle.join("file").display().to_string();
    let victim = inside(&scene, &["--ro", &file], &format!("cat {file}"));
    let tally = race::run(&scene, &racer, (&middle, &other), &victim, seen);
    assert!(race::unprotected(&scene, &racer, (&middle, &other), MARK) > 0);
    never_taken(&promised!(mode), &tally, "taken");
}

/// Case 71: the rows of a project are sources of their own. Whoever exchanges the project for a link to the home while
/// it is opened must not get rows of the home, such as another agent's login.
fn rows_of_a_project_swapped_for_a_link_show_nothing_else(mode: Mode) {
    let (scene, racer) = narrow(mode);
    let project = directory(&scene, "src/swapped", "file", "original\n");
    let home = scene.machine.user("alice").home;
    for row in [".codex/auth.json", ".claude/settings.json", ".vscode/tasks.json", ".envrc"] {
        scene.machine.file(&scene.machine.user("alice"), &project.join(row), 0o600, "original\n");
        scene.machine.file(&scene.machine.user("alice"), &home.join(row), 0o600, "taken\n");
    }
    fs::write(home.join(MARK), "").unwrap();
    let other = project.with_file_name("link");
    link(&scene, &home, &other);
    let script = "cat file .codex/auth.json .claude/settings.json .vscode/tasks.json .envrc | sort -u";
    let victim = inside(&scene, &["--project", &project.display().to_string()], script);
    let judge = |output: &Output| match seen(output) {
        word if word.contains("taken") => "taken".into(),
        word => word,
    };
    let tally = race::run(&scene, &racer, (&project, &other), &victim, judge);
    assert!(race::unprotected(&scene, &racer, (&project, &other), MARK) > 0);
    not_taken(&promised!(mode), &tally, "taken");
}

/// Cases 71 and 72: an agent that runs at the same time in the same home exchanges the directory in which the mount
/// point of the project lies for a link to a place of the caller's.
fn a_home_whose_mount_points_are_swapped_leads_nowhere(mode: Mode) {
    let (scene, racer) = narrow(mode);
    let alice = scene.machine.user("alice");
    directory(&scene, "src/project", "file", "original\n");
    inside(&scene, &[], "true").run().ends(0);
    let store = directory(&scene, ".ssh", MARK, "taken\n");
    let sources = home_of(&scene).join("src");
    assert!(sources.is_dir(), "{}", sources.display());
    let other = sources.with_file_name("link");
    link(&scene, &store, &other);
    let victim = inside(&scene, &[], "cat file; touch written; cat ~/src/mark");
    let before = names(&store);
    let tally = race::run(&scene, &racer, (&sources, &other), &victim, |output| match output.code() {
        0 if output.stdout == "original\n" => "original".into(),
        0 | 1 if output.stdout.contains("taken") => "taken".into(),
        1 => "original".into(),
        _ => "refused".into(),
    });
    assert_eq!(names(&store), before, "{tally}");
    assert!(alice.home.join("src/project/written").exists());
    assert!(race::unprotected(&scene, &racer, (&sources, &other), MARK) > 0);
    never_taken(&promised!(mode), &tally, "taken");
}

fn home_of(scene: &Scene) -> PathBuf {
    let place = agents_home(scene, "standard");
    // One home of several, since homes have names.
    let named = place.join("default");
    if named.is_dir() { named } else { place }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().display().to_string()).collect();
    names.sort();
    names
}

/// `.git` renamed in a loop, from inside: each try fails, and in a copy that nothing protects each succeeds.
fn a_pinned_directory_is_not_renamed_however_often_one_tries(mode: Mode) {
    let (scene, racer) = narrow(mode);
    for name in [".git/config", ".git/hooks/pre-commit", "copy/.git/config", "evil/config", "copy/evil/config"] {
        directory(&scene, "src/project", name, "original\n");
    }
    let project = scene.machine.user("alice").home.join("src/project");
    let script = format!("for n in 1 2 3 4 5; do {racer} tries .git evil; done; cd copy; {racer} tries .git evil");
    let said = inside(&scene, &[], &script).run().says();
    println!("note: {}", said.replace('\n', "; "));
    let lines: Vec<Vec<&str>> = said.lines().map(|l| l.split(' ').collect()).collect();
    let [inside @ .., control] = lines.as_slice() else { panic!("{said}") };
    assert!(control[1].parse::<u64>().unwrap() > 1000 && control[3] == "0", "{said}");
    assert!(inside.iter().all(|line| line[3].parse::<u64>().unwrap() > 1000), "{said}");
    let done: u64 = inside.iter().map(|line| line[1].parse::<u64>().unwrap()).sum();
    assert_eq!(format!("{done} times, {}", inside[0][4]), promised!(mode), "{said}");
    assert_eq!(fs::read_to_string(project.join(".git/config")).unwrap(), "original\n");
}
