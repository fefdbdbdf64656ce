//! Start and end of programs, in alternation, so that whatever else the machine does strikes all alike.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{micros, percentile, timed};

/// Before anything is counted: caches are warm.
const WARM: usize = 2;

/// Prints `p50 p90` of each command, in microseconds. Commands are separated by `:::`.
pub(crate) fn run(rounds: usize, words: &[&str]) {
    let commands: Vec<&[&str]> = words.split(|w| *w == ":::").filter(|c| !c.is_empty()).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); commands.len()];
    for round in 0..WARM + rounds {
        for (command, times) in commands.iter().zip(&mut times) {
            let mut process = Command::new(command[0]);
            process.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null());
            let (time, status) = timed(|| process.status());
            assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "{command:?}: {status:?}");
            if round >= WARM {
                times.push(time);
            }
        }
    }
    for times in &mut times {
        println!("{:.1} {:.1}", micros(percentile(times, 0.5)), micros(percentile(times, 0.9)));
    }
}
