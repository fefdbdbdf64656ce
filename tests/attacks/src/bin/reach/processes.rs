//! This process's own walls, its environment, and processes of the host.

use std::fs;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::{Check, Facts, Result, os, word};

pub(crate) const CHECKS: &[Check] = &[
    ("capabilities that could be gained", |_| status("CapBnd", |value| value.trim_start_matches('0').is_empty())),
    ("gaining privilege by execve", |_| status("NoNewPrivs", |value| value == "1")),
    ("no filter of system calls", |_| status("Seccomp", |value| value == "2")),
    ("capabilities with uid 0", |_| {
        let bits = rustix::thread::capabilities_secure_bits().map_or(0, |bits| bits.bits());
        if bits == 0 { Ok(()) } else { Err(format!("{bits:#x}")) }
    }),
    ("a setuid program", setuid),
    ("AWS_SECRET_ACCESS_KEY", |_| variable("AWS_SECRET_ACCESS_KEY")),
    ("LD_LIBRARY_PATH", |_| variable("LD_LIBRARY_PATH")),
    ("SSH_AUTH_SOCK", |_| variable("SSH_AUTH_SOCK")),
    ("GITHUB_TOKEN", |_| variable("GITHUB_TOKEN")),
    ("signal a process of the host", |f| kill(pid(f), None).map_err(word)),
    ("see a process of the host", |f| look(f, "cmdline")),
    ("its environment", |f| look(f, "environ")),
    ("its root", |f| fs::read_link(format!("/proc/{}/root", f.get("pid"))).map(drop).map_err(os)),
    ("read /proc/1/environ", |_| read("/proc/1/environ")),
    ("write a setting of the kernel", |_| {
        fs::OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").map(drop).map_err(os)
    }),
];

fn pid(facts: &Facts) -> Pid {
    Pid::from_raw(facts.get("pid").parse().unwrap_or_else(|e| panic!("pid: {e}")))
}

/// By its command line, since another process may have the number inside.
fn look(facts: &Facts, file: &str) -> Result {
    let at = format!("/proc/{}", facts.get("pid"));
    let command = fs::read(format!("{at}/cmdline")).map_err(os)?;
    match command.starts_with(b"agent-aws-bystander") {
        true => read(&format!("{at}/{file}")),
        false => Err("another".into()),
    }
}

fn read(path: &str) -> Result {
    match fs::read(path).map_err(os)?.is_empty() {
        true => Err("nothing".into()),
        false => Ok(()),
    }
}

fn status(name: &str, held: fn(&str) -> bool) -> Result {
    let text = fs::read_to_string("/proc/self/status").map_err(os)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim();
    if held(value) { Err("held".into()) } else { Ok(()) }
}

fn variable(name: &str) -> Result {
    std::env::var_os(name).map(drop).ok_or_else(|| "unset".into())
}

fn setuid(facts: &Facts) -> Result {
    let output = std::process::Command::new(facts.get("setuid")).arg("-u").output().map_err(os)?;
    match output.stdout.starts_with(b"0\n") {
        true => Ok(()),
        false => Err("no gain".into()),
    }
}
