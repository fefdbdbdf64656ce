//! Presets, without any agent: what they add to a sandbox, what they write into the agent's home, and what they leave
//! alone. Real agents are in `agents.rs`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(explain_names_the_preset_and_an_unknown_one_is_refused),
    case!(a_preset_is_chosen_by_the_commands_name).private(),
    case!(keys_of_models_pass_and_nothing_else_of_the_environment).private(),
    case!(settings_are_read_only_inside_and_hooks_and_logins_are_not_there).private(),
    case!(what_was_said_in_the_agents_home_stays).private(),
    case!(four_sessions_at_once_lose_no_answer).private(),
    case!(a_planted_link_is_not_followed_and_keeps_nobody_from_working).private(),
    case!(nothing_is_written_into_a_real_home).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A line of shell with the preset of Claude Code.
fn claude(scene: &Scene, options: &[&str], script: &str) -> Call {
    let options: Vec<&str> = ["--no-wait", "--preset", "claude"].iter().chain(options).copied().collect();
    scene.run(&options, &["sh", "-c", script])
}

fn home(scene: &Scene) -> PathBuf {
    scene.machine.user("alice").home
}

fn explain_names_the_preset_and_an_unknown_one_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let explained = |options: &[&str]| {
        let options: Vec<&str> = ["--explain"].iter().chain(options).copied().collect();
        scene.run(&options, &["codex", "exec"]).env("CODEX_API_KEY", "sk-secret").run().says()
    };
    let said = explained(&[]);
    for part in [
        "preset codex (Codex, by the command's name)",
        "passes CODEX_API_KEY",
        "approval_policy = \"never\"",
        "trust_level",
    ] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert!(explained(&["--preset", "claude"]).contains("preset claude (Claude Code, option --preset)"));
    let said = explained(&["--preset", "none"]);
    assert!(said.contains("preset none") && !said.contains("CODEX_API_KEY"), "{said}");
    let refused = scene.run(&["--preset", "cluade"], &["true"]).run().refused("cluade");
    assert!(refused.stderr.contains("aider, claude, codex, gemini, goose, opencode, none"), "{refused}");
}

fn a_preset_is_chosen_by_the_commands_name(mode: Mode) {
    let scene = Scene::new(mode);
    let (machine, alice) = (&scene.machine, scene.machine.user("alice"));
    let program = machine.project(&alice).join("bin/claude");
    machine.file(&alice, &program, 0o755, "#!/bin/sh\ncat ~/.claude.json\n");
    let other = machine.project(&alice).join("bin/other");
    machine.file(&alice, &other, 0o755, "#!/bin/sh\ncat ~/.claude.json\n");
    let run = |program: &PathBuf, options: &[&str]| scene.run(options, &[&program.display().to_string()]).run();
    // In this order: what is there once, stays.
    run(&other, &[]).ends(1);
    run(&program, &["--preset", "none"]).ends(1);
    let state: Value = serde_json::from_str(&run(&program, &[]).says()).unwrap();
    let project = machine.project(&alice).display().to_string();
    assert_eq!(state["projects"][project]["hasTrustDialogAccepted"], true, "{state}");
    assert!(!home(&scene).join(".claude.json").exists());
}

fn keys_of_models_pass_and_nothing_else_of_the_environment(mode: Mode) {
    let scene = Scene::new(mode);
    let keys = |call: Call| {
        let named = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY"];
        named.iter().fold(call, |call, name| call.env(name, "of-the-caller")).run().says()
    };
    assert_eq!(keys(claude(&scene, &[], "env | grep of-the-caller")), "ANTHROPIC_API_KEY=of-the-caller");
    let none = scene.run(&["--no-wait", "--preset", "none"], &["sh", "-c", "env | grep -c of-the-caller; true"]);
    assert_eq!(keys(none), "0");
}

fn settings_are_read_only_inside_and_hooks_and_logins_are_not_there(mode: Mode) {
    let scene = Scene::new(mode);
    let (machine, alice) = (&scene.machine, scene.machine.user("alice"));
    let theirs = r#"{"model": "of-caller", "hooks": {"Stop": []}, "apiKeyHelper": "of-caller"}"#;
    for (below, text) in [
        (".claude/CLAUDE.md", "instructions"),
        (".claude/skills/s/SKILL.md", "a skill"),
        (".claude/settings.json", theirs),
        (".claude/.credentials.json", "a login"),
        (".claude/hooks/h", "a hook"),
    ] {
        machine.file(&alice, &alice.home.join(below), 0o644, text);
    }
    let look = "cd ~/.claude; cat CLAUDE.md skills/s/SKILL.md; for f in CLAUDE.md skills/s/SKILL.md skills/new; do { echo x >> $f; } 2>&1; done; ls -A; cat settings.json";
    let said = claude(&scene, &[], look).run().says();
    assert!(said.starts_with("instructions") && said.contains("a skill"), "{said}");
    assert_eq!(said.matches("Read-only file system").count(), 3, "{said}");
    assert!(said.contains("\"model\": \"of-caller\"") && said.contains("bypassPermissions"), "{said}");
    assert!(!said.contains("hooks") && !said.contains("apiKeyHelper") && !said.contains(".credentials"), "{said}");
    assert_eq!(fs::read_to_string(alice.home.join(".claude/settings.json")).unwrap(), theirs);
}

fn what_was_said_in_the_agents_home_stays(mode: Mode) {
    let scene = Scene::new(mode);
    let say = r#"echo '{"permissions": {"defaultMode": "plan"}, "own": [1, 2]}' > ~/.claude/settings.json"#;
    claude(&scene, &[], say).run().ends(0);
    let said: Value = serde_json::from_str(&claude(&scene, &[], "cat ~/.claude/settings.json").run().says()).unwrap();
    assert_eq!(said["permissions"]["defaultMode"], "plan");
    assert_eq!(said["own"], serde_json::json!([1, 2]));
    assert_eq!(said["skipDangerousModePermissionPrompt"], true);
    let fresh = claude(&scene, &["--fresh-home"], "cat ~/.claude/settings.json").run().says();
    assert!(fresh.contains("bypassPermissions"), "{fresh}");
}

/// Each writes another project into the same file.
fn four_sessions_at_once_lose_no_answer(mode: Mode) {
    let scene = Scene::new(mode);
    let (machine, alice) = (&scene.machine, scene.machine.user("alice"));
    let projects: Vec<String> = (0..4).map(|n| alice.home.join(format!("src/p{n}")).display().to_string()).collect();
    for round in 0..5 {
        let options: &[&str] = if round == 0 { &[] } else { &["--home", "again"] };
        let calls: Vec<Call> = projects
            .iter()
            .map(|project| {
                let project = format!("{project}-{round}");
                machine.directory(&alice, project.as_ref());
                claude(&scene, options, "true").cwd(project)
            })
            .collect();
        std::thread::scope(|scope| calls.iter().for_each(|call| drop(scope.spawn(|| call.run().ends(0)))));
        let state: Value = serde_json::from_str(&claude(&scene, options, "cat ~/.claude.json").run().says()).unwrap();
        for project in &projects {
            assert_eq!(state["projects"][format!("{project}-{round}")]["hasTrustDialogAccepted"], true, "{state}");
        }
    }
}

fn a_planted_link_is_not_followed_and_keeps_nobody_from_working(mode: Mode) {
    let scene = Scene::new(mode);
    let victim = home(&scene).join("victim.json");
    scene.machine.file(&scene.machine.user("alice"), &victim, 0o644, "{}");
    let plant = format!(
        "rm -rf ~/.claude ~/.claude.json; ln -s {0} ~/.claude.json; ln -s {1} ~/.claude",
        victim.display(),
        home(&scene).display()
    );
    claude(&scene, &[], &plant).run().ends(0);
    assert_eq!(claude(&scene, &[], "echo works").run().says(), "works");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "{}");
    assert!(!home(&scene).join("settings.json").exists());
}

fn nothing_is_written_into_a_real_home(mode: Mode) {
    let policy = r#"
[sandbox.mine]
home = "real"
network = "shared"
rw-paths = ["/"]

[[allow]]
users = ["alice"]
identities = ["incident", "own:*"]
sandbox = "mine"
"#;
    let scene = Scene::with(mode, &Setup { policy: policy.into(), ..Setup::default() });
    let said = claude(&scene, &["--sandbox", "mine"], "touch ~/mark; ls -A ~").run().says();
    assert!(said.contains("mark") && !said.contains(".claude"), "{said}");
    assert!(home(&scene).join("mark").exists() && !home(&scene).join(".claude.json").exists());
}
