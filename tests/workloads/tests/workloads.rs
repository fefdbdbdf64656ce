//! Every row of the table, in both modes.
#![allow(clippy::panic, clippy::expect_used)] // a test fails by panicking

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use agent_aws_harness::{Case, Mode, Stage, case, suite};
use agent_aws_workloads::{Row, Script, absent, run, table, trial};

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let row = |row: Row| {
        let case = Case::row(row.name, trial).private().limit(400);
        match absent(row.needs(), deps.as_deref()) {
            Some(why) => case.ignored(why.leak()),
            None => case,
        }
    };
    let controls =
        [case!(a_workload_that_differs_inside_is_found).private(), case!(a_key_that_is_not_needed_is_found).private()];
    suite(controls.into_iter().chain(table().map(row)).collect::<Vec<_>>().leak())
}

/// Why a row would not pass.
fn failure(row: &'static str, script: &str, mode: Mode) -> Option<String> {
    let script = Script::parse(script).expect("a script");
    let failed = catch_unwind(AssertUnwindSafe(|| run(Row::parse(row), script, mode))).err()?;
    Some(failed.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn a_workload_that_differs_inside_is_found(mode: Mode) {
    let row = "x\tx\tbash\t-\t-";
    assert_eq!(failure(row, "#: expect\nsame\n#: run\necho same; pwd; id -u\n", mode), None);
    let why = |script| failure(row, script, mode).expect("it differs");
    assert!(why("#: expect\nmnt\n#: run\nreadlink /proc/self/ns/mnt\n").contains("\noutside:\n"));
    assert!(why("#: expect\nthere\n#: run\necho there; test -d /home/bob\n").contains("inside, status 1"));
    assert!(why("#: expect\nthere\n#: run\necho here\n").contains("outside it does not say"));
    assert!(why("#: expect\nhere\n#: run\necho here; false\n").contains("outside it does not succeed"));
}

fn a_key_that_is_not_needed_is_found(mode: Mode) {
    let row = "x\tx\tbash\tdebug\t-";
    let why = failure(row, "#: expect\nsame\n#: run\necho same\n", mode);
    assert!(why.is_some_and(|why| why.contains("it needs no key of the sandbox")));
}
