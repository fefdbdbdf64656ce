//! `home`: the agents' homes, as their owner sees them.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use agent_aws_plan::tables::SYSTEM;
use agent_aws_protocol::{Exit, Request};
use serde_json::json;

use super::start;
use crate::args::{Home as Command, HomeShell, Run, Which};
use crate::failure::Failure;
use crate::home::lock::{InUse, SetUp};
use crate::home::remove;
use crate::home::store::{self, Home};
use crate::{helper, request, say};

/// Where the caller's own shell cannot be had.
const SHELL: &str = "/bin/sh";

/// Does it, and says how to end.
pub(super) fn perform(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::List { json } => list(json)?,
        Command::Path(which) => path(which)?,
        Command::Shell(options) => return shell(options),
        Command::Reset { which, yes } => reset(&which, yes)?,
    }
    Ok(Exit::Code(0))
}

fn list(as_json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for home in store::all(&store::callers_home()?) {
        let state = home.state()?;
        rows.push((home, state));
    }
    if as_json {
        let row = |(home, state): &(Home, store::State)| {
            json!({
                "sandbox": home.sandbox,
                "identity": home.identity,
                "name": home.name,
                "path": home.path.to_string_lossy(),
                "size": state.size,
                "last_use": state.last_use,
                "in_use": state.in_use,
            })
        };
        return say::json(&rows.iter().map(row).collect());
    }
    if rows.is_empty() {
        say::line("no agent has a home yet");
        return Ok(());
    }
    let head = ["SANDBOX", "IDENTITY", "NAME", "SIZE", "LAST USE (UTC)", "IN USE"].map(str::to_owned);
    let row = |(home, state): &(Home, store::State)| {
        let mut cells = [&*home.sandbox, &*home.identity, &*home.name].map(say::escaped).to_vec();
        cells.push(state.size.map_or("large".into(), in_words));
        cells.push(state.last_use.map_or("?".into(), say::date_time));
        cells.push(if state.in_use { "yes" } else { "no" }.into());
        cells
    };
    let rows: Vec<_> = [head.to_vec()].into_iter().chain(rows.iter().map(row)).collect();
    say::out(&say::table(&rows))
}

/// `1.4 GiB`.
fn in_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or(format!("{bytes} B"), |(name, unit)| {
        let tenths = bytes.saturating_mul(10) / unit;
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    })
}

/// Where the home of a run with these options is, whether it exists or not: the helper knows, because policy chooses the
/// sandbox.
fn path(which: Which) -> Result<(), Failure> {
    let run = Run {
        options: crate::args::Options { choice: which.choice, sandbox: which.sandbox, ..Default::default() },
        home: which.home,
        explain: true,
        no_model_identity: true,
        command: vec!["true".into()],
        ..Run::default()
    };
    let mut request = request::build(&run)?;
    request.request.project.clear();
    let plan = helper::plan(Request::Run(Box::new(request.request)), &run.command)?;
    // As it is: a script may change into it.
    let mut line = plan.home.into_os_string();
    line.push("\n");
    use io::Write;
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)
}

fn shell(options: HomeShell) -> Result<Exit, Failure> {
    let run = Run { options: options.options, home: options.home, command: vec![callers_shell()], ..Run::default() };
    // It needs no project: it begins in the home.
    start(&run, |asked| asked.request.project.clear())
}

/// `$SHELL`, if the sandbox shows it.
fn callers_shell() -> OsString {
    let shown = |shell: &PathBuf| {
        let real = shell.canonicalize().unwrap_or_default();
        real.is_file() && SYSTEM.rows().any(|row| real.starts_with(row.path)) && shell.is_absolute()
    };
    let shell = std::env::var_os("SHELL").map(PathBuf::from).filter(shown);
    shell.map_or(SHELL.into(), PathBuf::into_os_string)
}

/// The one home that is meant.
fn chosen(which: &Which) -> Result<Home, Failure> {
    let identity = which.choice.identity.clone().or(which.choice.profile.as_ref().map(|name| format!("own:{name}")));
    let is = |asked: &Option<String>, value: &str| asked.as_deref().is_none_or(|asked| asked == value);
    let meant =
        |home: &Home| is(&which.sandbox, &home.sandbox) && is(&identity, &home.identity) && is(&which.home, &home.name);
    let mut found: Vec<Home> = store::all(&store::callers_home()?).into_iter().filter(meant).collect();
    match (found.len(), found.pop()) {
        (1, Some(home)) => Ok(home),
        (0, _) | (_, None) => {
            Err(Failure::Other("there is no such home".into(), Some("agent-aws home list shows all of them".into())))
        }
        (number, Some(_)) => Err(Failure::Other(
            format!("{number} homes are meant"),
            Some("choose one with --sandbox, --as or --profile, and --home: agent-aws home list shows them".into()),
        )),
    }
}

fn reset(which: &Which, yes: bool) -> Result<(), Failure> {
    let home = chosen(which)?;
    let (around, name) = home.place()?;
    if !yes {
        confirm(&home)?;
    }
    let set_up = SetUp::begin(&around, &name)?;
    let Some(alone) = InUse::alone(&around, &name, &set_up)? else {
        let text = format!("a session uses the home {}", home.path.display());
        return Err(Failure::Other(text, Some("end it first: agent-aws sessions lists it".into())));
    };
    let aside = remove::aside(&around, &name)?;
    // From here on it is nobody's home: who starts now gets a new one.
    drop((alone, set_up));
    let left = aside.into_iter().chain(remove::left_aside(&around));
    for name in left {
        remove::tree(&around, &name).map_err(|e| not_all(&around.path().join(&name), &e))?;
    }
    Ok(())
}

fn not_all(rest: &Path, e: &Failure) -> Failure {
    Failure::Other(
        format!("the home is no agent's any more, but not all of it could be deleted: {e}"),
        Some(format!("what is left is in {}", rest.display())),
    )
}

/// Asks a person; a script has to say that it means it.
fn confirm(home: &Home) -> Result<(), Failure> {
    let what = format!("{} of {} in {}", home.name, home.identity, home.sandbox);
    if !io::stdin().is_terminal() || !say::on_terminal() {
        let text = format!("the home {what} would be deleted");
        return Err(Failure::Other(text, Some("say --yes if that is meant".into())));
    }
    let size = home.state()?.size.map_or("large".into(), in_words);
    say::line(&format!("delete the home {what} ({size})? [y/N]"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(_), "y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::Other("nothing was deleted".into(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_words() {
        for (bytes, words) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_550_000, "1.4 MiB"), (u64::MAX, "1717986918.3 GiB")]
        {
            assert_eq!(in_words(bytes), words);
        }
    }
}
