//! The fuzz targets: built with the coverage that libFuzzer steers by, which a stable compiler gives too, and run for a while.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::products;
use crate::shell::{self, Clock, Failure, Outcome};
use crate::tally::Tally;

/// Where they are, each a workspace of its own.
const PLACES: [&str; 4] = ["helper/gateway/fuzz", "helper/broker/fuzz", "helper/policy-text/fuzz", "cli/fuzz"];
/// As cargo-fuzz sets it, without sanitizers: what the targets call has no `unsafe` that depends on what they say.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks=yes";
/// Of each target in `make test`, in seconds.
pub(crate) const SHORT: u32 = 10;

/// `make fuzz`: for as many seconds each.
pub(crate) fn fuzz(root: &Path, more: &[String]) -> Outcome {
    let seconds = match more {
        [] => 300,
        [number] => number.parse().map_err(Failure::on(format!("{number:?} is no number of seconds")))?,
        _ => return Err(Failure::new("fuzz [SECONDS]")),
    };
    match all(root, seconds, &mut Clock::start())?.failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} targets failed"))),
    }
}

/// Builds and runs all of them, each counted as a test.
pub(crate) fn all(root: &Path, seconds: u32, clock: &mut Clock) -> Result<Tally, Failure> {
    let out = shell::target_dir(root).join("fuzz");
    clock.part("fuzz: build", || PLACES.iter().try_for_each(|place| build(&root.join(place), &out)))?;
    let mut targets = Vec::new();
    for place in PLACES {
        for entry in fs::read_dir(root.join(place).join("fuzz_targets")).map_err(Failure::on(place))? {
            let path = entry.map_err(Failure::on(place))?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            targets.extend(name.map(|name| (name.to_owned(), root.join(place).join("corpus").join(name))));
        }
    }
    targets.sort();
    let built = out.join(products::host()).join("release");
    clock.part("fuzz", || {
        let mut tally = Tally::default();
        for (target, corpus) in &targets {
            let (said, good) = run(&built.join(target), corpus, &out, seconds)?;
            println!("fuzz {target} ... {}: {said}", if good { "ok" } else { "FAILED" });
            tally += Tally { passed: good.into(), failed: (!good).into(), skipped: 0 };
        }
        Ok(tally)
    })
}

/// Those of one place. What several of them need is built once.
fn build(place: &Path, out: &Path) -> Outcome {
    let mut cargo = shell::cargo(&["build", "--quiet", "--release", "--locked", "--target", products::host()]);
    shell::run(cargo.current_dir(place).env("CARGO_TARGET_DIR", out).env("RUSTFLAGS", FLAGS))
}

/// One of them. What it says last, and whether it found nothing.
fn run(program: &Path, corpus: &Path, out: &Path, seconds: u32) -> Result<(String, bool), Failure> {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let found = out.join("corpus").join(name);
    fs::create_dir_all(&found).map_err(Failure::on(found.display()))?;
    let log = out.join(format!("{name}.log"));
    let file = fs::File::create(&log).map_err(Failure::on(log.display()))?;
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={seconds}")).arg("-timeout=20").arg("-rss_limit_mb=2048");
    command.arg(format!("-artifact_prefix={}/{name}-", out.display())).arg(&found).arg(corpus);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let status = command.status().map_err(Failure::on(program.display()))?;
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let done = text.lines().rev().find(|line| line.starts_with("Done "));
    match done.filter(|_| status.success()) {
        Some(done) => Ok((done.trim_start_matches("Done ").to_owned(), true)),
        None => Ok((format!("{status}, see {}", log.display()), false)),
    }
}
