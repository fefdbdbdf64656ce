//! What is measured, part by part.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small whole numbers

use std::time::Duration;

use agent_aws_harness::{Call, Mode, Scene, within};

use crate::bwrap;
use crate::peers;
use crate::table::Table;

/// Long enough that the sandbox is there before STS has answered.
const STS_DELAY_MS: u64 = 200;
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// The probe, as Alice, outside of any sandbox.
fn probe(scene: &Scene, words: &[String]) -> String {
    let call = scene.agent_aws(&[]);
    call.instead(scene.machine.tool("bench-probe")).args(words).run_within(LIMIT).says()
}

/// The probe inside a session.
fn probe_inside(scene: &Scene, options: &[&str], words: &[&str]) -> String {
    let tool = scene.machine.tool("bench-probe").display().to_string();
    let command: Vec<&str> = std::iter::once(tool.as_str()).chain(words.iter().copied()).collect();
    scene.run(options, &command).run_within(LIMIT).says()
}

pub(crate) fn numbers(line: &str) -> Vec<f64> {
    line.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// Commands run in alternation: microseconds of p50 and p95 of each, and of what each takes longer than the first.
pub(crate) fn starts_of(scene: &Scene, rounds: usize, commands: &[Vec<String>]) -> Vec<Vec<f64>> {
    let mut words = vec!["starts".to_owned(), rounds.to_string()];
    words.extend(commands.join(&":::".to_owned()));
    probe(scene, &words).lines().map(numbers).collect()
}

/// Their medians, in milliseconds.
fn medians(scene: &Scene, rounds: usize, commands: &[Vec<String>]) -> Vec<f64> {
    starts_of(scene, rounds, commands).iter().map(|figures| figures[0] / 1000.0).collect()
}

pub(crate) fn with_true(mut words: Vec<String>) -> Vec<String> {
    words.push("/bin/true".into());
    words
}

pub(crate) fn ours(scene: &Scene, options: &[&str]) -> Vec<String> {
    let program = scene.machine.program().display().to_string();
    let mut words = vec![program, "run".into()];
    words.extend(scene.identity().iter().chain(options).map(ToString::to_string));
    words.extend(["--".into(), "/bin/true".into()]);
    words
}

/// Start and end of `true`.
pub(crate) fn starts(mode: Mode, rounds: usize) {
    let scene = Scene::new(mode);
    let mut table = Table::new(&["start and end of `true`, median of runs", "agent-aws", "bwrap", "ratio", "budget"]);
    for (network, word) in [(true, "shared"), (false, "none")] {
        let mine = ours(&scene, &["--no-wait", "--network", word]);
        let theirs = bwrap::command(&scene, network).map(with_true);
        let commands: Vec<Vec<String>> = [Some(mine), theirs].into_iter().flatten().collect();
        let ms = medians(&scene, rounds, &commands);
        let (bwrap, ratio) = match ms.get(1) {
            Some(other) => (format!("{other:.1} ms"), format!("{:.2}", ms[0] / other)),
            None => ("not here".into(), "-".into()),
        };
        let what = format!("run --no-wait, network {word}");
        table.row(&[&what, &format!("{:.1} ms", ms[0]), &bwrap, &ratio, &"<= 2 x bwrap"]);
    }
    scene.set_faults(&format!("{{\"delay_ms\":{STS_DELAY_MS}}}"));
    scene.sts.clear_requests();
    let waited = medians(&scene, rounds.min(15), &[ours(&scene, &[])])[0];
    let calls = scene.sts.requests().len() as f64 / (rounds.min(15) + 2) as f64;
    let adds = waited - calls * STS_DELAY_MS as f64;
    let what = format!("what run adds to {calls:.0} STS call(s) of {STS_DELAY_MS} ms");
    table.row(&[&what, &format!("{adds:.1} ms"), &"", &"", &"<= 30 ms"]);
    table.print();
}

/// Credential reads.
pub(crate) fn doors(mode: Mode) {
    let scene = Scene::new(mode);
    let mut table = Table::new(&["a credential read", "clients", "p50", "p99", "failed", "budget"]);
    let said = probe_inside(&scene, &["--network", "none"], &["doors", "http"]);
    for line in said.lines() {
        let (door, rest) = line.split_once(' ').unwrap_or((line, ""));
        let n = numbers(rest);
        let (what, budget) = match (door, n[0] as u32) {
            ("socket", 1) => ("at the socket", "<= 1 ms p99"),
            ("client", _) => ("a whole client process", "<= 3 ms"),
            ("socket", 500) => ("at the socket", "0 of 500 fail"),
            ("socket", _) => ("at the socket", ""),
            ("fd", _) => ("at the inherited fd", ""),
            _ => ("over HTTP", ""),
        };
        let ms = |us: f64| format!("{:.2} ms", us / 1000.0);
        table.row(&[&what, &n[0], &ms(n[1]), &ms(n[2]), &format!("{} of {}", n[3], n[4]), &budget]);
    }
    // They are the same in both modes.
    if mode == Mode::Setuid {
        peers::doors(&scene, &mut table);
    }
    table.print();
}

/// Memory of the processes of a session.
pub(crate) fn memory(mode: Mode) {
    let scene = Scene::new(mode);
    let mut child = scene.run(&["--network", "none"], &["sleep", "30"]).spawn();
    within(Duration::from_secs(20), "the agent runs", || {
        scene.machine.others().iter().any(|p| p.command == "sleep 30")
    });
    std::thread::sleep(Duration::from_millis(500));
    let mut table = Table::new(&["memory of a session besides the agent", "RSS", "PSS", "budget"]);
    let mut sum = (0.0, 0.0);
    let mut unreadable = false;
    let session = scene.machine.others();
    for process in session.iter().filter(|p| p.name.starts_with("agent-aws")) {
        let name = process.command.split(' ').next().and_then(|path| path.rsplit('/').next()).unwrap_or(&process.name);
        let Some((rss, pss)) = resident(process.pid) else {
            unreadable = true;
            table.row(&[&name, &"not readable", &"", &""]);
            continue;
        };
        sum = (sum.0 + rss, sum.1 + pss);
        table.row(&[&name, &format!("{rss:.1} MB"), &format!("{pss:.1} MB"), &""]);
    }
    let note = if unreadable { "together, of those that can be read" } else { "together" };
    table.row(&[&note, &format!("{:.1} MB", sum.0), &format!("{:.1} MB", sum.1), &"<= 12 MB"]);
    table.print();
    let _ = child.kill();
    let _ = child.wait();
}

/// RSS and PSS in MB.
pub(crate) fn resident(pid: i32) -> Option<(f64, f64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1000.0 * 1.024)
    };
    Some((field("Rss:")?, field("Pss:")?))
}

/// What system calls cost.
pub(crate) fn calls(mode: Mode) {
    let scene = Scene::new(mode);
    let read = |said: String| -> Vec<f64> { said.lines().map(|line| numbers(line)[0]).collect() };
    let outside = read(probe(&scene, &["calls".into()]));
    let bwrap = bwrap::command(&scene, true).map(|words| {
        let call: Call = scene.agent_aws(&[]).instead(&words[0]).args(&words[1..]);
        read(call.arg(scene.machine.tool("bench-probe")).arg("calls").run_within(LIMIT).says())
    });
    let inside = read(probe_inside(&scene, &[], &["calls"]));
    let mut table = Table::new(&["one system call", "inside", "bwrap", "outside", "inside / outside"]);
    for (index, name) in ["getpid", "open and close", "stat"].into_iter().enumerate() {
        let ns = |value: f64| format!("{value:.0} ns");
        let theirs = bwrap.as_ref().map_or("not here".into(), |b| ns(b[index]));
        let ratio = format!("{:.2}", inside[index] / outside[index]);
        table.row(&[&name, &ns(inside[index]), &theirs, &ns(outside[index]), &ratio]);
    }
    table.print();
}
