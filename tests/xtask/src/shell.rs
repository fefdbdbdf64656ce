//! Running other programs, and failing in words.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Why a verb failed.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For `map_err`: what was done, on what.
    pub(crate) fn on<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |e| Self(format!("{what}: {e}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Goes to the top of the workspace, from wherever in it we were started.
pub(crate) fn to_workspace() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(Failure::on("the working directory"))?;
    let root = here
        .ancestors()
        .find(|above| above.join("tests/xtask/Cargo.toml").is_file())
        .ok_or_else(|| Failure::new("run this inside the workspace"))?;
    std::env::set_current_dir(root).map_err(Failure::on(root.display()))?;
    Ok(root.to_path_buf())
}

/// Where cargo builds to.
pub(crate) fn target_dir(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|d| !d.is_empty()) {
        Some(directory) => root.join(directory),
        None => root.join("target"),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(words).stdin(Stdio::null());
    // What `cargo run` says of this program is not about what we build: build scripts that watch it would run again.
    let about_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| about_us(name)) {
        cargo.env_remove(name);
    }
    cargo
}

/// The command line, as a person would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Runs it with our own output.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(Failure::on(line(command)))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("{}: {status}", line(command)))),
    }
}

/// Runs it and returns its standard output, if it succeeds.
pub(crate) fn ask(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().map_err(Failure::on(line(command)))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::new(format!("{}: {}", line(command), output.status))),
    }
}

/// Runs it, shows its standard output line by line and gives each line to `each`. Whether it succeeded.
pub(crate) fn watch(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool, Failure> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(Failure::on(line(command)))?;
    let stdout = child.stdout.take().ok_or_else(|| Failure::new("no pipe"))?;
    let mut ours = std::io::stdout().lock();
    for text in BufReader::new(stdout).split(b'\n') {
        let text = text.map_err(Failure::on("a test's output"))?;
        let _ = ours.write_all(&text).and_then(|()| ours.write_all(b"\n"));
        each(&String::from_utf8_lossy(&text));
    }
    let _ = ours.flush();
    Ok(child.wait().map_err(Failure::on(line(command)))?.success())
}

/// A program of this name that PATH leads to.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.find(|place| place.is_file())
}

/// What took how long.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    parts: Vec<(String, Duration)>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), parts: Vec::new() }
    }

    /// Does one part and remembers its time.
    pub(crate) fn part<T>(&mut self, name: &str, work: impl FnOnce() -> T) -> T {
        println!("== {name}");
        let began = Instant::now();
        let result = work();
        self.parts.push((name.to_owned(), began.elapsed()));
        result
    }

    pub(crate) fn print(&self) {
        let minutes = |d: Duration| format!("{:6.1} min", d.as_secs_f64() / 60.0);
        println!();
        for (name, time) in &self.parts {
            println!("{}  {name}", minutes(*time));
        }
        println!("{}  together", minutes(self.started.elapsed()));
    }
}
