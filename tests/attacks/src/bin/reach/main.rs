//! What can be reached from where this is run, check by check: `NAME<TAB>RESULT`. `open` is what an attacker wants; else
//! it is the error, or what was found instead.
//!
//! `reach all FACT...`, `reach one NAME FACT...`. Facts, as `name=value`, tell what a test has laid out on the host:
//! `home`, `tmp` (a directory there), `pid` (a process of the same user), `tcp` (a port on loopback), `abstract` (a socket's
//! name), `setuid` (a program). Each check runs in a process of its own: some are killed.
#![allow(clippy::panic)] // a tool of tests fails by panicking

mod files;
mod net;
mod processes;
mod terminal;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use agent_aws_e2e::calls;
use nix::errno::Errno;

/// What came of a check: nothing stopped it, or this did.
type Result = std::result::Result<(), String>;

/// What the test has laid out.
struct Facts(BTreeMap<String, String>);

impl Facts {
    fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("no fact {name}"))
    }

    fn home(&self, below: &str) -> String {
        format!("{}/{below}", self.get("home"))
    }
}

/// A check and its name in the table.
type Check = (&'static str, fn(&Facts) -> Result);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let fact = |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let facts = Facts(words.iter().filter_map(fact).collect());
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["all", given @ ..] => all(given),
        ["one", name, ..] => println!("{}", one(name, &facts).map_or_else(|why| why, |()| "open".into())),
        _ => panic!("reach all FACT... | one NAME FACT..."),
    }
}

fn checks() -> Vec<Check> {
    [processes::CHECKS, files::CHECKS, net::CHECKS, terminal::CHECKS].concat()
}

/// Every call of the table that is a check.
const CALLS: [&str; 34] = [
    "i386-getpid", "x32-getpid", "io_uring_setup", "unshare-user", "clone-user", "clone3", "ptrace",
    "process_vm_readv", "pidfd_open", "kcmp", "keyctl", "add_key", "bpf", "perf_event_open", "userfaultfd",
    "personality-no-randomize", "personality-read-implies-exec", "open_tree", "fsopen", "mount_setattr",
    "open_by_handle_at", "name_to_handle_at", "setns", "memfd_secret", "memfd_create", "landlock_create_ruleset",
    "seccomp", "fanotify_init", "modify_ldt", "vmsplice", "quotactl", "move_pages", "kexec_load", "open_tree_attr",
];

fn all(facts: &[&str]) {
    for name in checks().iter().map(|(name, _)| *name).chain(CALLS) {
        let output = Command::new("/proc/self/exe").args(["one", name]).args(facts).output();
        let output = output.unwrap_or_else(|e| panic!("{name}: {e}"));
        let said = match output.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        };
        println!("{name}\t{}", if said.is_empty() { "failed" } else { &said });
    }
}

fn one(name: &str, facts: &Facts) -> Result {
    if let Some((_, check)) = checks().into_iter().find(|(known, _)| *known == name) {
        return check(facts);
    }
    let row = calls::rows().into_iter().find(|row| row.name == name);
    match row.unwrap_or_else(|| panic!("no check {name}")).attempt() {
        Ok(()) => Ok(()),
        Err(e) if [Errno::EPERM, Errno::ENOSYS, Errno::EACCES, Errno::EAFNOSUPPORT].contains(&e) => Err(word(e)),
        // The kernel looked at the arguments, which are wrong on purpose.
        Err(_) => Ok(()),
    }
}

fn word(error: Errno) -> String {
    format!("{error:?}")
}

fn os(error: std::io::Error) -> String {
    word(Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}
