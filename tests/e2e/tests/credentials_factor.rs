//! Second factors of the caller's own AWS profiles.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_harness::{Call, Case, DEVICE, GUARDED, Mode, Scene, case, suite};

const CASES: &[Case] = &[
    case!(on_a_terminal_a_code_is_asked_for_and_the_role_assumed),
    case!(what_is_no_code_starts_nothing),
    case!(without_a_terminal_it_is_refused_with_what_to_do),
    case!(a_code_in_the_environment_is_the_brokers_and_not_the_agents),
    case!(a_program_of_the_profile_gives_the_code),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Alice's profile `guarded`, whose role wants her second factor; with this besides.
fn scene(mode: Mode, more: &str) -> Scene {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let config = format!(
        "[profile guarded]\nrole_arn = {GUARDED}\nsource_profile = base\nmfa_serial = {DEVICE}\nregion = eu-west-1\n{more}"
    );
    scene.machine.file(&alice, &scene.aws("config"), 0o600, config);
    scene
}

/// `agent-aws` at a terminal, where this is typed.
fn typed(scene: &Scene, arguments: &[&str], keys: &'static str) -> Call {
    let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let call = scene.machine.call("alice", "/usr/bin/python3").args(&["-c", spawn]);
    let call = call.arg(scene.machine.program()).args(arguments);
    let aws = [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")];
    let call = aws.iter().fold(call, |call, (name, file)| call.env(name, scene.aws(file)));
    call.env("AWS_ENDPOINT_URL_STS", scene.sts.url()).stdin(keys)
}

fn asked(scene: &Scene) -> Vec<String> {
    scene.sts.requests().into_iter().map(|r| r.action).collect()
}

const RUN: [&str; 6] = ["run", "--profile", "guarded", "--", "echo", "it-ran"];

fn on_a_terminal_a_code_is_asked_for_and_the_role_assumed(mode: Mode) {
    let scene = scene(mode, "");
    let said = typed(&scene, &RUN, "123456\n").run().says();
    assert!(said.contains(DEVICE) && said.contains("it-ran"), "{said}");
    assert_eq!(asked(&scene), ["GetCallerIdentity", "GetSessionToken", "AssumeRole"]);
    let wrong = typed(&scene, &RUN, "999999\n").run();
    assert!(wrong.code() == 125 && wrong.stdout.contains("MultiFactorAuthentication failed"), "{wrong}");
    assert!(!wrong.stdout.contains("it-ran"), "{wrong}");
}

fn what_is_no_code_starts_nothing(mode: Mode) {
    let scene = scene(mode, "");
    for keys in ["\n", "12345\n", "secret\n"] {
        let output = typed(&scene, &RUN, keys).run();
        assert!(output.code() == 125 && output.stdout.contains("six to eight digits"), "{output}");
    }
    assert!(asked(&scene).is_empty(), "{:?}", asked(&scene));
}

fn without_a_terminal_it_is_refused_with_what_to_do(mode: Mode) {
    let scene = scene(mode, "");
    let output = scene.agent_aws(&RUN).run().refused("on a terminal");
    assert!(output.stderr.contains(DEVICE) && output.stdout.is_empty(), "{output}");
    assert!(!asked(&scene).contains(&"GetSessionToken".to_owned()));
}

fn a_code_in_the_environment_is_the_brokers_and_not_the_agents(mode: Mode) {
    let scene = scene(mode, "");
    let call = scene.agent_aws(&["run", "--profile", "guarded", "--", "env"]).env("AGENT_AWS_MFA_CODE", "234567");
    let said = call.run().says();
    assert!(said.contains("AGENT_AWS_SESSION=") && !said.contains("MFA") && !said.contains("234567"), "{said}");
}

fn a_program_of_the_profile_gives_the_code(mode: Mode) {
    let scene = scene(mode, "mfa_process = echo 123456\n");
    assert_eq!(scene.agent_aws(&RUN).run().says(), "it-ran");
}
