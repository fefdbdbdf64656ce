//! Real coding agents inside, unattended, told by a scripted model what to do: they do their work as the session's
//! identity, and what they are told to do to the caller's home comes to nothing. Each with the same outside.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/agent.rs"]
#[allow(dead_code)] // each test program uses some of it
mod agent;

use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{Case, Mode, Stage, case, suite};

use agent::{Agent, Bed, Deed, KEY};

const CASES: &[Case] = &[
    case!(claude_works_as_the_identity_and_reaches_nothing_of_the_caller).private(),
    case!(codex_works_as_the_identity_and_reaches_nothing_of_the_caller).private(),
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
