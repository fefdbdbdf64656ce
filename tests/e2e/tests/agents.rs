//! Real coding agents inside, unattended, told by a scripted model what to do: they do their work as the session's
//! identity, and what they are told to do to the caller's home comes to nothing. Each with the same outside.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/agent.rs"]
#[allow(dead_code)] // each test program uses some of it
mod agent;

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{ACCOUNT, Case, Mode, OWN_ROLE, ROLE, Setup, Stage, case, suite};

use agent::{Agent, Bed, Deed, KEY};

const CASES: &[Case] = &[
    case!(claude_works_as_the_identity_and_reaches_nothing_of_the_caller).private(),
    case!(codex_works_as_the_identity_and_reaches_nothing_of_the_caller).private(),
    case!(claude_asks_its_model_as_one_identity_and_works_as_another).private(),
    case!(claude_does_nothing_without_its_preset).private().setuid(),
    case!(codex_does_nothing_without_its_preset).private().setuid(),
    case!(claude_without_us_does_everything).private().setuid(),
    case!(codex_without_us_does_everything).private().setuid(),
];

/// An agent starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    if deps.is_none_or(|deps| agent::installed(&deps)) {
        return suite(CASES);
    }
    let reason = "the agents could not be had: @anthropic-ai/claude-code and @openai/codex";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

fn works(mode: Mode, agent: Agent) {
    let bed = Bed::new(mode, agent);
    let said = bed.inside(&[], &agent.unattended(&bed.model.url())).run_within(PATIENCE).ends(0);
    bed.assert_worked_and_no_more(&said.to_string());
    assert!(bed.told_instructions() && !bed.hooked(), "the caller's instructions and no hook\n{said}");
    // Its key came to it from the caller's environment, by the preset.
    let requests = bed.model.requests();
    let header = |name| requests.iter().find_map(|request| request.header(name)).unwrap_or_default();
    assert!(header("x-api-key") == KEY || header("authorization") == format!("Bearer {KEY}"), "{requests:#?}");
}

/// The same without a preset: the agent asks, or cannot, and does nothing.
fn does_nothing_without_its_preset(mode: Mode, agent: Agent) {
    let bed = Bed::new(mode, agent);
    let mut options = vec!["--preset", "none"];
    options.extend(agent.variables("").iter().flat_map(|(name, _)| ["--env", name]));
    let said = bed.inside(&options, &agent.unattended(&bed.model.url())).run_within(PATIENCE);
    assert!(!bed.result(Deed::Identify).contains(&bed.scene.assumed()), "{said}");
    assert_eq!(std::fs::read_to_string(&bed.file).unwrap(), "written by a person\n", "{said}");
    assert!(!bed.told_instructions(), "{said}");
}

fn claude_does_nothing_without_its_preset(mode: Mode) {
    does_nothing_without_its_preset(mode, Agent::Claude);
}

fn codex_does_nothing_without_its_preset(mode: Mode) {
    does_nothing_without_its_preset(mode, Agent::Codex);
}

fn claude_works_as_the_identity_and_reaches_nothing_of_the_caller(mode: Mode) {
    works(mode, Agent::Claude);
}

fn codex_works_as_the_identity_and_reaches_nothing_of_the_caller(mode: Mode) {
    works(mode, Agent::Codex);
}

fn does_everything(mode: Mode, agent: Agent) {
    let bed = Bed::new(mode, agent);
    let said = bed.outside(&agent.unattended(&bed.model.url())).run_within(PATIENCE).ends(0);
    bed.assert_did_everything(&said.to_string());
    assert!(bed.told_instructions() && bed.hooked(), "the caller's instructions and hook\n{said}");
}

fn claude_without_us_does_everything(mode: Mode) {
    does_everything(mode, Agent::Claude);
}

fn codex_without_us_does_everything(mode: Mode) {
    does_everything(mode, Agent::Codex);
}

/// The identity of the model is in another region than the work.
fn claude_asks_its_model_as_one_identity_and_works_as_another(mode: Mode) {
    let rule = "[[allow]]\nusers = [\"alice\"]\nidentities = [\"brain\"]\nsandbox = \"standard\"";
    let brain = format!("[identity.brain]\nrole = \"{OWN_ROLE}\"\nsource = \"workstation\"\n{rule}");
    let setup = Setup { policy: brain, ..Setup::default() };
    let bed = Bed::with(mode, Agent::Claude, &setup, &[Deed::Identify, Deed::Region]);
    let profile = |name: &str, role: &str| {
        format!("[profile {name}]\nrole_arn = {role}\nsource_profile = base\nregion = eu-west-1\n")
    };
    bed.scene.configure(&(profile("dev", OWN_ROLE) + &profile("brain", ROLE)), &bed.scene.keys("base"));
    let (name, role) = match mode {
        Mode::Setuid => ("brain", OWN_ROLE),
        Mode::Unprivileged => ("own:brain", ROLE),
    };
    let run = |options: &[&str]| {
        let call =
            bed.inside(options, &Agent::Claude.unattended("")).env("ANTHROPIC_BEDROCK_BASE_URL", bed.model.url());
        let model = "anthropic.claude-v1:0";
        call.env("ANTHROPIC_MODEL", model).env("ANTHROPIC_SMALL_FAST_MODEL", model).run_within(PATIENCE)
    };
    let said = run(&["--model-identity", name, "--model-region", "us-east-1"]).ends(0).to_string();
    let arn = bed.result(Deed::Identify);
    assert!(arn.contains(&bed.scene.assumed()), "its tools have the session's identity: {arn}\n{said}");
    assert!(bed.result(Deed::Region).contains("region eu-west-1, eu-west-1"), "{}", bed.result(Deed::Region));
    let of = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/", role.rsplit('/').next().unwrap());
    let keys = bed.scene.sts.issued().into_iter().filter(|it| it.arn.starts_with(&of)).map(|it| it.access_key_id);
    let keys: Vec<String> = keys.collect();
    let asked: Vec<_> = bed.model.requests().into_iter().filter(|it| it.path.contains("/invoke")).collect();
    assert!(!asked.is_empty() && !keys.is_empty(), "{said}");
    for request in &asked {
        let signed = request.header("authorization").unwrap_or_default();
        let by = keys.iter().any(|key| signed.contains(&format!("Credential={key}/")));
        assert!(by && signed.contains("/us-east-1/bedrock/"), "{} {signed}", request.path);
        assert_eq!(request.header("x-api-key"), None, "{}", request.path);
    }
    // Without a model identity nothing of it is left in the home: the same model would be asked as the session's identity,
    run(&["--env", "CLAUDE_CODE_USE_BEDROCK=1"]).ends(0);
    let last = bed.model.requests().into_iter().rfind(|it| it.path.contains("/invoke")).expect("a request");
    let signed = last.header("authorization").unwrap_or_default();
    assert!(!keys.iter().any(|key| signed.contains(key)) && signed.contains("/eu-west-1/bedrock/"), "{signed}");
    // and one that is not behind Bedrock with the caller's key.
    run(&[]).ends(0);
    let last = bed.model.requests().pop().expect("a request");
    assert!(last.path.ends_with("/messages") && last.header("x-api-key") == Some(KEY), "{last:#?}");
}
