//! The policy's files: errors have a place and a hint, and a file that anybody but root could have made is refused.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::{inside, memory_over, root};
use agent_aws_harness::{Case, Mode, Output, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(an_error_has_file_line_column_and_the_nearest_word).private(),
    case!(an_error_in_a_later_file_names_that_file).private(),
    case!(a_policy_that_is_no_file_of_roots_is_refused).private().setuid(),
    case!(a_later_file_that_is_no_file_of_roots_is_refused).private().setuid(),
    case!(a_directory_that_others_may_write_to_is_refused).private().setuid(),
    case!(a_directory_that_is_a_link_is_refused).private().setuid(),
    case!(no_policy_is_no_permission).private().setuid(),
    case!(a_huge_policy_is_refused).private().setuid(),
    case!(policy_check_looks_at_a_file_without_installing_it),
];

const POLICY: &str = "/etc/agent-aws/policy.toml";
/// No refusal takes longer, whatever the file is.
const AT_ONCE: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    suite(CASES)
}

#[track_caller]
fn refused(scene: &Scene, words: &str) -> Output {
    let (before, asked) = (Instant::now(), scene.sts.requests().len());
    let output = inside(scene, &[], "echo it-ran").run().refused(words);
    assert!(before.elapsed() < AT_ONCE, "{:?}\n{output}", before.elapsed());
    assert_eq!((output.stdout.as_str(), scene.sts.requests().len()), ("", asked), "{output}");
    output
}

fn an_error_has_file_line_column_and_the_nearest_word(mode: Mode) {
    let scene = Scene::new(mode);
    let good = scene.policy(&Setup::default());
    let lines = good.lines().count();
    for (more, column, words) in [
        ("[sandbox.x]\nnetwrk = \"none\"", 1, "unknown key \"netwrk\" in [sandbox.x]; did you mean `network`?"),
        ("[sandbox.x]\nnetwork = \"nonee\"", 11, "\"nonee\" is not known here; one of none, filtered, shared"),
        ("[sandbox.x]\nnesting = \"yes\"", 11, "true or false"),
        ("[sandbox.x]\nrw-paths = \"/\"", 12, "a list"),
        ("[identity.x]\nrol = \"x\"", 1, "did you mean `role`?"),
        ("[[allow]]\nuser = [\"*\"]", 1, "did you mean `users`?"),
        ("\n[sandbx.x]", 2, "did you mean `sandbox`?"),
        ("\nno toml at all", 4, ""),
    ] {
        scene.machine.policy(&format!("{good}\n{more}\n"));
        let wanted = format!("{POLICY}:{}:{column}: ", lines + 3);
        let output = refused(&scene, words);
        assert!(output.stderr.contains(&wanted), "{more}: no {wanted} in\n{output}");
        assert!(output.stderr.contains("policy check"), "no advice\n{output}");
    }
    scene.machine.policy(&good);
    inside(&scene, &[], "true").run().ends(0);
}

fn an_error_in_a_later_file_names_that_file(mode: Mode) {
    let scene = Scene::new(mode);
    let later = Path::new("/etc/agent-aws/policy.d/50-site.toml");
    scene.machine.root_file(later, 0o644, "[[deny]]\nusers = [\"alice\"]\nidentites = [\"*\"]\n");
    refused(&scene, "/etc/agent-aws/policy.d/50-site.toml:3:1: unknown key \"identites\"");
    // What is no policy is not read.
    fs::rename(later, later.with_extension("toml.disabled")).unwrap();
    fs::write("/etc/agent-aws/policy.d/.hidden.toml", "nonsense").unwrap();
    inside(&scene, &[], "true").run().ends(0);
}

/// Each way in which a file is not root's own: (what is done to the path, what is said).
const WAYS: [(&str, &str); 9] = [
    ("mv $F $F.real; ln -s $F.real $F", "is a symbolic link"),
    ("rm $F; ln -s /nowhere $F", "is a symbolic link"),
    ("rm $F; mkfifo $F", "is no regular file (Fifo)"),
    ("rm $F; mknod $F c 1 3", "is no regular file (CharacterDevice)"),
    ("rm $F; mknod $F c 5 0", ""),
    ("rm $F; mkdir $F", "is no regular file (Directory)"),
    ("chmod 664 $F", "can be changed by others"),
    ("chmod 646 $F", "can be changed by others"),
    ("chown alice $F", "is not owned by root"),
];

#[track_caller]
fn each_way(mode: Mode, path: &str) {
    for (change, words) in WAYS {
        let scene = Scene::new(mode);
        if !Path::new(path).exists() {
            scene.machine.root_file(Path::new(path), 0o644, "# nothing\n");
        }
        inside(&scene, &[], "true").run().ends(0);
        let kept = fs::read(path).unwrap();
        root(&["sh", "-ec", &format!("F={path}; {change}")]);
        let output = refused(&scene, words);
        assert!(output.stderr.contains(path), "{change}\n{output}");
        root(&["rm", "-rf", path]);
        scene.machine.root_file(Path::new(path), 0o644, kept);
    }
}

fn a_policy_that_is_no_file_of_roots_is_refused(mode: Mode) {
    each_way(mode, POLICY);
}

fn a_later_file_that_is_no_file_of_roots_is_refused(mode: Mode) {
    each_way(mode, "/etc/agent-aws/policy.d/10-more.toml");
}

fn a_directory_that_others_may_write_to_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    for directory in ["/etc/agent-aws", "/etc", "/etc/agent-aws/policy.d"] {
        let former = fs::metadata(directory).unwrap().permissions();
        for worse in [0o775, 0o757] {
            fs::set_permissions(directory, fs::Permissions::from_mode(worse)).unwrap();
            let output = refused(&scene, "is not root's own, or others may write to it");
            assert!(output.stderr.contains(directory), "{output}");
        }
        fs::set_permissions(directory, former).unwrap();
        chown(directory, Some(4242), None).unwrap();
        refused(&scene, "is not root's own, or others may write to it");
        chown(directory, Some(0), None).unwrap();
        inside(&scene, &[], "true").run().ends(0);
    }
}

fn a_directory_that_is_a_link_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let more = Path::new("/etc/agent-aws/policy.d");
    fs::rename(more, "/etc/agent-aws/elsewhere").unwrap();
    symlink("/etc/agent-aws/elsewhere", more).unwrap();
    refused(&scene, "/etc/agent-aws/policy.d");
    fs::remove_file(more).unwrap();
    inside(&scene, &[], "true").run().ends(0);
    root(&[
        "sh",
        "-ec",
        "mkdir /etc/real; cp -a /etc/agent-aws/. /etc/real; umount /etc/agent-aws; \
                         rm -rf /etc/agent-aws; ln -s /etc/real /etc/agent-aws",
    ]);
    refused(&scene, "/etc/agent-aws");
}

fn no_policy_is_no_permission(mode: Mode) {
    let scene = Scene::new(mode);
    fs::remove_file(POLICY).unwrap();
    refused(&scene, "/etc/agent-aws/policy.toml");
    memory_over("/etc/agent-aws", 0o755);
    refused(&scene, "/etc/agent-aws/policy.toml");
    scene.machine.policy("");
    let output = refused(&scene, "there is no such identity, or policy does not grant it to you");
    assert!(output.stderr.contains("audit id"), "{output}");
}

fn a_huge_policy_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let good = scene.policy(&Setup::default());
    scene.machine.policy(&format!("{good}\n{}", "# more\n".repeat(40_000)));
    refused(&scene, "the file is larger than");
    root(&["truncate", "-s", "100G", POLICY]);
    refused(&scene, "the file is larger than");
}

fn policy_check_looks_at_a_file_without_installing_it(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let check = |names: &[&str]| scene.agent_aws(&["policy", "check"]).args(names).cwd(&project).run();
    scene.machine.file(&alice, &project.join("good.toml"), 0o644, scene.policy(&Setup::default()));
    scene.machine.file(&alice, &project.join("bad.toml"), 0o644, "[sandbox.x]\nnetwrk = 1\nhome = 2\n");
    assert_eq!(check(&["good.toml"]).says(), "");
    let bad = check(&["good.toml", "bad.toml"]).ends(1);
    assert!(bad.stderr.starts_with("bad.toml:2:1: unknown key \"netwrk\""), "{bad}");
    assert!(bad.stderr.contains("\nbad.toml:3:8: "), "{bad}");
    let json = check(&["--json", "bad.toml"]).ends(1);
    let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((said["valid"].as_bool(), said["diagnostics"][0]["line"].as_u64()), (Some(false), Some(2)), "{json}");
    root(&["mkfifo", &scene.machine.scratch().join("fifo").display().to_string()]);
    let fifo = check(&[&scene.machine.scratch().join("fifo").display().to_string()]);
    assert!(fifo.code() != 0 && fifo.stderr.contains("not a regular file"), "{fifo}");
    assert_ne!(check(&["missing.toml"]).code(), 0);
}
