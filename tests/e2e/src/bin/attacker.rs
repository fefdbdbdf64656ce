//! What a hostile process of the caller's tries against other processes. Prints `NAME RESULT` line by line; a result is
//! `ok` or the name of the error. Tests run it against a process of ours, and against one of the caller's own.

use std::fs;
use std::io::{self, IoSliceMut, Write};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, Uid};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, Resource, pidfd_getfd, pidfd_open};

type Tried = Result<(), nix::errno::Errno>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["look", pid] => look(number(pid)),
        ["interfere", pid, how @ ..] => how.iter().for_each(|how| say(how, interfere(number(pid), how))),
        ["hunt", seconds] => hunt(Duration::from_secs(u64::try_from(number(seconds)).unwrap_or(1))),
        ["securebits"] => securebits(),
        ["regain"] => regain(),
        _ => std::process::exit(2),
    }
}

fn number(word: &str) -> i32 {
    word.parse().unwrap_or(-1)
}

fn say(name: &str, tried: Tried) {
    let result = tried.map_or_else(|e| format!("{e:?}"), |()| "ok".into());
    let _ = writeln!(io::stdout(), "{name} {result}");
}

fn os(error: &io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// Everything that reads another process.
fn look(pid: i32) {
    for file in ["mem", "environ", "maps", "auxv", "pagemap", "syscall", "io"] {
        let read = fs::File::open(format!("/proc/{pid}/{file}")).map_err(|e| os(&e));
        say(file, read.and_then(|mut f| first_byte(file, &mut f)));
    }
    for link in ["root", "cwd", "exe", "ns/mnt", "ns/net"] {
        say(link, fs::read_link(format!("/proc/{pid}/{link}")).map(drop).map_err(|e| os(&e)));
    }
    for list in ["fd", "map_files", "root/", "cwd/"] {
        say(list, fs::read_dir(format!("/proc/{pid}/{list}")).map(drop).map_err(|e| os(&e)));
    }
    say("process_vm_readv", read_memory(pid));
    say("pidfd_getfd", take_descriptor(pid, 0));
    say("ptrace", ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()));
}

/// Opening may be allowed where reading is not. At offset 0 of `mem` nothing is mapped: opening is what counts.
fn first_byte(name: &str, file: &mut fs::File) -> Tried {
    use std::io::Read;
    match name {
        "mem" => Ok(()),
        _ => file.read(&mut [0; 8]).map(drop).map_err(|e| os(&e)),
    }
}

/// Reads at the first address that is mapped, or where nothing is: permission is checked before the address.
fn read_memory(pid: i32) -> Tried {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let first = maps.split('-').next().and_then(|a| usize::from_str_radix(a, 16).ok());
    let mut bytes = [0; 8];
    let remote = RemoteIoVec { base: first.unwrap_or(0x10000), len: bytes.len() };
    process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(&mut bytes)], &[remote]).map(drop)
}

fn take_descriptor(pid: i32, descriptor: i32) -> Tried {
    let errno = |e: rustix::io::Errno| nix::errno::Errno::from_raw(e.raw_os_error());
    let pid = rustix::process::Pid::from_raw(pid).ok_or(nix::errno::Errno::ESRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(errno)?;
    pidfd_getfd(&pidfd, descriptor, PidfdGetfdFlags::empty()).map(drop).map_err(errno)
}

/// One way of meddling with another process: a limit, its priority, its place in line for the OOM killer, a signal.
fn interfere(pid: i32, how: &str) -> Tried {
    let errno = |e: rustix::io::Errno| nix::errno::Errno::from_raw(e.raw_os_error());
    let target = rustix::process::Pid::from_raw(pid);
    match how {
        "prlimit" => {
            let limit = rustix::process::getrlimit(Resource::Nofile);
            rustix::process::prlimit(target, Resource::Nofile, limit).map(drop).map_err(errno)
        }
        "priority" => rustix::process::setpriority_process(target, 19).map_err(errno),
        "oom_score_adj" => fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").map_err(|e| os(&e)),
        signal => kill(Pid::from_raw(pid), signal.parse::<Signal>()?),
    }
}

/// Tries for so long to get hold of every process of ours at every moment that it can be met in. What may be stopped is
/// stopped meanwhile, to make the window wider.
fn hunt(time: Duration) {
    let end = Instant::now() + time;
    let mut tries = 0u32;
    while Instant::now() < end {
        for pid in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = pid.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if !command.starts_with(b"agent-aws-") {
                continue;
            }
            let name = String::from_utf8_lossy(command.split(|b| *b == 0).next().unwrap_or_default()).into_owned();
            tries += u32::from(name != "agent-aws-decoy");
            seize_upon(pid, &name);
        }
    }
    let _ = writeln!(io::stdout(), "tries {tries}");
}

fn seize_upon(pid: i32, name: &str) {
    // What became another program meanwhile, as the agent does, is not ours any more.
    let still = || fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.starts_with(name.as_bytes()));
    let caught = |how: &str| drop(still().then(|| writeln!(io::stdout(), "caught {name} {how}")));
    let stopped = kill(Pid::from_raw(pid), Signal::SIGSTOP).is_ok();
    if fs::File::open(format!("/proc/{pid}/mem")).is_ok() {
        caught("mem");
    }
    if take_descriptor(pid, 3).is_ok() {
        caught("pidfd_getfd");
    }
    if ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()).is_ok() {
        caught("ptrace");
    }
    if stopped {
        let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
    }
}

/// Only reads: a test that makes system calls fail must find none here that it counts as ours.
fn securebits() {
    let bits = rustix::thread::capabilities_secure_bits().map_or(-1, |bits| i64::from(bits.bits()));
    let _ = writeln!(io::stdout(), "securebits {bits:#x}");
}

/// Ways back to privilege, tried by this process on itself.
fn regain() {
    let errno = |e: rustix::io::Errno| nix::errno::Errno::from_raw(e.raw_os_error());
    securebits();
    let keeps = rustix::thread::get_keep_capabilities().unwrap_or(true);
    let _ = writeln!(io::stdout(), "keeps {keeps}");
    say("keepcaps", rustix::thread::set_keep_capabilities(true).map_err(errno));
    let none = rustix::thread::CapabilitiesSecureBits::empty();
    say("unlock", rustix::thread::set_capabilities_secure_bits(none).map_err(errno));
    say("setuid", nix::unistd::setuid(Uid::from_raw(0)));
    say("setgid", nix::unistd::setgid(nix::unistd::Gid::from_raw(0)));
    say("setgroups", nix::unistd::setgroups(&[]));
}
