//! Races: an attacker in a tight loop, victims one after the other, and a count of what each of them saw.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_aws_harness::{Call, Output, Scene};

/// How long a race is run.
pub const LONG: Duration = Duration::from_secs(10);

/// A race of fewer victims, as they are or slowed, would tell nothing.
const ENOUGH: u64 = 16;

/// Somebody who exchanges two names as fast as the kernel can, until dropped.
#[derive(Debug)]
pub struct Swapper(Child);

impl Swapper {
    /// As Alice: a process of hers, or another agent of hers to whom both names are writable.
    pub fn start(scene: &Scene, racer: &str, one: &Path, other: &Path) -> Self {
        let call = scene.machine.call("alice", racer).arg("swap").arg(one).arg(other);
        let mut command = call.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|e| panic!("{racer}: {e}")))
    }

    /// Ends it; how often it has exchanged the names.
    #[track_caller]
    pub fn end(mut self) -> u64 {
        drop(self.0.stdin.take());
        let mut said = String::new();
        let read = self.0.stdout.take().map(|mut pipe| pipe.read_to_string(&mut said));
        let _ = self.0.wait();
        said.trim().parse().unwrap_or_else(|e| panic!("{read:?} {said:?}: {e}"))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How often each thing was seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Counts one.
    pub fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    /// How often that was seen.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// How often anything was.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|(what, count)| format!("{what} {count}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// Runs the victim again and again while `swap` is being exchanged; `judge` says in a word what came of each run. First
/// as it is; then slowed, so that between any two openings the names have been exchanged a hundred times.
#[track_caller]
pub fn run(
    scene: &Scene,
    racer: &str,
    swap: (&Path, &Path),
    victim: &Call,
    judge: impl Fn(&Output) -> String,
) -> Tally {
    let swapper = Swapper::start(scene, racer, swap.0, swap.1);
    let mut tally = Tally::default();
    let mut counts = Vec::new();
    for mut command in [victim.command(), slowed(victim)] {
        let (start, before) = (Instant::now(), tally.all());
        // A machine that is busy with other trials gets the time for as many runs as an idle one.
        while start.elapsed() < LONG / 2 || (tally.all() - before < ENOUGH && start.elapsed() < LONG * 6) {
            tally.add(judge(&output(&mut command)));
        }
        counts.push(tally.all() - before);
    }
    let swaps = swapper.end();
    println!("note: {counts:?} runs, as they are and slowed, against {swaps} exchanges: {tally}");
    assert!(swaps > 1000, "the attacker was too slow to hit anything: {swaps}");
    tally
}

fn output(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The same with a pause after each opening of a path, and each making of a directory: root's strace leaves the setuid
/// bit in effect.
fn slowed(call: &Call) -> Command {
    let plain = call.command();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat2,mkdirat,open_tree"]);
    command.args(["-e", "inject=openat2,mkdirat,open_tree:delay_exit=2000", "--"]);
    command.arg(plain.get_program()).args(plain.get_args());
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(directory) = plain.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

/// The control: a victim that looks at a path first and mounts it by that path afterwards. How often it mounted what it
/// had not looked at.
#[track_caller]
pub fn unprotected(scene: &Scene, racer: &str, swap: (&Path, &Path), mark: &str) -> u64 {
    let swapper = Swapper::start(scene, racer, swap.0, swap.1);
    let call =
        scene.machine.call("alice", "/usr/bin/unshare").args(&["-Urm", "--", racer, "naive"]).arg(swap.0).arg(mark);
    let said = call.run().says();
    let _ = swapper.end();
    println!("note: the control: {said}");
    let taken = said.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    taken.unwrap_or_else(|| panic!("{said}"))
}
