//! `make demo` and `make bench`: programs of their own, given a stage.

use std::path::Path;
use std::process::Command;

use crate::shell::{self, Failure, Outcome};
use crate::{needs, stage};

pub(crate) fn demo(root: &Path) -> Outcome {
    shell::run(&mut shell::cargo(&["build", "--locked", "-p", "agent-aws-demo"]))?;
    stage::build_and_set(root)?;
    start(root, &shell::target_dir(root).join("debug/agent-aws-demo"), &[])
}

pub(crate) fn bench(root: &Path, more: &[String]) -> Outcome {
    needs::get_programs();
    needs::get_peers(root);
    shell::run(&mut shell::cargo(&["build", "--locked", "--profile", "tools", "-p", "agent-aws-bench"]))?;
    stage::build_and_set(root)?;
    let built = shell::target_dir(root).join("tools");
    let probe = stage::place(root).join("tools/bench-probe");
    std::fs::copy(built.join("bench-probe"), &probe).map_err(Failure::on(probe.display()))?;
    start(root, &built.join("agent-aws-bench"), more)
}

fn start(root: &Path, program: &Path, more: &[String]) -> Outcome {
    shell::run(Command::new(program).args(more).env(stage::VARIABLE, stage::place(root)))
}
