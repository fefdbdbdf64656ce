//! Taking over what another tool has configured: identities of the caller's own are made of it. Keys and tokens of that tool
//! are neither kept, copied nor printed, nothing that narrows is lost silently, and nothing is written unless all of it is right.

pub(crate) mod aws;
pub(crate) mod elhaz;
mod first;
mod outline;
pub(crate) mod sections;
pub(crate) mod text;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{File, Saved, change, is_name};
use crate::args::{Import, Tool};
use crate::environment::Lookup;
use crate::failure::Failure;
use crate::{region, say};
use sections::Profiles;

/// What the other tool has by a name.
#[derive(Debug)]
struct Found {
    name: String,
    /// The file that says it.
    origin: PathBuf,
    becomes: Result<Saved, Lost>,
    /// Settings that are not carried over: which, and what does instead.
    left: Vec<(String, String)>,
}

/// Why it cannot be carried over, and what to do instead.
#[derive(Debug, PartialEq, Eq)]
struct Lost {
    why: String,
    instead: String,
}

/// All that the other tool has.
#[derive(Debug)]
struct Foreign {
    found: Vec<Found>,
    default: Option<String>,
}

/// What becomes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    New,
    Replaces,
    Same,
    Differs,
}

/// Reads, decides, writes, and says what came of it.
pub(crate) fn perform(what: &Import) -> Result<(), Failure> {
    let foreign = foreign(what, &|name: &OsStr| std::env::var_os(name))?;
    let path = super::path()?;
    let here = super::parse(&path, &super::read(&path)?)?;
    let foreign = checked(foreign)?;
    let default = new_default(&foreign, &here, what.replace);
    let chosen: Vec<(&str, &Saved)> = foreign.found.iter().filter_map(|found| chosen(found, &here, what)).collect();
    let changes = !chosen.is_empty() || default.is_some();
    let text = change::with(&path, &chosen, default)?;
    if changes && !what.dry_run {
        change::replace(&path, &text)?;
    }
    say::out(&report(&foreign, &here, what, default))?;
    match (changes, what.dry_run) {
        (true, false) => say::line("saved: agent-aws run --as NAME -- CMD"),
        (true, true) => say::line("nothing was written: --dry-run"),
        (false, _) => say::line("nothing was changed"),
    }
    let of_use = foreign.found.iter().any(|found| found.becomes.is_ok());
    if of_use { Ok(()) } else { Err(nothing(foreign.found.is_empty())) }
}

fn nothing(empty: bool) -> Failure {
    let (text, advice) = match empty {
        true => ("nothing is configured there", "agent-aws config add NAME --profile AWS-PROFILE"),
        false => ("nothing of it can be carried over", "each line above says what to do instead"),
    };
    Failure::Other(text.into(), Some(advice.into()))
}

/// What the other tool has, which may be nothing, but must be there.
fn foreign(what: &Import, lookup: Lookup<'_>) -> Result<Foreign, Failure> {
    let mut files = region::files(lookup).into_iter();
    let (settings, keys) = (files.next(), files.next());
    let nowhere = || Failure::Other("there is no place to look".into(), Some("set HOME, or say --file PATH".into()));
    let place = |usual: Option<PathBuf>| what.file.clone().or(usual).ok_or_else(nowhere);
    let at_home = |usual: &str| place(lookup(OsStr::new("HOME")).map(|home| Path::new(&home).join(usual)));
    let own = || Ok::<_, Failure>(settings.as_deref().map(profiles).transpose()?.flatten().unwrap_or_default());
    match what.tool {
        Tool::Elhaz => elhaz::read(&at_home(".elhaz/configs")?, &own()?),
        Tool::AgentAws => first::read(&at_home(".agent-aws/config.json")?, &own()?),
        Tool::Aws => {
            let path = place(settings)?;
            let profiles = profiles(&path)?.ok_or_else(|| missing(&path))?;
            Ok(aws::found(&path, &profiles, &keys.as_deref().map_or(Ok(Vec::new()), names)?))
        }
    }
}

fn profiles(path: &Path) -> Result<Option<Profiles>, Failure> {
    text::read(path)?.map(|text| sections::profiles(path, &text)).transpose()
}

/// The AWS profiles that have keys: of that file no line but the headers is looked at.
fn names(path: &Path) -> Result<Vec<String>, Failure> {
    let text = text::read(path)?.unwrap_or_default();
    Ok(text.lines().filter_map(sections::header).map(str::to_owned).collect())
}

/// The place where the tool keeps it is not there.
fn missing(path: &Path) -> Failure {
    let text = format!("{}: there is no such file", path.display());
    Failure::Other(text, Some("nothing was written: --file PATH names another one".into()))
}

/// Each held against what a saved identity may be. A name that is none here is told; anything else is an error of the file.
fn checked(mut foreign: Foreign) -> Result<Foreign, Failure> {
    for found in &mut foreign.found {
        let Ok(saved) = &found.becomes else { continue };
        if !is_name(&found.name) {
            let from = saved.profile.as_deref().unwrap_or_default();
            found.becomes = Err(Lost {
                why: "a name here has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit".into(),
                instead: format!("agent-aws config add ANOTHER-NAME --profile {from}"),
            });
        } else if let Err(what) = saved.check(&found.name) {
            return Err(text::wrong(&found.origin, None, &format!("{}: {what}", found.name)));
        }
    }
    Ok(foreign)
}

fn fate(name: &str, saved: &Saved, here: &File, replace: bool) -> Fate {
    match here.identity.get(name).map(|known| known.get_ref() == saved) {
        None => Fate::New,
        Some(true) => Fate::Same,
        Some(false) if replace => Fate::Replaces,
        Some(false) => Fate::Differs,
    }
}

/// What is to be written.
fn chosen<'a>(found: &'a Found, here: &File, what: &Import) -> Option<(&'a str, &'a Saved)> {
    let saved = found.becomes.as_ref().ok()?;
    let written = matches!(fate(&found.name, saved, here, what.replace), Fate::New | Fate::Replaces);
    written.then_some((found.name.as_str(), saved))
}

/// The other tool's default, if it is carried over and the caller has none.
fn new_default<'a>(foreign: &'a Foreign, here: &File, replace: bool) -> Option<&'a str> {
    let name = foreign.default.as_deref().filter(|_| here.default.is_none())?;
    let found = foreign.found.iter().find(|found| found.name == name)?;
    let saved = found.becomes.as_ref().ok()?;
    (fate(name, saved, here, replace) != Fate::Differs).then_some(name)
}

/// Line by line, what came of each and what stays behind.
fn report(foreign: &Foreign, here: &File, what: &Import, default: Option<&str>) -> String {
    let mut lines = String::new();
    for found in &foreign.found {
        let name = say::escaped(&found.name);
        let saved = match &found.becomes {
            Ok(saved) => saved,
            Err(Lost { why, instead }) => {
                let _ = writeln!(lines, "{name}: not carried over: {}\n  {}", say::escaped(why), say::escaped(instead));
                continue;
            }
        };
        let came = match fate(&found.name, saved, here, what.replace) {
            Fate::New if what.dry_run => "would be saved",
            Fate::New => "saved",
            Fate::Replaces if what.dry_run => "would replace yours",
            Fate::Replaces => "replaces yours",
            Fate::Same => "is there already",
            Fate::Differs => "another one of this name is yours and stays (--replace takes this one)",
        };
        let parts = [saved.profile.iter().map(|p| format!("AWS profile {p}")).collect(), saved.less()];
        let parts: Vec<String> = parts.into_iter().filter(|part: &String| !part.is_empty()).collect();
        let _ = writeln!(lines, "{name}: {came}: {}", say::escaped(&parts.join(", ")));
        for (key, instead) in &found.left {
            let _ = writeln!(lines, "  {} stays behind; instead: {}", say::escaped(key), say::escaped(instead));
        }
    }
    match (default, &foreign.default) {
        (Some(name), _) => _ = writeln!(lines, "default: {}", say::escaped(name)),
        (None, Some(name)) if here.default.as_ref().is_none_or(|own| own.get_ref() != name) => {
            let _ = writeln!(lines, "default: not carried over\n  agent-aws config default {}", say::escaped(name));
        }
        _ => {}
    }
    lines
}

#[cfg(test)]
mod tests;
