//! What the tests of the packages share: the packages that were built, and fresh systems to install them in.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

mod machine;
pub mod use_of;

pub use machine::{Machine, Said};

/// A claim, and the function of that name which shows it.
pub type Case = (&'static str, fn());

/// A [`Case`] named as its function.
#[macro_export]
macro_rules! case {
    ($test:ident) => {
        (stringify!($test), $test as fn())
    };
}

/// The `main` of a test program: what cannot be tried here is said, and counted as ignored.
pub fn suite(cases: &[Case], programs: &[&str]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests install and unpack: more at once would only wait for the same disk.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let obstacle = obstacle(programs);
    if let Some(why) = &obstacle {
        println!("ignored: {why}");
    }
    let trial = |(name, test): &Case| {
        let test = *test;
        Trial::test(*name, move || {
            test();
            Ok(())
        })
        .with_ignored_flag(obstacle.is_some())
    };
    libtest_mimic::run(&arguments, cases.iter().map(trial).collect()).exit_code()
}

fn obstacle(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root is needed: packages are installed".into());
    }
    if let Some(program) = programs.iter().find(|program| !is_here(program)) {
        return Some(format!("{program} is not here"));
    }
    let fresh = || if programs.contains(&"mmdebstrap") { machine::base("").err() } else { None };
    let why = built("deb", ".deb").err().or_else(fresh);
    // In CI nothing is left out because a try fails: there it would hide a failure.
    why.filter(|_| std::env::var_os("CI").is_none())
}

fn is_here(program: &str) -> bool {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|place| Path::new(place).join(program).is_file())
}

/// The package that `xtask` has built beside the stage.
fn built(kind: &str, ending: &str) -> Result<PathBuf, String> {
    let advice = "run `cargo run -p xtask -- test packages`";
    let stage = std::env::var_os("AGENT_AWS_STAGE").ok_or_else(|| format!("nothing is built: {advice}"))?;
    let place = PathBuf::from(stage).with_file_name("packages").join(kind);
    let entries = std::fs::read_dir(&place).map_err(|e| format!("{}: {e}: {advice}", place.display()))?;
    let mut found = entries.flatten().map(|entry| entry.path()).filter(|p| p.display().to_string().ends_with(ending));
    found.next().ok_or_else(|| format!("{} has no package: {advice}", place.display()))
}

/// The Debian package.
pub fn deb() -> PathBuf {
    built("deb", ".deb").unwrap()
}

/// What `xtask` says of the Debian package's build, for lintian.
pub fn changes() -> PathBuf {
    built("deb", ".changes").unwrap()
}

/// The RPM.
pub fn rpm() -> PathBuf {
    built("rpm", ".rpm").unwrap()
}

/// The workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// A program that the stage has for the tests.
pub fn tool(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").unwrap()).join("tools").join(name)
}

/// A directory of a test's own, empty.
pub fn scratch(name: &str) -> PathBuf {
    let place = machine::place().join("scratch").join(name);
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).unwrap();
    place
}

/// What a program of this machine says; it must succeed.
pub fn ask(program: &str, words: &[&str]) -> String {
    let said = Said::of(Command::new(program).args(words).stdin(Stdio::null()));
    said.ok();
    said.out
}
