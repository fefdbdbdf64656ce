//! Work by order.

use std::io::{BufRead, Write};
use std::process::{Command, Stdio};

use crate::{micros, timed};

/// Reads lines for the shell and prints `microseconds status` of each, until there are no more.
pub(crate) fn run() {
    for line in std::io::stdin().lock().lines() {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(line.expect("a line")).stdin(Stdio::null()).stdout(Stdio::null());
        let (time, status) = timed(|| shell.status().expect("a shell"));
        println!("{:.1} {}", micros(time), status.code().unwrap_or(-1));
        std::io::stdout().flush().expect("somebody listens");
    }
}
