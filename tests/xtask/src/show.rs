//! `make demo` and `make bench`: programs of their own, given a stage.

use std::path::Path;
use std::process::Command;

use crate::shell::{self, Failure, Outcome};
use crate::{needs, stage};

pub(crate) fn demo(root: &Path) -> Outcome {
    start(root, "agent-aws-demo", &[])
}

pub(crate) fn bench(root: &Path, more: &[String]) -> Outcome {
    needs::get(root);
    start(root, "agent-aws-bench", more)
}

fn start(root: &Path, program: &str, more: &[String]) -> Outcome {
    shell::run(&mut shell::cargo(&["build", "--locked", "-p", program]))?;
    stage::build_and_set(root)?;
    let mut command = Command::new(shell::target_dir(root).join("debug").join(program));
    let status = command.args(more).env(stage::VARIABLE, stage::place(root)).status().map_err(Failure::on(program))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("{program}: {status}"))),
    }
}
