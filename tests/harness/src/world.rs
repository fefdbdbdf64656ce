//! Entering a private world: this very program is started again, first outside, then as pid 1, then inside.
//!
//! A process cannot move itself into a new pid namespace, and pid 1 is no ordinary process: it must reap what others
//! leave. So three steps, told apart by one variable.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid};

use crate::mounts;
use crate::stage::Stage;

/// `outside`, `first` or `inside`, a colon, and what the caller of [`enter`] wants to know inside.
const VARIABLE: &str = "AGENT_AWS_WORLD";
/// Exit status of a world that could not be made.
const BROKEN: i32 = 70;

/// Where this process is.
#[derive(Debug)]
pub enum Entered {
    /// Not in a world: [`Entered::again`] starts one.
    Outside(Again),
    /// Inside, with the label that was given.
    Inside(String),
}

/// The way in.
#[derive(Debug)]
pub struct Again(());

/// How a world ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Status(i32),
    /// It took longer than it may, and was ended.
    TooLong,
}

/// The first statement of a program that uses worlds. Of the three steps, only the last returns `Inside`.
pub fn enter() -> Entered {
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Entered::Outside(Again(()));
    };
    let value = value.into_string().unwrap_or_default();
    let (step, label) = value.split_once(':').unwrap_or(("", ""));
    match step {
        "outside" => outside(label),
        "first" => first(label),
        _ => {
            // Whoever is left behind becomes our child: that is how an ordinary user's trial finds them.
            if !Uid::effective().is_root()
                && let Err(e) = nix::sys::prctl::set_child_subreaper(true)
            {
                fail(&e.to_string());
            }
            Entered::Inside(label.to_owned())
        }
    }
}

impl Again {
    /// Whether there will be a private world.
    pub fn is_root(&self) -> bool {
        Uid::effective().is_root()
    }

    /// This program again, in a world of its own if we are root; the same arguments and descriptors.
    pub fn command(&self, label: &str) -> Command {
        let step = if self.is_root() { "outside" } else { "inside" };
        let again = ourselves(step, label);
        // A runner in the background ignores SIGINT; a trial must not depend on that.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal").arg(again.get_program()).args(again.get_args());
        command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs it to its end, at most so long.
    pub fn run(&self, command: &mut Command, limit: Duration) -> End {
        use std::os::unix::process::CommandExt;
        let mut child = command.process_group(0).spawn().expect("starting this program again");
        let ended = crate::wait::until(limit, || child.try_wait().expect("waiting for a child"));
        if let Some(status) = ended {
            return End::Status(code(status));
        }
        // As root pid 1 follows us, and everything follows pid 1.
        let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let _ = kill(Pid::from_raw(-group), Signal::SIGKILL);
        let _ = child.wait();
        End::TooLong
    }
}

fn ourselves(step: &str, label: &str) -> Command {
    let program = std::env::current_exe().expect("the path of this program");
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = Command::new(program);
    // A backtrace of the harness tells nothing about the product.
    command.args(arguments).env(VARIABLE, format!("{step}:{label}")).env("RUST_BACKTRACE", "0");
    command
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn fail(what: &str) -> ! {
    eprintln!("no private world: {what}");
    std::process::exit(BROKEN)
}

/// New namespaces; the next child is pid 1 of them.
fn outside(label: &str) -> ! {
    let new = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if let Err(e) = unshare(new) {
        fail(&format!("unshare: {e}"));
    }
    match ourselves("first", label).status() {
        Ok(status) => std::process::exit(code(status)),
        Err(e) => fail(&e.to_string()),
    }
}

/// pid 1: makes the world, starts what is to run in it, reaps, and when that has ended ends everything.
#[allow(clippy::zombie_processes)] // the loop below waits for this child and for all others
fn first(label: &str) -> ! {
    if let Err(e) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        fail(&e.to_string());
    }
    let made = Stage::find().and_then(|stage| mounts::make(&stage));
    if let Err(why) = made {
        fail(&why);
    }
    let child = ourselves("inside", label).spawn().unwrap_or_else(|e| fail(&e.to_string()));
    let ours = i32::try_from(child.id()).unwrap_or_default();
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, status)) if pid.as_raw() == ours => std::process::exit(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == ours => std::process::exit(128 + signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => fail(&e.to_string()),
        }
    }
}
