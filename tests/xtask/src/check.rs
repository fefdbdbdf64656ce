//! `make check` and `make budgets`.

use std::path::Path;

use crate::shell::{self, Outcome};

/// Form, lints, and licences and advisories where the tool for it is installed.
pub(crate) fn check(_root: &Path) -> Outcome {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::run(&mut shell::cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
    if shell::find("cargo-deny").is_none() {
        println!("cargo-deny is not installed: licences, bans and advisories were not checked");
        return Ok(());
    }
    shell::run(&mut shell::cargo(&["deny", "--locked", "check", "bans", "licenses", "sources"]))?;
    if shell::ask(&mut shell::cargo(&["deny", "fetch", "db"])).is_err() {
        println!("the advisory database cannot be fetched here: advisories were not checked");
        return Ok(());
    }
    shell::run(&mut shell::cargo(&["deny", "--locked", "check", "advisories"]))
}

/// Where the tree stands against its budgets.
pub(crate) fn budgets(_root: &Path) -> Outcome {
    shell::run(&mut shell::cargo(&["run", "-q", "--locked", "-p", "agent-aws-budgets"]))
}
