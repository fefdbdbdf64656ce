//! Second factors of the caller's own AWS profiles.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_harness::{Case, DEVICE, GUARDED, Mode, Scene, case, suite};

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
    let config = format!(
        "[profile guarded]\nrole_arn = {GUARDED}\nsource_profile = base\nmfa_serial = {DEVICE}\nregion = eu-west-1\n{more}"
    );
    scene.configure(&config, &scene.keys("base"));
    scene
}

fn asked(scene: &Scene) -> Vec<String> {
    scene.sts.requests().into_iter().map(|r| r.action).collect()
}

const RUN: [&str; 6] = ["run", "--profile", "guarded", "--", "echo", "it-ran"];

fn on_a_terminal_a_code_is_asked_for_and_the_role_assumed(mode: Mode) {
    let scene = scene(mode, "");
    let said = scene.at_terminal(&RUN).stdin("123456\n").run().says();
    assert!(said.contains(DEVICE) && said.contains("it-ran"), "{said}");
    assert_eq!(asked(&scene), ["GetCallerIdentity", "GetSessionToken", "AssumeRole"]);
    let wrong = scene.at_terminal(&RUN).stdin("999999\n").run();
    assert!(wrong.code() == 125 && wrong.stdout.contains("MultiFactorAuthentication failed"), "{wrong}");
    assert!(!wrong.stdout.contains("it-ran"), "{wrong}");
}

fn what_is_no_code_starts_nothing(mode: Mode) {
    let scene = scene(mode, "");
    for keys in ["\n", "12345\n", "secret\n"] {
        let output = scene.at_terminal(&RUN).stdin(keys).run();
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
