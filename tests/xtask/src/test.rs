//! `make test`: gets what is needed, builds once, runs everything, and ends with minutes and totals.

use std::path::Path;
use std::process::Command;

use crate::shell::{self, Clock, Failure, Outcome};
use crate::tally::Tally;
use crate::{fuzz, needs, package, products, stage};

/// The parts whose tests need an installed product, each with its crate.
const INSTALLED: [(&str, &str); 6] = [
    ("e2e", "agent-aws-e2e"),
    ("attacks", "agent-aws-attacks"),
    ("workloads", "agent-aws-workloads"),
    ("clients", "agent-aws-clients"),
    ("packages", PACKAGES),
    ("vm", "agent-aws-vm"),
];
const PACKAGES: &str = "agent-aws-packages";
/// The other parts.
const PLAIN: [&str; 3] = ["unit", "budgets", "fuzz"];

struct Run<'a> {
    root: &'a Path,
    clock: Clock,
    tally: Tally,
    broken: Vec<String>,
}

pub(crate) fn test(root: &Path, wanted: &[String]) -> Outcome {
    let parts: Vec<&str> = PLAIN.into_iter().chain(INSTALLED.map(|(part, _)| part)).collect();
    if let Some(unknown) = wanted.iter().find(|w| !parts.contains(&w.as_str())) {
        return Err(Failure::new(format!("`{unknown}` is no part: {}", parts.join(", "))));
    }
    let does = |part: &str| wanted.is_empty() || wanted.iter().any(|w| w == part);
    let (clock, tally) = (Clock::start(), Tally::default());
    let mut run = Run { root, clock, tally, broken: Vec::new() };
    if does("unit") {
        run.unit();
    }
    if does("budgets") {
        run.suite("budgets", &["-p", "agent-aws-budgets"]);
    }
    run.installed(&INSTALLED.into_iter().filter(|(part, _)| does(part)).collect::<Vec<_>>());
    if does("fuzz") {
        run.fuzz();
    }
    run.clock.print();
    for part in &run.broken {
        println!("failed: {part}");
    }
    println!("{}", run.tally);
    match (run.broken.is_empty(), run.tally.failed) {
        (true, 0) => Ok(()),
        _ => Err(Failure::new("not everything passed")),
    }
}

impl Run<'_> {
    /// Everything that needs no installation. In the dev profile: with the release profile's link-time optimisation,
    /// each of the test programs would take as long to link as a product.
    fn unit(&mut self) {
        let others = INSTALLED.iter().map(|(_, package)| *package).chain(["agent-aws-budgets"]);
        let words = ["--workspace"].into_iter().chain(others.flat_map(|package| ["--exclude", package]));
        self.suite("unit", &words.collect::<Vec<_>>());
    }

    /// The installed products, each trial in a world of its own.
    fn installed(&mut self, parts: &[(&str, &str)]) {
        if parts.is_empty() {
            return;
        }
        let root = self.root;
        let names: Vec<&str> = parts.iter().map(|(part, _)| *part).collect();
        self.clock.part("needs", || needs::get(root, &names));
        let staged = self
            .clock
            .part("products", || products::build(root))
            .and_then(|()| self.clock.part("stage", || stage::set(root)));
        match staged {
            Ok(()) => parts.iter().for_each(|(part, package)| self.of_stage(part, package)),
            Err(why) => {
                self.tally.failed += 1;
                self.broken.push(format!("products: {why}"));
            }
        }
    }

    fn of_stage(&mut self, part: &str, package: &str) {
        if package == PACKAGES {
            self.packages();
        }
        self.suite(part, &["-p", package]);
    }

    /// What is built already, as packages. Without the tools for that, the tests say that there is none.
    fn packages(&mut self) {
        let root = self.root;
        let options = package::Options::default();
        let made = [("deb", "dpkg-buildpackage", package::deb as fn(_, _) -> _), ("rpm", "rpmbuild", package::rpm)];
        for (kind, tool, make) in made {
            if shell::find(tool).is_none() {
                println!("not here: {tool}: no {kind} is built");
                continue;
            }
            if let Err(why) = self.clock.part(kind, || make(root, &options)) {
                self.tally.failed += 1;
                self.broken.push(format!("{kind}: {why}"));
            }
        }
    }

    /// The fuzz targets, for a short while.
    fn fuzz(&mut self) {
        match fuzz::all(self.root, fuzz::SHORT, &mut self.clock) {
            Ok(tally) if tally.failed == 0 => self.tally += tally,
            Ok(tally) => {
                self.tally += tally;
                self.broken.push("fuzz".into());
            }
            Err(why) => {
                self.tally.failed += 1;
                self.broken.push(format!("fuzz: {why}"));
            }
        }
    }

    /// One `cargo test`.
    fn suite(&mut self, name: &str, selection: &[&str]) {
        let mut command = with_default_signals(&shell::cargo(&["test", "--locked", "--no-fail-fast"]));
        command.args(selection).env(stage::VARIABLE, stage::place(self.root));
        let mut tally = Tally::default();
        let ended = self.clock.part(name, || shell::watch(&mut command, |line| tally.add_line(line)));
        self.tally += tally;
        match ended {
            Ok(true) => {}
            // A test program that could not be built or crashed has no failed test to count.
            Ok(false) if tally.failed == 0 => {
                self.tally.failed += 1;
                self.broken.push(format!("{name}: it did not build, or ended without its closing line"));
            }
            Ok(false) => self.broken.push(name.into()),
            Err(why) => {
                self.tally.failed += 1;
                self.broken.push(format!("{name}: {why}"));
            }
        }
    }
}

/// A job that a shell put into the background ignores keys like Ctrl-C, and hands that down: tests of signals would wait
/// for ever. `env` of coreutils can undo it.
fn with_default_signals(command: &Command) -> Command {
    let reset = ["--default-signal"];
    let mut wrapped = if shell::ask(Command::new("env").args(reset).arg("true")).is_ok() {
        let mut env = Command::new("env");
        env.args(reset).arg(command.get_program());
        env
    } else {
        println!("env(1) here cannot reset signals: run the tests in the foreground");
        Command::new(command.get_program())
    };
    wrapped.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped
}
