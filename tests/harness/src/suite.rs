//! A table of test functions, run once for each mode, each in a process and, as root, a world of its own.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use nix::unistd::Uid;

use crate::machine::Mode;
use crate::stage::Stage;
use crate::world::{Again, End, Entered, enter};

/// No trial takes longer unless it says so.
const LIMIT: Duration = Duration::from_secs(120);
/// Label of a world that is only made, to see whether it can be.
const TRY: &str = "try";

/// A [`Case`] named as its function.
#[macro_export]
macro_rules! case {
    ($test:ident) => {
        $crate::Case::new(stringify!($test), $test)
    };
}

/// One test function and where it makes sense.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    name: &'static str,
    test: fn(Mode),
    modes: &'static [Mode],
    needs_root: bool,
    limit: Duration,
    ignored: Option<&'static str>,
}

impl Case {
    /// In both modes. The name reads as a claim.
    pub const fn new(name: &'static str, test: fn(Mode)) -> Self {
        Self { name, test, modes: &[Mode::Setuid, Mode::Unprivileged], needs_root: false, limit: LIMIT, ignored: None }
    }

    /// Only with the setuid bit.
    #[must_use]
    pub const fn setuid(self) -> Self {
        Self { modes: &[Mode::Setuid], ..self }
    }

    /// Only without the setuid bit.
    #[must_use]
    pub const fn unprivileged(self) -> Self {
        Self { modes: &[Mode::Unprivileged], ..self }
    }

    /// Needs a private world: other users, policy, or something broken.
    #[must_use]
    pub const fn private(self) -> Self {
        Self { needs_root: true, ..self }
    }

    /// May take so long.
    #[must_use]
    pub const fn limit(self, seconds: u64) -> Self {
        Self { limit: Duration::from_secs(seconds), ..self }
    }

    /// Is not run; the reason is printed.
    #[must_use]
    pub const fn ignored(self, reason: &'static str) -> Self {
        Self { ignored: Some(reason), ..self }
    }

    fn label(&self, mode: Mode) -> String {
        format!("{}::{mode}", self.name)
    }

    /// Why it cannot be run here.
    fn obstacle(&self, mode: Mode, machine: &Able) -> Option<String> {
        if let Some(reason) = self.ignored {
            return Some(reason.into());
        }
        if !Uid::effective().is_root() && (mode == Mode::Setuid || self.needs_root) {
            return Some("root is needed, for a private world with other users and a setuid program".into());
        }
        let namespaces = machine.no_user_namespace.as_ref().filter(|_| mode == Mode::Unprivileged);
        machine.no_stage.as_ref().or(machine.no_world.as_ref()).or(namespaces).cloned()
    }
}

/// What this machine is not able to give.
struct Able {
    no_stage: Option<String>,
    no_world: Option<String>,
    no_user_namespace: Option<String>,
}

impl Able {
    /// Tries. In CI nothing is left out because a try fails: there it would hide a failure.
    fn look(again: &Again) -> Self {
        let no_stage = Stage::find().err();
        if std::env::var_os("CI").is_some() || no_stage.is_some() {
            return Self { no_stage, no_world: None, no_user_namespace: None };
        }
        let tried = Command::new("unshare").args(["--user", "true"]).stderr(Stdio::null()).status();
        let no_user_namespace = match tried {
            Ok(status) if status.success() => None,
            _ => Some("unprivileged user namespaces are switched off here".into()),
        };
        let no_world = outside(again, TRY, LIMIT).err().map(|said| said.trim().replace('\n', "; "));
        Self { no_stage, no_world, no_user_namespace }
    }
}

/// The `main` of a test program.
pub fn suite(cases: &'static [Case]) -> ExitCode {
    let again = match enter() {
        Entered::Inside(label) if label == TRY => return ExitCode::SUCCESS,
        Entered::Inside(label) => return inside(cases, &label),
        Entered::Outside(again) => Arc::new(again),
    };
    let arguments = Arguments::from_args();
    let _homes = crate::homes::Homes::watch();
    let able = Able::look(&again);
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut trials = Vec::new();
    for case in cases {
        for &mode in case.modes {
            let obstacle = case.obstacle(mode, &able);
            let again = Arc::clone(&again);
            let run = move || outside(&again, &case.label(mode), case.limit).map_err(Failed::from);
            let trial = Trial::test(case.label(mode), run);
            trials.push(trial.with_ignored_flag(obstacle.is_some()));
            if let Some(why) = obstacle {
                reasons.entry(why).or_default().push(case.label(mode));
            }
        }
    }
    for (why, names) in reasons.iter().filter(|_| !arguments.list) {
        println!("ignored: {why}: {}", names.join(", "));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What a trial that passed says in a line that begins so is printed: how often something was tried, and the like.
const NOTE: &str = "note: ";

/// Runs the trial in a process of its own; what it said is the failure's text.
fn outside(again: &Again, label: &str, limit: Duration) -> Result<(), String> {
    let mut said = tempfile::tempfile().map_err(|e| e.to_string())?;
    let copy = || said.try_clone().map_err(|e| e.to_string());
    let mut command = again.command(label);
    command.stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
    let end = again.run(&mut command, limit);
    let mut text = Vec::new();
    said.rewind().and_then(|()| said.read_to_end(&mut text)).map_err(|e| e.to_string())?;
    if end == End::Status(0) {
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(|line| line.strip_prefix(NOTE)).for_each(|note| println!("{label}: {note}"));
        return Ok(());
    }
    let how = match end {
        End::TooLong => format!("not within {} s", limit.as_secs()),
        End::Status(1) => String::new(),
        End::Status(status) => format!("status {status}"),
    };
    Err(format!("{}{how}", String::from_utf8_lossy(&text)))
}

fn inside(cases: &[Case], label: &str) -> ExitCode {
    for case in cases {
        for &mode in case.modes {
            if case.label(mode) == label {
                let ran = catch_unwind(AssertUnwindSafe(|| (case.test)(mode)));
                return ExitCode::from(u8::from(ran.is_err()));
            }
        }
    }
    eprintln!("there is no test {label}");
    ExitCode::FAILURE
}
