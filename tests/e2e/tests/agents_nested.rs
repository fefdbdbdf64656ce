//! Real coding agents with their own sandboxes on, inside one that admits them (`nesting`): the tools that they run are
//! held by both, and are the session's identity all the same.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/agent.rs"]
#[allow(dead_code)] // each test program uses some of it
mod agent;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{Case, Mode, Setup, Stage, case, suite};

use agent::{Agent, Bed, Deed};

const CASES: &[Case] = &[
    case!(claude_with_its_own_sandbox_is_held_by_both).private(),
    case!(codex_with_its_own_sandbox_is_held_by_both).private(),
];

const DEEDS: [Deed; 4] = [Deed::Fetch, Deed::Look, Deed::Edit, Deed::Plant];
/// A sandbox that admits sandboxes.
const NESTING: &str = r#"
[sandbox.nesting]
home = "agent"
network = "shared"
rw-paths = ["/"]
nesting = true

[[allow]]
users = ["alice"]
identities = ["incident", "own:*"]
sandbox = "nesting"
"#;
/// An agent and its sandbox start slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let programs = ["/usr/bin/bwrap", "/usr/bin/socat", "/usr/bin/aws"];
    if deps.is_none_or(|deps| agent::installed(&deps) && programs.iter().all(|program| Path::new(program).exists())) {
        return suite(CASES);
    }
    let reason = "not here: @anthropic-ai/claude-code, @openai/codex, bubblewrap, socat or awscli";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

/// `forbidden` is what its own sandbox says of a place that ours lets it write.
fn held_by_both(mode: Mode, agent: Agent, switch: &[&str], forbidden: &str) {
    let bed = Bed::with(mode, agent, &Setup { policy: NESTING.into(), ..Setup::default() }, &DEEDS);
    let mut arguments = agent.unattended(&bed.model.url());
    let task = arguments.pop().expect("a task");
    arguments.extend(switch.iter().map(|word| (*word).to_owned()).chain([task]));
    let said = bed.inside(&["--sandbox", "nesting"], &arguments).run_within(PATIENCE).ends(0);
    let fetched = bed.result(Deed::Fetch);
    let issued = bed.scene.sts.issued();
    assert!(issued.iter().any(|session| fetched.contains(&session.access_key_id)), "{fetched}\n{issued:#?}\n{said}");
    assert_eq!(std::fs::read_to_string(&bed.file).unwrap(), "edited by an agent\n", "{said}");
    let planted = bed.result(Deed::Plant);
    // Each shell has its own spelling of the same error, and agents take what shell there is.
    let says = planted.to_lowercase().contains(&forbidden.to_lowercase());
    assert!(says && !planted.contains("# planted by an agent"), "{planted}");
}

fn claude_with_its_own_sandbox_is_held_by_both(mode: Mode) {
    let settings = r#"{"sandbox": {"enabled": true, "allowUnsandboxedCommands": false}}"#;
    held_by_both(mode, Agent::Claude, &["--settings", settings], "Read-only file system");
}

fn codex_with_its_own_sandbox_is_held_by_both(mode: Mode) {
    held_by_both(mode, Agent::Codex, &["-c", "sandbox_mode=\"workspace-write\""], "Read-only file system");
}
