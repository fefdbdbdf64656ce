//! Places that may not be a project, or writable, or shown: each is refused in words of its own, and nothing is started.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, root};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(each_forbidden_project_has_words_of_its_own).private(),
    case!(an_ordinary_project_is_none_of_them).private(),
    case!(the_working_directory_is_no_way_around_it).private(),
    case!(a_link_is_judged_by_where_it_leads).private(),
    case!(a_secret_store_that_is_a_link_is_found_where_it_leads).private(),
    case!(a_project_that_cannot_be_written_is_refused).private(),
    case!(a_project_that_is_not_there_or_no_directory_is_refused),
    case!(a_deleted_working_directory_is_refused),
    case!(more_paths_are_bounded_like_the_project).private(),
    case!(secret_stores_are_never_shown).private(),
    case!(sockets_pipes_and_devices_are_no_paths_to_share).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

const IT_RAN: &str = "echo it-ran";

/// Refused with these words; nothing ran, and nobody was asked for credentials.
#[track_caller]
fn refused(scene: &Scene, options: &[&str], words: &str) -> String {
    let output = inside(scene, options, IT_RAN).run().refused(words);
    assert_eq!(output.stdout, "", "{output}");
    let line = output.stderr.lines().find(|l| l.starts_with("agent-aws: "));
    line.unwrap_or_else(|| panic!("{output}")).to_owned()
}

fn each_forbidden_project_has_words_of_its_own(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    for store in [".ssh/deep", ".config/gcloud", ".gnupg"] {
        scene.machine.directory(&alice, &alice.home.join(store));
    }
    let projects = [
        ("/home/alice", "home"),
        ("/home", "home"),
        ("/", "host"),
        ("/home/alice/.aws", "secret store `/home/alice/.aws`"),
        ("/home/alice/.ssh/deep", "secret store `/home/alice/.ssh`"),
        ("/home/alice/.config", "secret store `/home/alice/.config/"),
        ("/home/alice/.local/share", "secret store `/home/alice/.local/share/"),
        ("/etc", "system configuration"),
        ("/etc/agent-aws", "policy and sources"),
        ("/usr", "programs"),
        ("/usr/local/share", "programs"),
        ("/proc/self", "processes"),
        ("/dev/shm", "devices"),
        ("/var", "state of services"),
        ("/root", "root's home"),
    ];
    let mut said = BTreeSet::new();
    for (project, words) in projects {
        let line = refused(&scene, &["--project", project], words);
        assert!(line.contains(&format!("the project `{project}`")) || line.contains("/proc/"), "{line}");
        said.insert(line);
    }
    assert_eq!(said.len(), projects.len(), "{said:#?}");
    assert_eq!(scene.sts.requests().len(), 0);
}

fn an_ordinary_project_is_none_of_them(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    for name in ["work/x", "src/.config-of-it", ".aws-tools"] {
        let project = alice.home.join(name);
        scene.machine.directory(&alice, &project);
        let shown = project.display().to_string();
        let output = inside(&scene, &["--project", &shown], "pwd; touch here").run();
        assert_eq!(output.says(), shown);
        assert!(project.join("here").exists());
    }
}

fn the_working_directory_is_no_way_around_it(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    // A git directory above must not make the home a project either.
    scene.machine.directory(&alice, &alice.home.join(".git"));
    for (directory, words) in [("/home/alice", "home"), ("/", "host"), ("/home/alice/.aws", "secret store")] {
        let output = inside(&scene, &[], "touch it-ran; ls -A").cwd(directory).run();
        // Refused, or run with nothing of that place in it.
        assert!(output.code() == 125 && output.stderr.contains(words) || output.code() != 125, "{output}");
        assert!(!PathBuf::from(directory).join("it-ran").exists(), "{output}");
        assert!(!output.stdout.contains("credentials"), "{output}");
    }
}

fn narrow(mode: Mode) -> Scene {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace(r#"rw-paths = ["/"]"#, r#"rw-paths = ["~/src"]"#);
    scene.machine.policy(&policy);
    scene
}

fn a_link_is_judged_by_where_it_leads(mode: Mode) {
    let scene = narrow(mode);
    let alice = scene.machine.user("alice");
    for (name, target, words) in [
        ("outside", "elsewhere", "outside what the sandbox lets you write (/home/alice/src)"),
        ("keys", ".aws", "lies inside `/home/alice/.aws`"),
        ("all", ".", "alice"),
        ("inner", "src/real", ""),
    ] {
        let target = alice.home.join(target);
        scene.machine.directory(&alice, &target);
        let link = scene.machine.project(&alice).with_file_name(name);
        symlink(&target, &link).unwrap();
        let link = link.display().to_string();
        if words.is_empty() {
            inside(&scene, &["--project", &link], "touch here").run().ends(0);
            assert!(target.join("here").exists());
        } else {
            refused(&scene, &["--project", &link], words);
            refused(&scene, &["--rw", &link], words);
        }
    }
}

fn a_secret_store_that_is_a_link_is_found_where_it_leads(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice).with_file_name("dotfiles");
    scene.machine.directory(&alice, &project);
    inside(&scene, &["--project", &project.display().to_string()], IT_RAN).run().ends(0);
    // As dotfile managers do it: the store lies in a repository, the home has a link.
    fs::rename(alice.home.join(".aws"), project.join("aws")).unwrap();
    symlink(project.join("aws"), alice.home.join(".aws")).unwrap();
    for place in ["", "aws", "aws/credentials"] {
        let place = project.join(place).display().to_string();
        let place = place.trim_end_matches('/');
        for option in ["--project", "--rw", "--ro"] {
            let line = refused(&scene, &[option, place], place);
            assert!(line.contains("contains or lies inside"), "{line}");
        }
    }
}

fn a_project_that_cannot_be_written_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let shown = project.display().to_string();
    refused(&scene, &["--project", "/opt/agent-aws-test"], "you cannot write to `/opt/agent-aws-test`");
    root(&["chmod", "555", &shown]);
    refused(&scene, &[], &format!("you cannot write to `{shown}`"));
    root(&["chmod", "755", &shown]);
    root(&["mount", "--bind", &shown, &shown]);
    root(&["mount", "-o", "remount,bind,ro", &shown]);
    refused(&scene, &[], &format!("you cannot write to `{shown}`"));
}

fn a_project_that_is_not_there_or_no_directory_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let missing = project.join("missing").display().to_string();
    refused(&scene, &["--project", &missing], &format!("`{missing}` does not exist"));
    scene.machine.file(&alice, &project.join("file"), 0o644, "");
    let file = project.join("file").display().to_string();
    refused(&scene, &["--project", &file], &format!("the project `{file}` is no directory"));
}

fn a_deleted_working_directory_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let program = scene.machine.program().display().to_string();
    let script = format!("mkdir gone && cd gone && rmdir ../gone && exec {program} run --profile dev -- echo it-ran");
    let output = scene.machine.call("alice", "/bin/sh").args(&["-c", &script]).run();
    assert_eq!(output.stdout, "", "{output}");
    output.refused("the working directory cannot be named").refused("deleted");
}

fn more_paths_are_bounded_like_the_project(mode: Mode) {
    let scene = narrow(mode);
    let alice = scene.machine.user("alice");
    let elsewhere = alice.home.join("elsewhere");
    scene.machine.file(&alice, &elsewhere.join("file"), 0o644, "shown\n");
    let shown = elsewhere.display().to_string();
    refused(&scene, &["--rw", &shown], "outside what the sandbox lets you write (/home/alice/src)");
    refused(&scene, &["--rw", "/home/alice/src/../elsewhere"], "outside what the sandbox lets you write");
    let script = format!("cat {shown}/file; echo x > {shown}/file || echo read-only");
    assert_eq!(inside(&scene, &["--ro", &shown], &script).run().says(), "shown\nread-only");
    let more = alice.home.join("src/more");
    scene.machine.directory(&alice, &more);
    let more = more.display().to_string();
    inside(&scene, &["--rw", &more], &format!("touch {more}/x")).run().ends(0);
}

fn secret_stores_are_never_shown(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    scene.machine.file(&alice, &alice.home.join(".netrc"), 0o600, "password\n");
    scene.machine.file(&alice, &alice.home.join(".docker/config.json"), 0o600, "password\n");
    for path in [".aws", ".aws/credentials", ".netrc", ".docker/config.json", ".config", ".local/share/agent-aws"] {
        scene.machine.directory(&alice, &alice.home.join(".config"));
        let path = alice.home.join(path).display().to_string();
        refused(&scene, &["--ro", &path], "secret store");
        refused(&scene, &["--rw", &path], "secret store");
    }
    for (path, words) in
        [("/home/alice", "home"), ("/", ""), ("/etc/agent-aws", "hides"), ("/run", "its own"), ("/proc", "its own")]
    {
        refused(&scene, &["--ro", path], words);
    }
}

fn sockets_pipes_and_devices_are_no_paths_to_share(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let place = project.with_file_name("odd");
    fs::create_dir(&place).unwrap();
    let path = |name: &str| place.join(name).display().to_string();
    let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    root(&["mkfifo", &path("fifo")]);
    root(&["mknod", &path("character"), "c", "1", "3"]);
    root(&["mknod", &path("block"), "b", "7", "200"]);
    root(&["chown", "-R", "alice", &place.display().to_string()]);
    for name in ["socket", "fifo", "character", "block"] {
        for option in ["--rw", "--ro", "--project"] {
            refused(&scene, &[option, &path(name)], &path(name));
        }
    }
    fs::write(path("file"), "ordinary\n").unwrap();
    let script = format!("cat {}", path("file"));
    assert_eq!(inside(&scene, &["--ro", &path("file")], &script).run().says(), "ordinary");
}
