//! The caller's own configuration: identities that are less, by a name.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_saved_identity_is_the_other_one_less_what_it_says),
    case!(a_saved_identity_can_be_the_default),
    case!(a_saved_identity_never_widens_what_policy_gives).setuid(),
    case!(the_command_line_adds_to_what_is_saved),
    case!(the_file_is_the_callers_alone_and_is_listed_shown_and_removed),
    case!(an_editor_changes_the_file_only_to_what_can_be_read),
    case!(a_file_that_is_wrong_starts_nothing_and_is_named_with_line_and_column),
    case!(without_a_terminal_nobody_is_asked),
];

const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

fn main() -> ExitCode {
    suite(CASES)
}

fn place(scene: &Scene) -> PathBuf {
    scene.aws("xdg")
}

fn file(scene: &Scene) -> PathBuf {
    place(scene).join("agent-aws/config.toml")
}

/// `agent-aws` with a configuration of the test's.
fn call(scene: &Scene, words: &[&str]) -> Call {
    scene.agent_aws(words).env("XDG_CONFIG_HOME", place(scene))
}

/// Saves one that begins from the identity of this mode.
fn add(scene: &Scene, name: &str, options: &[&str]) {
    call(scene, &["config", "add", name]).args(&scene.identity()).args(options).run().ends(0);
}

/// What the one session was asked for: its managed policies, and all of its inline one.
fn narrowed(scene: &Scene) -> (Vec<String>, String) {
    let issued = scene.sts.issued().pop().expect("a session");
    (issued.policy_arns, issued.policy.unwrap_or_default())
}

fn a_saved_identity_is_the_other_one_less_what_it_says(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--access", "read", "--deny-action", "s3:Get*", "--network", "none"]);
    call(&scene, &["run", "--as", "careful", "--", "true"]).run().ends(0);
    let (managed, inline) = narrowed(&scene);
    assert_eq!(managed, [READ_ONLY]);
    assert!(inline.contains("s3:Get*"), "{inline}");
    let plan = call(&scene, &["run", "--as", "careful", "--explain", "--", "true"]).run().says();
    assert!(plan.lines().any(|line| line.trim_start().starts_with("network") && line.contains("none")), "{plan}");
    let whole = call(&scene, &["whoami", "--as", "careful"]).run().says();
    assert!(whole.contains(&scene.assumed()), "{whole}");
}

fn a_saved_identity_can_be_the_default(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--access", "read"]);
    call(&scene, &["config", "default", "careful"]).run().ends(0);
    call(&scene, &["run", "--", "true"]).run().ends(0);
    assert_eq!(narrowed(&scene).0, [READ_ONLY]);
    call(&scene, &["config", "remove", "careful"]).run().ends(0);
    let listed: Value = serde_json::from_str(&call(&scene, &["config", "list", "--json"]).run().says()).unwrap();
    assert_eq!(listed, Value::Array(vec![]));
    assert!(!std::fs::read_to_string(file(&scene)).unwrap().contains("careful"), "it is no default any more");
}

fn a_saved_identity_never_widens_what_policy_gives(mode: Mode) {
    let scene = Scene::new(mode);
    scene.machine.policy(&scene.policy(&Setup::default()).replace("access = \"full\"", "access = \"read\""));
    add(&scene, "more", &["--access", "full"]);
    call(&scene, &["run", "--as", "more", "--", "echo", "it", "ran"]).run().refused("is not less than");
    assert!(scene.sts.requests().is_empty());
}

fn the_command_line_adds_to_what_is_saved(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--deny-action", "s3:Get*"]);
    call(&scene, &["run", "--as", "careful", "--deny-action", "iam:*", "--", "true"]).run().ends(0);
    let (_, inline) = narrowed(&scene);
    assert!(inline.contains("s3:Get*") && inline.contains("iam:*"), "{inline}");
}

fn the_file_is_the_callers_alone_and_is_listed_shown_and_removed(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--access", "read", "--allow-name", "github"]);
    let bits = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((bits(file(&scene)), bits(place(&scene).join("agent-aws"))), (0o600, 0o700));
    let listed = call(&scene, &["config", "list"]).run().says();
    assert!(listed.contains("careful") && listed.contains("access read, names github"), "{listed}");
    let shown = call(&scene, &["config", "show", "careful"]).run().says();
    assert!(shown.contains("[identity.careful]") && shown.contains("access = \"read\""), "{shown}");
    let again = call(&scene, &["config", "add", "careful"]).args(&scene.identity()).run().ends(125);
    assert!(again.stderr.contains("already"), "{again}");
    for command in ["show", "remove"] {
        let output = call(&scene, &["config", command, "nobody"]).run().ends(125);
        assert!(output.stderr.contains("no identity `nobody`"), "{output}");
    }
    call(&scene, &["config", "remove", "careful"]).run().ends(0);
    call(&scene, &["run", "--as", "careful", "--", "true"]).run().ends(125);
}

fn an_editor_changes_the_file_only_to_what_can_be_read(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--access", "read"]);
    let edit = |script: &str| call(&scene, &["config", "edit"]).env("EDITOR", format!("sed -i {script}")).run();
    edit("s/read/read-metadata/").ends(0);
    assert!(std::fs::read_to_string(file(&scene)).unwrap().contains("read-metadata"));
    let wrong = edit("s/read-metadata/everything/").ends(125);
    assert!(wrong.stderr.contains("`access` is one of") && wrong.stderr.contains("is as it was"), "{wrong}");
    assert!(std::fs::read_to_string(file(&scene)).unwrap().contains("read-metadata"));
    let files = std::fs::read_dir(place(&scene).join("agent-aws")).unwrap().count();
    assert_eq!(files, 2, "the draft is kept");
    let none = call(&scene, &["config", "edit"]).env("EDITOR", "/no/such/editor").run().ends(125);
    assert!(none.stderr.contains("/no/such/editor"), "{none}");
}

fn a_file_that_is_wrong_starts_nothing_and_is_named_with_line_and_column(mode: Mode) {
    let scene = Scene::new(mode);
    add(&scene, "careful", &["--access", "read"]);
    let text = std::fs::read_to_string(file(&scene)).unwrap();
    let alice = scene.machine.user("alice");
    for (wrong, words) in [
        (text.replace("access", "acces"), "unknown field `acces`"),
        (text.replace("\"read\"", "\"write\""), "`access` is one of full, read, read-metadata"),
        (text.clone() + "[identity.careful]\n", "config.toml:"),
        ("default = [\n".to_owned(), "config.toml:"),
    ] {
        scene.machine.file(&alice, &file(&scene), 0o600, &wrong);
        let output = call(&scene, &["run", "--as", "careful", "--", "echo", "it", "ran"]).run().refused(words);
        assert!(output.stderr.contains("config.toml:") && output.stdout.is_empty(), "{output}");
    }
    assert!(scene.sts.requests().is_empty());
}

fn without_a_terminal_nobody_is_asked(mode: Mode) {
    let scene = Scene::new(mode);
    let output = call(&scene, &["config", "add", "mine"]).run().ends(125);
    assert!(output.stderr.contains("--profile"), "{output}");
    assert!(!file(&scene).exists());
    let odd = call(&scene, &["config", "add", "own:mine", "--profile", "dev"]).run();
    assert!(odd.code() == 2 && odd.stderr.contains("letters, digits"), "{odd}");
}
