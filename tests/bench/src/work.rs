//! What work costs inside a session that runs already, beside the same work outside: the same user, the same directory,
//! one after the other, each first every second time.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small whole numbers

mod packages;

use std::path::Path;
use std::time::Duration;

use agent_aws_harness::{Mode, Scene};
use agent_aws_workloads::place;

use crate::parts::numbers;
use crate::table::{Table, quantile};
use crate::worker::Worker;

const LIMIT: Duration = Duration::from_secs(300);

/// A kind of work, in the shell's words.
struct Work {
    what: &'static str,
    needs: &'static [&'static str],
    /// Once, outside, in the project.
    setup: &'static str,
    /// Before each time, not measured.
    before: &'static str,
    run: &'static str,
    /// As a part of the rounds of starts.
    share: usize,
}

const WORK: [Work; 3] = [
    Work {
        what: "cargo build of a small crate, offline",
        needs: &["gcc"],
        setup: include_str!("work/crate.sh"),
        before: "rm -rf crate/target",
        run: "cd crate && exec cargo build --offline --quiet",
        share: 3,
    },
    Work {
        what: "git status of 20,000 files",
        needs: &["git"],
        setup: include_str!("work/files.sh"),
        before: ":",
        run: "cd files && exec git status --short",
        share: 1,
    },
    Work {
        what: "npm install from a local cache",
        needs: &["npm", "node", "python3"],
        setup: "",
        before: "rm -rf app/node_modules",
        run: "cd app && exec npm install --offline --cache ../cache --no-audit --no-fund --silent",
        share: 3,
    },
];

pub(crate) fn work(mode: Mode, rounds: usize) {
    let mut table = Table::new(&["work, median of pairs", "inside", "outside", "ratio", "half of all", "budget"]);
    for work in &WORK {
        let cargo = work.what.starts_with("cargo");
        let absent = work.needs.iter().find(|program| !Path::new("/usr/bin").join(program).is_file());
        let absent = absent.copied().or((cargo && place::toolchain().is_none()).then_some("cargo of rustup"));
        match absent {
            Some(program) => table.row(&[&work.what, &format!("{program} is not here")]),
            None => measure(mode, work, cargo, rounds.div_ceil(work.share), &mut table),
        }
    }
    table.print();
}

fn measure(mode: Mode, work: &Work, cargo: bool, rounds: usize, table: &mut Table) {
    let scene = Scene::new(mode);
    let project = if scene.machine.is_private() {
        place::empty_home(&scene, cargo)
    } else {
        scene.machine.project(&scene.machine.user("alice"))
    };
    let shell =
        |script: &str| scene.agent_aws(&[]).instead("/bin/sh").args(&["-euc", script]).run_within(LIMIT).ends(0);
    match work.setup {
        "" => packages::fill_cache(&scene, &project),
        setup => _ = shell(setup),
    }
    let tool = scene.machine.tool("bench-probe").display().to_string();
    let mut inside = Worker::start(&scene.run(&[], &[&tool, "work"]));
    let mut outside = Worker::start(&scene.agent_aws(&[]).instead(&tool).arg("work"));
    let mut times: Vec<(f64, f64)> = Vec::new();
    for round in 0..=rounds {
        let pair = if round % 2 == 0 {
            let first = time(&mut inside, work);
            (first, time(&mut outside, work))
        } else {
            let first = time(&mut outside, work);
            (time(&mut inside, work), first)
        };
        // The first time fills caches.
        times.extend((round > 0).then_some(pair));
    }
    let of = |value: fn(&(f64, f64)) -> f64, share: f64| quantile(times.iter().map(value).collect(), share);
    let ratio = |share| of(|(inside, outside)| inside / outside, share);
    let ms = |value: f64| format!("{value:.1} ms");
    let (inside, outside) = (ms(of(|pair| pair.0, 0.5)), ms(of(|pair| pair.1, 0.5)));
    let spread = format!("{:.3} to {:.3}", ratio(0.25), ratio(0.75));
    table.row(&[&work.what, &inside, &outside, &format!("{:.3}", ratio(0.5)), &spread, &"<= 1.03"]);
}

/// Milliseconds of one time.
fn time(worker: &mut Worker, work: &Work) -> f64 {
    run(worker, work.before);
    run(worker, work.run)
}

fn run(worker: &mut Worker, line: &str) -> f64 {
    let path = "PATH=\"$HOME/.cargo/bin:$PATH\"; export PATH";
    let answer = worker.ask(&format!("{path}; {line}"));
    match numbers(&answer).as_slice() {
        [micros, 0.0] => micros / 1000.0,
        _ => panic!("`{line}`: {answer:?}"),
    }
}
