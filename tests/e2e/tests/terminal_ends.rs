//! To be filled by its author.

use std::process::ExitCode;

use agent_aws_harness::{Case, suite};

const CASES: &[Case] = &[];

fn main() -> ExitCode {
    suite(CASES)
}
