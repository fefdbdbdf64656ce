//! The program; all of it is in the library of the same name, from which the manual pages are made too.

use std::process::ExitCode;

fn main() -> ExitCode {
    agent_aws::main()
}
