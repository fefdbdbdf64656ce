use agent_aws_harness::{Case, suite};
use std::process::ExitCode;
const CASES: &[Case] = &[];
fn main() -> ExitCode {
    suite(CASES)
}
