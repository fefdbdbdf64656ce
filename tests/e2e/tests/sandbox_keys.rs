//! Keys of a sandbox of the policy that change what is inside: `hide`, `debug`, `may-lift`, `share-homes`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::process::ExitCode;

use agent_aws_e2e::inside::{file, inside, outside};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(what_policy_hides_is_not_there).private(),
    case!(what_policy_hides_is_no_project_and_is_not_shown).private(),
    case!(processes_trace_each_other_only_where_policy_says_so).private(),
    case!(a_row_is_lifted_only_where_policy_says_so).private(),
    case!(homes_are_shared_between_identities_only_where_policy_says_so).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A scene with one more sandbox, `other`, that has these keys, for everybody.
fn scene(mode: Mode, keys: &str) -> Scene {
    let policy = format!(
        "[sandbox.other]\nnetwork = \"shared\"\nrw-paths = [\"/\"]\n{keys}\n\
         [[allow]]\nusers = [\"*\"]\nidentities = [\"*\", \"own:*\"]\nsandbox = \"other\"\n"
    );
    Scene::with(mode, &Setup { policy, ..Setup::default() })
}

const OTHER: [&str; 2] = ["--sandbox", "other"];
const STANDARD: [&str; 2] = ["--sandbox", "standard"];

fn what_policy_hides_is_not_there(mode: Mode) {
    let alice = "/home/alice/src/project";
    let scene = scene(mode, &format!("hide = [\"/opt/hidden\", \"/etc/hostname\", \"{alice}/keys\", \"/mnt/absent\"]"));
    fs::create_dir_all("/opt/hidden").unwrap();
    fs::write("/opt/hidden/word", "secret\n").unwrap();
    file(&scene, "keys/id", "secret\n");
    let project = scene.machine.project(&scene.machine.user("alice"));
    let keys = project.join("keys");
    assert!(keys.starts_with(alice), "the test hides another place than {}", keys.display());
    let script = "cat /opt/hidden/word keys/id; cat /etc/hostname >/dev/null && echo secret; ls -A /opt/hidden keys; \
                  umount keys /opt/hidden; mv keys x; cat x/id; true";
    let hidden = inside(&scene, &OTHER, script).run().ends(0);
    assert!(!hidden.stdout.contains("secret") && !hidden.stdout.contains("id\n"), "{hidden}");
    assert!(keys.join("id").exists(), "{hidden}");
    // The control: the sandbox that hides nothing.
    let shown = inside(&scene, &STANDARD, "cat /opt/hidden/word keys/id").run().ends(0);
    assert_eq!(shown.stdout, "secret\nsecret\n");
}

fn what_policy_hides_is_no_project_and_is_not_shown(mode: Mode) {
    let scene = scene(mode, "hide = [\"/home/alice/src/project/keys\"]");
    file(&scene, "keys/sub/id", "secret\n");
    for options in [["--project", "/home/alice/src/project/keys/sub"], ["--ro", "/home/alice/src/project/keys"]] {
        let all: Vec<&str> = OTHER.iter().chain(&options).copied().collect();
        inside(&scene, &all, "true").run().refused("policy hides it");
        let all: Vec<&str> = STANDARD.iter().chain(&options).copied().collect();
        inside(&scene, &all, "true").run().ends(0);
    }
    // By another name neither.
    let link = scene.machine.user("alice").home.join("link");
    std::os::unix::fs::symlink("/home/alice/src/project/keys/sub", &link).unwrap();
    let link = link.display().to_string();
    inside(&scene, &["--sandbox", "other", "--project", &link], "true").run().refused("policy hides it");
}

/// One process reads another's memory through ptrace.
const TRACE: &str = "strace -o /dev/null true";

fn processes_trace_each_other_only_where_policy_says_so(mode: Mode) {
    let scene = scene(mode, "debug = true");
    outside(&scene, TRACE).run().ends(0);
    inside(&scene, &OTHER, TRACE).run().ends(0);
    assert_ne!(inside(&scene, &STANDARD, TRACE).run().code(), 0);
    // Init is not the agent's to trace, with `debug` neither.
    assert_ne!(inside(&scene, &OTHER, "timeout 5 strace -o /dev/null -p 1").run().code(), 0);
}

fn a_row_is_lifted_only_where_policy_says_so(mode: Mode) {
    let scene = scene(mode, "may-lift = [\".git/config\"]");
    file(&scene, ".git/config", "original\n");
    file(&scene, ".envrc", "original\n");
    let lifted = |sandbox: [&str; 2], row: &str, script: &str| {
        let options: Vec<&str> = sandbox.iter().copied().chain(["--lift", row]).collect();
        inside(&scene, &options, script).run()
    };
    assert_ne!(inside(&scene, &OTHER, "echo new > .git/config").run().code(), 0);
    lifted(OTHER, ".git/config", "echo new > .git/config && ! mv .git x").ends(0);
    lifted(OTHER, ".envrc", "true").refused("may-lift");
    lifted(STANDARD, ".git/config", "true").refused("may-lift");
    lifted(OTHER, "src", "true").refused("no protected row");
    assert_ne!(lifted(OTHER, ".git/config", "echo new > .envrc").code(), 0);
}

fn homes_are_shared_between_identities_only_where_policy_says_so(mode: Mode) {
    let scene = scene(mode, "share-homes = true");
    let alice = scene.machine.user("alice");
    let as_other = |sandbox: &'static str, script: &str| {
        // A second identity: another AWS profile of her own.
        let words = ["run", "--profile", "base", "--sandbox", sandbox, "--no-wait", "--", "bash", "-c", script];
        scene.agent_aws(&words).run()
    };
    inside(&scene, &OTHER, "echo planted > ~/left").run().ends(0);
    inside(&scene, &STANDARD, "echo planted > ~/left").run().ends(0);
    assert_eq!(as_other("other", "cat ~/left").says(), "planted");
    assert_ne!(as_other("standard", "cat ~/left").code(), 0);
    assert!(alice.home.join(".local/share/agent-aws/homes/other/@shared/default/left").exists());
}
