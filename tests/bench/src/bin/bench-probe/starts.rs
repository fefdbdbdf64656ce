//! Start and end of programs, in alternation, so that whatever else the machine does strikes all alike.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{index, micros, percentile, timed};

/// Before anything is counted: caches are warm.
const WARM: usize = 2;

/// Prints `p50 p95` of each command, and `p50 p95` of what it takes longer than the first of the same round, in
/// microseconds. Commands are separated by `:::`; each round begins with another one.
pub(crate) fn run(rounds: usize, words: &[&str]) {
    let commands: Vec<&[&str]> = words.split(|w| *w == ":::").filter(|c| !c.is_empty()).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); commands.len()];
    for round in 0..WARM + rounds {
        for turn in 0..commands.len() {
            let index = (round + turn) % commands.len();
            let (command, times) = (commands[index], &mut times[index]);
            let mut process = Command::new(command[0]);
            process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null());
            let (time, status) = timed(|| process.status());
            assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
            if round >= WARM {
                times.push(time);
            }
        }
    }
    let first: Vec<f64> = times[0].iter().copied().map(micros).collect();
    for times in &mut times {
        let mut more: Vec<f64> = times.iter().zip(&first).map(|(time, first)| micros(*time) - first).collect();
        more.sort_by(f64::total_cmp);
        let (p50, p95) = (micros(percentile(times, 0.5)), micros(percentile(times, 0.95)));
        println!("{p50:.1} {p95:.1} {:.1} {:.1}", more[index(&more, 0.5)], more[index(&more, 0.95)]);
    }
}
