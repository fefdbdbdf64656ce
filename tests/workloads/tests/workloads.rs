//! Every row of the table, in both modes.

use std::process::ExitCode;

use agent_aws_harness::{Case, Stage, suite};
use agent_aws_workloads::{Row, absent, table, trial};

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let case = |row: Row| {
        let case = Case::row(row.name, trial).private().limit(400);
        match absent(&row, deps.as_deref()) {
            Some(why) => case.ignored(why.leak()),
            None => case,
        }
    };
    suite(table().map(case).collect::<Vec<_>>().leak())
}
