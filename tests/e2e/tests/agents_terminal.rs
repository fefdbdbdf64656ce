//! Real coding agents at a terminal, for the first time in a new home and with nobody to answer questions: they are
//! ready to be told what to do, and do it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/agent.rs"]
#[allow(dead_code)] // each test program uses some of it
mod agent;

use std::process::ExitCode;

use agent_aws_e2e::terminal::{Shell, Under};
use agent_aws_harness::{Case, Mode, Stage, case, suite};

use agent::{Agent, Bed, DEEDS};

const CASES: &[Case] = &[
    case!(claude_at_a_terminal_asks_nothing_and_works).private(),
    case!(codex_at_a_terminal_asks_nothing_and_works).private(),
    case!(claude_without_its_preset_asks).private().setuid(),
    case!(codex_without_its_preset_asks).private().setuid(),
];

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    if deps.is_none_or(|deps| agent::installed(&deps)) {
        return suite(CASES);
    }
    let reason = "the agents could not be had: @anthropic-ai/claude-code and @openai/codex";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

/// A shell in which `./begin` is the agent inside, with more options of ours.
fn shell(bed: &Bed, options: &str) -> Shell {
    let (agent, shell) = (bed.agent, Shell::open(&bed.scene, Under::AgentAws));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut lines = vec!["#!/bin/sh".to_owned(), "PATH=~/.npm-global/bin:$PATH; export PATH".to_owned()];
    lines.extend(agent.variables(&bed.model.url()).iter().map(|(name, value)| format!("export {name}={value}")));
    let arguments: Vec<String> = agent.provider(&bed.model.url()).iter().map(|word| quoted(word)).collect();
    lines.push(format!("exec ${{A% --}} {options} -- {} {}", agent.name(), arguments.join(" ")));
    shell.file("begin", lines.join("\n"));
    shell
}

/// Starts it, waits for the word by which it says that it asks for no permission, types a task, and leaves.
fn works(mode: Mode, agent: Agent, ready: &str, leave: &str) {
    let bed = Bed::new(mode, agent);
    let mut shell = shell(&bed, "");
    shell.start("./begin");
    shell.wait(ready);
    shell.keys(b"do it");
    // What is typed at once is taken for pasted text, and Enter for a new line in it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    shell.keys(b"\r");
    shell.until("the end of the work", |_| (bed.model.results().len() == DEEDS.len()).then_some(()));
    shell.wait("Done.");
    bed.assert_worked_and_no_more(shell.rest());
    shell.keys(leave.as_bytes());
    std::thread::sleep(std::time::Duration::from_secs(1));
    shell.keys(b"\r");
    shell.prompt(0, 0);
    shell.has_its_terminal(0);
}

fn claude_at_a_terminal_asks_nothing_and_works(mode: Mode) {
    works(mode, Agent::Claude, "bypass", "/exit");
}

fn codex_at_a_terminal_asks_nothing_and_works(mode: Mode) {
    works(mode, Agent::Codex, "YOLO", "/quit");
}

/// The control: without a preset there is a question first.
fn asks(mode: Mode, agent: Agent, question: &str) {
    let bed = Bed::new(mode, agent);
    let variables = agent.variables("");
    let options: Vec<String> = variables.iter().map(|(name, _)| format!("--env {name}")).collect();
    let mut shell = shell(&bed, &format!("--preset none {}", options.join(" ")));
    shell.start("./begin");
    shell.wait(question);
    assert!(bed.model.results().is_empty());
}

fn claude_without_its_preset_asks(mode: Mode) {
    asks(mode, Agent::Claude, "Welcome");
}

fn codex_without_its_preset_asks(mode: Mode) {
    asks(mode, Agent::Codex, "trust");
}
