//! Takes as much of one thing as it is told to, or as it gets, and says how much that was: `64`, or `63 EAGAIN`.

use std::fs::File;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

const USAGE: &str = "usage: glutton [nested] processes|threads|files|memory NUMBER [SECONDS]";

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|w| w == "nested") {
        words.remove(0);
        if let Err(e) = unshare(CloneFlags::CLONE_NEWUSER) {
            return say(&format!("no user namespace: {e:?}"));
        }
    }
    let number = |at: usize| words.get(at).and_then(|w| w.parse().ok());
    let (Some(what), Some(wanted)) = (words.first(), number(1)) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    // Held until the end: dropping would give it back.
    match what.as_str() {
        "processes" => drop(take(wanted, || sleeper().map(Reaped), number(2))),
        "threads" => drop(take(wanted, thread, number(2))),
        "files" => drop(take(wanted, || File::open("/dev/null"), number(2))),
        "memory" => drop(take(wanted, || Ok(vec![1_u8; 1 << 20]), number(2))),
        _ => eprintln!("{USAGE}"),
    }
}

/// Takes, says, and holds what it has for so many seconds.
fn take<T>(wanted: u64, mut one: impl FnMut() -> io::Result<T>, seconds: Option<u64>) -> Vec<T> {
    let mut taken = Vec::new();
    let mut error = None;
    while error.is_none() && (taken.len() as u64) < wanted {
        match one() {
            Ok(it) => taken.push(it),
            Err(e) => error = e.raw_os_error().map(|number| format!(" {:?}", Errno::from_raw(number))),
        }
    }
    say(&format!("{}{}", taken.len(), error.unwrap_or_default()));
    std::thread::sleep(Duration::from_secs(seconds.unwrap_or(0)));
    taken
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A child that is ended and reaped with us.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeper() -> io::Result<Child> {
    Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn thread() -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().stack_size(64 * 1024).spawn(|| std::thread::sleep(Duration::from_secs(1000)))
}
