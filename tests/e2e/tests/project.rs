//! The project is writable; what other programs execute or trust in it is not, and cannot be moved out of the way.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};

use agent_aws_e2e::inside::{file, inside, outside};
use agent_aws_harness::{Case, Mode, SOON, Scene, case, suite, until};

const CASES: &[Case] = &[
    case!(files_of_the_project_are_the_hosts),
    case!(what_others_execute_cannot_be_changed),
    case!(the_directories_around_it_cannot_be_moved_away),
    case!(it_has_no_second_name_that_is_writable),
    case!(the_pointer_of_a_worktree_cannot_be_changed),
    case!(a_link_in_its_place_leads_nowhere),
    case!(a_link_on_the_way_to_a_row_keeps_no_session_from_running),
    case!(replacing_it_outside_ends_the_session_and_says_so),
    case!(changing_it_in_place_outside_ends_nothing),
    case!(a_trusted_name_that_is_a_link_cannot_be_replaced),
    case!(trusted_files_of_more_writable_paths_are_protected_too),
    case!(trusted_files_that_appear_are_reported_at_the_end),
    case!(a_project_on_a_user_space_file_system_works)
        .ignored("no FUSE file system and no fusermount on the machines that run these tests"),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A project with everything that is protected, and beside it a copy that is not a project's own.
fn repository(scene: &Scene) -> PathBuf {
    for name in [".git/config", ".git/HEAD", ".git/hooks/pre-commit", ".envrc", ".vscode/tasks.json"] {
        file(scene, name, "original\n");
        // The control: the same names where nothing protects them.
        file(scene, &format!("copy/{name}"), "original\n");
    }
    scene.machine.project(&scene.machine.user("alice"))
}

fn files_of_the_project_are_the_hosts(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    let script = "echo new > new && mkdir -p src/deep && echo x > src/deep/x && rm copy/.envrc && echo object > .git/object \
                  && cat .git/config";
    assert_eq!(inside(&scene, &[], script).run().says(), "original");
    assert_eq!(fs::read_to_string(project.join("new")).unwrap(), "new\n");
    assert!(project.join("src/deep/x").exists() && project.join(".git/object").exists());
    assert!(!project.join("copy/.envrc").exists());
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(project.join("new")).unwrap());
    assert_eq!(owner, scene.machine.user("alice").uid);
}

/// Runs each line in the project and in the unprotected copy: there each must work, here each must fail so.
#[track_caller]
fn refused(mode: Mode, lines: &[&str], word: &str) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    for line in lines {
        inside(&scene, &[], &format!("cd copy && {line}")).run().ends(0);
        let output = inside(&scene, &[], &format!("{line}; echo status $?")).run();
        assert!(!output.stdout.contains("status 0"), "{line} worked\n{output}");
        assert!(output.stderr.contains(word), "{line}: no {word:?}\n{output}");
        // Whatever a line did to the copy, the next one finds it whole.
        fs::remove_dir_all(project.join("copy")).unwrap();
        assert_eq!(repository(&scene), project);
    }
    for name in [".git/config", ".git/hooks/pre-commit", ".envrc", ".vscode/tasks.json"] {
        assert_eq!(fs::read_to_string(project.join(name)).unwrap(), "original\n", "{name}");
    }
}

fn what_others_execute_cannot_be_changed(mode: Mode) {
    let lines = [
        "echo evil > .git/config",
        "echo evil > .git/hooks/pre-commit",
        "touch .git/hooks/post-checkout",
        "rm .git/hooks/pre-commit",
        "chmod 777 .git/hooks",
        "echo evil > .envrc",
        "echo evil > .vscode/tasks.json",
        "mkdir .vscode/more",
        "sed -i s/original/evil/ .vscode/tasks.json",
    ];
    refused(mode, &lines, "Read-only file system");
}

fn the_directories_around_it_cannot_be_moved_away(mode: Mode) {
    let lines = [
        "mv .git x", "mv .git/hooks .git/x", "mv .git/config .git/x", "rm .envrc", "mv -T .vscode x",
        "mv .git/HEAD .git/config", "rm -rf .git",
    ];
    refused(mode, &lines, "Device or resource busy");
}

fn it_has_no_second_name_that_is_writable(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    let script = "for f in .git/config .envrc; do ln $f linked || ln -L /proc/self/cwd/$f linked; done; \
                  echo evil > /proc/self/cwd/.git/config; echo evil > /proc/self/root$PWD/.envrc; \
                  exec 3< .envrc; echo evil > /proc/self/fd/3; ls linked; true";
    let output = inside(&scene, &[], script).run().ends(0);
    assert_eq!(output.stdout, "", "{output}");
    for name in [".git/config", ".envrc"] {
        assert_eq!(fs::read_to_string(project.join(name)).unwrap(), "original\n", "{output}");
    }
    inside(&scene, &[], "ln copy/.git/config linked").run().ends(0);
}

fn the_pointer_of_a_worktree_cannot_be_changed(mode: Mode) {
    let scene = Scene::new(mode);
    let pointer = file(&scene, ".git", "gitdir: /elsewhere\n");
    let control = file(&scene, "copy/.git", "gitdir: /elsewhere\n");
    let attack = "echo 'gitdir: evil' > .git; mv evil .git; rm -f .git; ln -sf evil .git; true";
    let script = format!("mkdir evil copy/evil; {attack}; cd copy; {attack}");
    inside(&scene, &[], &script).run().ends(0);
    assert_eq!(fs::read_to_string(pointer).unwrap(), "gitdir: /elsewhere\n");
    assert!(fs::read_to_string(control).is_err());
}

fn a_link_in_its_place_leads_nowhere(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let elsewhere = project.with_file_name("elsewhere");
    scene.machine.file(&alice, &elsewhere.join("config"), 0o644, "original\n");
    std::os::unix::fs::symlink(&elsewhere, project.join(".git")).unwrap();
    let output = inside(&scene, &[], "cat .git/config; echo evil > .git/config; true").run();
    assert!(!output.stdout.contains("original"), "{output}");
    assert_eq!(fs::read_to_string(elsewhere.join("config")).unwrap(), "original\n", "{output}");
}

/// Dotfiles are often links, into the project or out of it.
fn a_link_on_the_way_to_a_row_keeps_no_session_from_running(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let shared = file(&scene, "shared/settings.json", "original\n");
    for (link, to) in
        [(".claude", shared.parent().unwrap()), (".vscode", Path::new("shared")), (".codex", Path::new("/x"))]
    {
        std::os::unix::fs::symlink(to, project.join(link)).unwrap();
    }
    let output = inside(&scene, &[], "cat .claude/settings.json .vscode/settings.json").run();
    assert_eq!(output.says(), "original\noriginal");
}

/// A session that has begun, and waits until its standard input ends.
fn waiting(scene: &Scene) -> Child {
    let mut command = inside(scene, &[], "echo begun; read line; echo went on").command();
    let pipe = std::process::Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    child
}

/// As `git config` does: a new file takes the old one's place.
fn replace(path: &Path) {
    let lock = path.with_extension("lock");
    fs::write(&lock, "replaced\n").unwrap();
    fs::rename(&lock, path).unwrap();
}

fn replacing_it_outside_ends_the_session_and_says_so(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    for name in [".git/config", ".envrc"] {
        let mut child = waiting(&scene);
        replace(&project.join(name));
        let ended = until(SOON, || child.try_wait().unwrap());
        let ended = ended.unwrap_or_else(|| panic!("{name}: the session goes on"));
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(ended.code(), Some(125), "{name}: {said}");
        assert!(said.contains("a mount of the sandbox vanished"), "{name}: {said}");
    }
}

fn changing_it_in_place_outside_ends_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene);
    let mut child = waiting(&scene);
    fs::write(project.join(".git/config"), "changed\n").unwrap();
    replace(&project.join(".git/HEAD"));
    outside(&scene, "mv copy elsewhere").run().ends(0);
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("went on"), "{said}");
}

fn a_trusted_name_that_is_a_link_cannot_be_replaced(mode: Mode) {
    let scene = Scene::new(mode);
    let shared = file(&scene, "shared-envrc", "original\n");
    let project = shared.parent().unwrap();
    for (link, to) in
        [(".envrc", "shared-envrc"), ("copy", "shared-envrc"), (".claude", "/elsewhere"), (".vscode", "shared")]
    {
        std::os::unix::fs::symlink(to, project.join(link)).unwrap();
    }
    let attacks = ["rm LINK", "echo evil > evil; mv -T evil LINK", "ln -sfn evil LINK", "mv LINK x"];
    for link in [".envrc", ".claude", ".vscode"] {
        let to = fs::read_link(project.join(link)).unwrap();
        for attack in attacks {
            let output = inside(&scene, &[], &attack.replace("LINK", link)).run();
            assert!(output.code() != 0 && output.stderr.contains("Device or resource busy"), "{output}");
        }
        assert_eq!(fs::read_link(project.join(link)).unwrap(), to);
    }
    // What it leads to is an ordinary file, and is said when it changes. And the control.
    let output = inside(&scene, &[], "echo evil > .envrc && rm copy").run().ends(0);
    assert!(output.stderr.contains(".envrc changed during the session"), "{output}");
}

fn trusted_files_of_more_writable_paths_are_protected_too(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let other = scene.machine.project(&alice).with_file_name("other");
    scene.machine.file(&alice, &other.join(".git/config"), 0o644, "original\n");
    let other = other.display().to_string();
    // The control: what is no row can be written.
    let script = format!("echo evil > {other}/.git/config; echo object > {other}/.git/object");
    inside(&scene, &["--rw", &other], &script).run().ends(0);
    assert_eq!(fs::read_to_string(format!("{other}/.git/config")).unwrap(), "original\n");
}

fn trusted_files_that_appear_are_reported_at_the_end(mode: Mode) {
    let scene = Scene::new(mode);
    repository(&scene);
    let output = inside(&scene, &[], "rm -f .gitmodules; echo evil > .mcp.json").run().ends(0);
    assert!(output.stderr.contains(".mcp.json"), "{output}");
}

fn a_project_on_a_user_space_file_system_works(mode: Mode) {
    let scene = Scene::new(mode);
    inside(&scene, &[], "touch here").run().ends(0);
}
