//! The main line: a command runs in the sandbox as one identity and ends as it would have without us.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_harness::{Case, Mode, Scene, case, suite};

const CASES: &[Case] = &[
    case!(a_command_runs_and_its_success_is_ours),
    case!(an_exit_status_is_passed_on),
    case!(a_signal_that_ends_the_agent_ends_us),
    case!(a_signed_call_inside_is_the_assumed_role),
    case!(whoami_inside_and_outside_agree),
    case!(an_unknown_identity_is_refused),
    case!(no_identity_given_is_never_the_default_profile),
    case!(a_command_that_is_not_there_is_127),
    case!(a_command_that_cannot_be_executed_is_126),
    case!(the_environment_has_no_key),
    case!(policy_and_the_callers_keys_are_not_there),
    case!(only_the_sessions_own_processes_are_there),
    case!(standard_input_and_output_go_through),
    case!(nothing_is_left_when_a_session_has_ended),
    case!(without_credentials_nothing_runs_and_the_cause_is_said),
    case!(explain_prints_the_plan_and_does_nothing),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn a_command_runs_and_its_success_is_ours(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene.run(&[], &["true"]).run().ends(0);
    assert_eq!(output.stdout, "", "stdout is the agent's alone\n{output}");
}

fn an_exit_status_is_passed_on(mode: Mode) {
    let scene = Scene::new(mode);
    for status in [3, 1, 255] {
        scene.sh(&format!("exit {status}")).run().ends(status);
    }
}

fn a_signal_that_ends_the_agent_ends_us(mode: Mode) {
    use std::os::unix::process::ExitStatusExt;
    let scene = Scene::new(mode);
    for signal in [15, 9] {
        let output = scene.sh(&format!("kill -{signal} $$")).run();
        assert_eq!(output.status.signal(), Some(signal), "{output}");
    }
}

fn a_signed_call_inside_is_the_assumed_role(mode: Mode) {
    let scene = Scene::new(mode);
    let client = scene.machine.tool("sts-whoami").display().to_string();
    let arn = scene.run(&[], &[&client, &scene.sts.url()]).run().says();
    assert!(arn.starts_with(&scene.assumed()), "{arn}");
}

fn whoami_inside_and_outside_agree(mode: Mode) {
    let scene = Scene::new(mode);
    let (program, prefix) = (scene.machine.program(), scene.machine.prefix());
    let (program, prefix) = (program.display().to_string(), prefix.display().to_string());
    // An ordinary user's installation lies in a place that no sandbox shows by itself.
    let shown: &[&str] = if scene.machine.is_private() { &[] } else { &["--ro", &prefix] };
    let inside = scene.run(shown, &[&program, "whoami", "--json"]).run().says();
    let outside = scene.agent_aws(&["whoami", "--json"]).args(&scene.identity()).run().says();
    let identity = match mode {
        Mode::Setuid => "\"incident\"",
        Mode::Unprivileged => "\"own:dev\"",
    };
    assert!(inside.contains(identity) && outside.contains(identity), "{inside}\n{outside}");
    assert!(outside.contains(&scene.assumed()), "{outside}");
}

fn an_unknown_identity_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    scene.agent_aws(&["run", "--as", "nothing-like-it", "--", "true"]).run().ends(125);
}

fn no_identity_given_is_never_the_default_profile(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let (key, secret) = ("AKIAADMINADMINADMIN1", "admin-secret");
    let default = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    scene.machine.file(&alice, &scene.aws("credentials"), 0o600, default);
    let output = scene.agent_aws(&["run", "--network", "none", "--", "true"]).run();
    if mode == Mode::Unprivileged {
        output.ends(125);
    }
    let asked = scene.sts.requests();
    assert!(!asked.iter().any(|r| format!("{r:?}").contains(key)), "{asked:?}");
}

fn a_command_that_is_not_there_is_127(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene.run(&[], &["no-such-command-here"]).run().ends(127);
    assert!(output.stderr.contains("no-such-command-here"), "{output}");
}

fn a_command_that_cannot_be_executed_is_126(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let file = scene.machine.project(&alice).join("no-program");
    scene.machine.file(&alice, &file, 0o644, "echo no\n");
    scene.run(&[], &["./no-program"]).run().ends(126);
}

fn the_environment_has_no_key(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene
        .run(&[], &["env"])
        .env("AWS_SECRET_ACCESS_KEY", "of-the-caller")
        .env("AWS_ACCESS_KEY_ID", "AKIAOFTHECALLER12345")
        .env("AWS_SESSION_TOKEN", "token-of-the-caller")
        .env("SSH_AUTH_SOCK", "/run/ssh")
        .run()
        .says();
    for word in ["SECRET", "ACCESS_KEY", "SESSION_TOKEN", "SSH_AUTH_SOCK", "AKIA", "ASIA"] {
        assert!(!output.contains(word), "{word} in\n{output}");
    }
}

fn policy_and_the_callers_keys_are_not_there(mode: Mode) {
    let scene = Scene::new(mode);
    let keys = scene.aws("credentials").display().to_string();
    let script = format!(
        "cat /etc/agent-aws/policy.toml; cat /etc/agent-aws/sources/*; cat ~/.aws/*; cat {keys}; ls -A /etc/agent-aws /var/log"
    );
    let output = scene.sh(&script).run();
    assert_eq!(output.stdout.lines().filter(|l| !l.ends_with(':') && !l.is_empty()).count(), 0, "{output}");
}

fn only_the_sessions_own_processes_are_there(mode: Mode) {
    let scene = Scene::new(mode);
    let seen = scene.sh("ls /proc | grep '^[0-9]'; kill -0 $PPID && echo may-signal-init").run().says();
    let pids: Vec<u32> = seen.lines().filter_map(|l| l.parse().ok()).collect();
    assert!(!pids.is_empty() && pids.iter().all(|pid| *pid < 20), "{seen}");
}

fn standard_input_and_output_go_through(mode: Mode) {
    let scene = Scene::new(mode);
    let output = scene.sh("tr a-z A-Z; echo error >&2").stdin("through and through\n").run().ends(0);
    assert_eq!(output.stdout, "THROUGH AND THROUGH\n");
    assert!(output.stderr.contains("error"), "{output}");
}

fn nothing_is_left_when_a_session_has_ended(mode: Mode) {
    let scene = Scene::new(mode);
    let mounts = scene.machine.mounts();
    scene.sh("sleep 1000 & setsid sleep 1000 & exit 0").run().ends(0);
    assert_eq!(scene.machine.others(), []);
    assert_eq!(scene.machine.mounts(), mounts);
}

fn without_credentials_nothing_runs_and_the_cause_is_said(mode: Mode) {
    let scene = Scene::new(mode);
    let faults = r#"{"fail":{"status":403,"code":"AccessDenied","message":"not today"}}"#;
    scene.set_faults(faults);
    let output = scene.run(&[], &["echo", "it", "ran"]).run().ends(125);
    assert!(output.stderr.contains("not today") && output.stdout.is_empty(), "{output}");
}

fn explain_prints_the_plan_and_does_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let plan = scene.run(&["--explain"], &["touch", "it-ran"]).run().says();
    assert!(plan.contains(&project.display().to_string()), "{plan}");
    assert!(!project.join("it-ran").exists() && scene.sts.requests().is_empty());
}
