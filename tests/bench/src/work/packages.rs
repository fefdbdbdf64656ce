//! A cache of npm's, filled from a registry of our own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use agent_aws_harness::Scene;

/// Makes packages, says its port, serves them until its standard input ends.
const REGISTRY: &str = include_str!("registry.py");

/// An application in `app` of the project, and what it needs in `cache`.
pub(super) fn fill_cache(scene: &Scene, project: &Path) {
    let call = scene.agent_aws(&[]).instead("/usr/bin/python3").args(&["-c", REGISTRY]).cwd(project);
    let mut command: Command = call.command();
    let mut registry = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut port = String::new();
    BufReader::new(registry.stdout.take().expect("a pipe")).read_line(&mut port).expect("a port");
    let install = format!(
        "cd app && npm install --registry http://127.0.0.1:{}/ --cache ../cache --no-audit --no-fund --silent",
        port.trim()
    );
    scene.agent_aws(&[]).instead("/bin/sh").args(&["-euc", &install]).cwd(project).run().ends(0);
    drop(registry.stdin.take());
    let _ = registry.wait();
}
