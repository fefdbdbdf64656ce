//! What a system call costs here: a cheap one, and two that walk a path.

use std::hint::black_box;
use std::time::Duration;

use crate::{percentile, timed};

const PATH: &str = "/usr/bin/env";
const BATCHES: usize = 21;

/// Prints `NAME nanoseconds`: the median of batches.
pub(crate) fn run() {
    let one = |count: u32, call: &dyn Fn()| {
        let mut batches: Vec<Duration> =
            (0..BATCHES).map(|_| timed(|| (0..count).for_each(|_| call())).0 / count).collect();
        percentile(&mut batches, 0.5).as_nanos()
    };
    println!("getpid {}", one(50_000, &|| _ = black_box(std::process::id())));
    println!("open+close {}", one(5_000, &|| _ = black_box(std::fs::File::open(PATH))));
    println!("stat {}", one(5_000, &|| _ = black_box(std::fs::metadata(PATH))));
}
