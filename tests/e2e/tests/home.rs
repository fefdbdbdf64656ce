//! The agent's home: it lasts, it is one for each identity and sandbox, and what an agent plants in it leads nowhere.
//! And `--explain`, which touches none of this.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::inside::{agents_home, inside};
use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(what_an_agent_leaves_at_home_is_there_again).private(),
    case!(another_identity_or_sandbox_has_another_home).private(),
    case!(identities_share_a_home_where_policy_says_so_and_only_there).private(),
    case!(homes_of_agents_are_not_seen_from_inside).private(),
    case!(a_planted_link_where_a_mount_point_is_needed_leads_nowhere).private(),
    case!(explain_names_every_mount_that_a_run_makes).private(),
    case!(explain_makes_nothing_and_asks_nobody).private(),
    case!(explain_refuses_what_a_run_would_refuse),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Two identities and two sandboxes for everybody.
fn scene(mode: Mode) -> Scene {
    let policy = r#"
[identity.other]
role = "arn:aws:iam::111122223333:role/agent-incident"
source = "workstation"

[sandbox.second]
network = "shared"

[[allow]]
users = ["alice"]
identities = ["other"]
sandbox = "standard"

[[allow]]
users = ["*"]
identities = ["incident", "own:*"]
sandbox = "second"
"#;
    let scene = Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() });
    let config = scene.aws("config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n{}", text.replace("profile dev", "profile other"))).unwrap();
    scene
}

fn run(scene: &Scene, identity: &str, sandbox: &str, script: &str) -> Call {
    let [option, usual] = scene.identity();
    let name = if identity == "usual" { usual } else { identity };
    scene.agent_aws(&["run", option, name, "--sandbox", sandbox, "--no-wait", "--", "sh", "-c", script])
}

fn what_an_agent_leaves_at_home_is_there_again(mode: Mode) {
    let scene = scene(mode);
    run(&scene, "usual", "standard", "echo kept > ~/kept").run().ends(0);
    assert_eq!(run(&scene, "usual", "standard", "cat ~/kept; echo $HOME").run().says(), "kept\n/home/alice");
    let home = agents_home(&scene, "standard");
    assert_eq!(fs::read_to_string(home.join("kept")).unwrap(), "kept\n");
    let mode_of = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&home).unwrap().permissions());
    assert_eq!(mode_of & 0o077, 0);
    assert!(!Path::new("/home/alice/kept").exists());
}

fn another_identity_or_sandbox_has_another_home(mode: Mode) {
    let scene = scene(mode);
    let plant = "echo 'echo planted' > ~/.bashrc; mkdir -p ~/.local/bin; echo planted > ~/.local/bin/git";
    run(&scene, "usual", "standard", plant).run().ends(0);
    let look = "cat ~/.bashrc ~/.local/bin/git; ls -A ~";
    assert!(run(&scene, "usual", "standard", look).run().says().contains("planted"));
    for (identity, sandbox) in [("other", "standard"), ("usual", "second")] {
        let output = run(&scene, identity, sandbox, look).run();
        assert!(
            !output.stdout.contains("planted") && !output.stdout.contains(".bashrc"),
            "{identity} {sandbox}\n{output}"
        );
    }
}

fn identities_share_a_home_where_policy_says_so_and_only_there(mode: Mode) {
    let scene = scene(mode);
    let share = |share: bool| {
        let text = format!(
            "[sandbox.sharing]\nnetwork = \"shared\"\nrw-paths = [\"/\"]\nshare-homes = {share}\n\
            [[allow]]\nusers = [\"*\"]\nidentities = [\"incident\", \"other\", \"own:*\"]\nsandbox = \"sharing\"\n"
        );
        scene.machine.root_file(Path::new("/etc/agent-aws/policy.d/sharing.toml"), 0o644, text);
    };
    share(false);
    run(&scene, "usual", "sharing", "echo alone > ~/mine").run().ends(0);
    assert_eq!(run(&scene, "other", "sharing", "cat ~/mine 2> /dev/null; true").run().says(), "");
    share(true);
    run(&scene, "usual", "sharing", "cat ~/mine 2> /dev/null; echo shared > ~/ours").run().ends(0);
    assert_eq!(run(&scene, "other", "sharing", "cat ~/ours").run().says(), "shared");
    let list = scene.agent_aws(&["home", "list"]).run().says();
    assert!(list.lines().any(|row| row.contains("sharing") && row.contains("@shared")), "{list}");
    // It is that sandbox's home, and no other's.
    assert_eq!(run(&scene, "usual", "standard", "cat ~/ours 2> /dev/null; true").run().says(), "");
}

fn homes_of_agents_are_not_seen_from_inside(mode: Mode) {
    let scene = scene(mode);
    run(&scene, "other", "standard", "echo planted > ~/of-other").run().ends(0);
    let script = "find / -name of-other -not -path '/proc/*' 2> /dev/null; ls -A ~/.local/share 2> /dev/null; true";
    assert_eq!(run(&scene, "usual", "standard", script).run().says(), "");
}

fn a_planted_link_where_a_mount_point_is_needed_leads_nowhere(mode: Mode) {
    let targets = |home: &Path| [home.join(".ssh"), "/etc".into(), "/home/bob".into(), home.join("elsewhere")];
    for nth in 0..4 {
        let scene = scene(mode);
        let alice = scene.machine.user("alice");
        let target: PathBuf = targets(&alice.home)[nth].clone();
        if target.starts_with(&alice.home) {
            scene.machine.directory(&alice, &target);
        }
        let elsewhere = scene.machine.scratch().join("elsewhere");
        scene.machine.directory(&alice, &elsewhere);
        let plant = format!("rm -rf ~/src; ln -s {} ~/src", target.display());
        run(&scene, "usual", "standard", &plant).cwd(&elsewhere).run().ends(0);
        let before: Vec<_> = fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        // The project is ~/src/project: its mount point would have to be made through the link.
        let output = run(&scene, "usual", "standard", "echo it-ran").run();
        assert_eq!(output.stdout, "", "{output}");
        output.refused("something that is no directory stands there");
        let after: Vec<_> = fs::read_dir(&target).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(before, after, "{}", target.display());
        // The control: another identity's home has no link there.
        assert_eq!(run(&scene, "other", "standard", "echo it-ran").run().says(), "it-ran");
    }
}

fn explain_names_every_mount_that_a_run_makes(mode: Mode) {
    let scene = Scene::new(mode);
    let plan = inside(&scene, &["--explain"], "true").run().says();
    let table = inside(&scene, &[], "cat /proc/self/mountinfo").run().says();
    let places: Vec<&str> = table.lines().filter_map(|l| l.split(' ').nth(4)).collect();
    assert!(places.len() > 15, "{table}");
    // What is mounted below a row of the plan on the host comes along with it.
    let below = ["/usr/", "/etc/", "/opt/", "/proc/"];
    for place in places.iter().filter(|p| !below.iter().any(|b| p.starts_with(b))) {
        let row = |line: &str| line.split_whitespace().nth(1) == Some(place);
        assert!(plan.lines().any(row), "{place} is not in\n{plan}");
    }
    for word in ["identity", "sandbox", "network", "project", "command", "environment", "AWS_CONFIG_FILE="] {
        assert!(plan.contains(word), "{word} is not in\n{plan}");
    }
}

fn explain_makes_nothing_and_asks_nobody(mode: Mode) {
    let scene = Scene::new(mode);
    let records = Path::new(if mode == Mode::Setuid { "/run/agent-aws" } else { "/home/alice/.local" });
    let home = agents_home(&scene, "standard");
    let _ = fs::remove_dir_all(records);
    inside(&scene, &["--explain"], "touch it-ran").run().ends(0);
    assert!(!home.exists() && !Path::new("/home/alice/.local").exists() && !records.exists());
    assert_eq!((scene.sts.requests().len(), scene.machine.audit().len()), (0, 0));
    assert!(!scene.machine.project(&scene.machine.user("alice")).join("it-ran").exists());
    // The control: a run does all of it.
    inside(&scene, &[], "touch it-ran").run().ends(0);
    assert!(home.exists() && records.exists());
}

fn explain_refuses_what_a_run_would_refuse(mode: Mode) {
    let scene = Scene::new(mode);
    let home = scene.machine.user("alice").home.display().to_string();
    inside(&scene, &["--explain", "--project", &home], "true").run().refused("home");
    scene.agent_aws(&["run", "--as", "nobodys", "--explain", "--", "true"]).run().refused("no such identity");
}
