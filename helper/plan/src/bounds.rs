//! What may be a project, writable or shown: everything that can be said of a path without looking at it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::build::Grant;
use crate::intent::{Access, Caller, Intent, Origin, Plan, SourceId, Text, What};
use crate::tables;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Not absolute, or with `.`, `..` or a NUL in it.
    NotPlain(Text, PathBuf),
    /// May never be writable, shown or a project.
    Never(Text, PathBuf, &'static str),
    /// A home, or a directory that contains the caller's.
    Home(Text, PathBuf),
    /// Equal to, containing or inside a secret store.
    Secret(Text, PathBuf, PathBuf),
    /// Outside `rw-paths` of the sandbox.
    OutOfBounds(Text, PathBuf, String),
    /// The same path is asked for twice.
    Twice(PathBuf),
    /// A row that is not in the table, or that policy does not let be lifted.
    Lift(String, &'static str),
    /// No name of a home.
    HomeName(String),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |p: &PathBuf| p.display().to_string().escape_debug().to_string();
        match self {
            Self::NotPlain(what, p) => write!(f, "{what} `{}` is no absolute path without `.` and `..`", show(p)),
            Self::Never(what, p, why) => write!(f, "{what} `{}` is refused: {why}", show(p)),
            Self::Home(what, p) => write!(f, "{what} `{}` is or has a home directory: choose one inside it", show(p)),
            Self::Secret(what, p, store) => {
                write!(f, "{what} `{}` is, contains or lies inside the secret store `{}`", show(p), show(store))
            }
            Self::OutOfBounds(what, p, bounds) => {
                write!(f, "{what} `{}` is outside what the sandbox lets you write ({bounds})", show(p))
            }
            Self::Twice(p) => write!(f, "`{}` is asked for twice", show(p)),
            Self::Lift(row, why) => write!(f, "--lift {}: {why}", row.escape_debug()),
            Self::HomeName(name) => write!(f, "--home {}: 1 to 64 letters, digits, `.`, `_`, `-`", name.escape_debug()),
        }
    }
}

pub(crate) fn plain(what: &Text, path: &Path) -> Result<(), PlanError> {
    let parts = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.is_absolute() || !parts || bytes.contains(&0) || bytes.len() > 4000 {
        return Err(PlanError::NotPlain(what.clone(), path.into()));
    }
    Ok(())
}

/// Everything about a writable path that can be said without looking at it. It is applied to the path as asked and,
/// by whoever opened it, to the path that the kernel says it is.
pub(crate) fn check_writable(what: &Text, path: &Path, caller: &Caller, g: &Grant) -> Result<(), PlanError> {
    plain(what, path)?;
    if let Some(reason) = never_writable(path) {
        return Err(PlanError::Never(what.clone(), path.into(), reason));
    }
    check_hidden(what, path, caller, g)?;
    if !g.rw_paths.iter().any(|bound| path.starts_with(bound)) {
        let bounds: Vec<String> = g.rw_paths.iter().map(|p| p.display().to_string()).collect();
        return Err(PlanError::OutOfBounds(what.clone(), path.into(), bounds.join(", ")));
    }
    Ok(())
}

/// Why a path may never be writable, whoever asks.
pub(crate) fn never_writable(path: &Path) -> Option<&'static str> {
    let itself = tables::NEVER_WRITABLE.find(path.as_os_str().as_encoded_bytes());
    let around = || tables::NEVER_INSIDE.rows().find(|row| path.starts_with(row.path));
    itself.or_else(around).map(|row| row.reason)
}

/// As [`check_writable`], for a path that is only shown.
pub(crate) fn check_readable(what: &Text, path: &Path, caller: &Caller, g: &Grant) -> Result<(), PlanError> {
    plain(what, path)?;
    let replaced = ["/", "/sys", "/tmp", "/var"];
    let inside = ["/proc", "/dev", "/run", "/etc/agent-aws", "/var/log/agent-aws"];
    if replaced.iter().any(|p| path == Path::new(p)) || inside.iter().any(|p| path.starts_with(p)) {
        return Err(PlanError::Never(what.clone(), path.into(), "the sandbox has its own, or hides it"));
    }
    check_hidden(what, path, caller, g)
}

fn check_hidden(what: &Text, path: &Path, caller: &Caller, g: &Grant) -> Result<(), PlanError> {
    if caller.home.starts_with(path) {
        return Err(PlanError::Home(what.clone(), path.into()));
    }
    if g.hide.iter().any(|hidden| path.starts_with(hidden)) {
        return Err(PlanError::Never(what.clone(), path.into(), "policy hides it"));
    }
    let Ok(below) = path.strip_prefix(&caller.home) else { return Ok(()) };
    for row in tables::SECRET_STORES.rows() {
        if Path::new(row.path).starts_with(below) || below.starts_with(row.path) {
            return Err(PlanError::Secret(what.clone(), path.into(), caller.home.join(row.path)));
        }
    }
    Ok(())
}

impl Plan {
    /// Holds what the kernel says a source is (`real`) against the same bounds as the path that was asked for: a
    /// symbolic link must not lead out of them.
    pub fn check_real(&self, id: SourceId, real: &Path) -> Result<(), PlanError> {
        let here = |i: &&Intent| matches!(i.what, What::Bind(s) if s == id);
        match self.intents.iter().find(here).map(|i| (&i.origin, i.access)) {
            Some((Origin::Project, _)) => check_writable(&"the project".into(), real, &self.caller, &self.grant),
            Some((Origin::Repository, _)) => check_writable(&REPOSITORY, real, &self.caller, &self.grant),
            Some((Origin::Caller(option), Access::Write)) => check_writable(option, real, &self.caller, &self.grant),
            Some((Origin::Caller(option) | Origin::Tool(option), _)) => {
                check_readable(option, real, &self.caller, &self.grant)
            }
            _ => Ok(()),
        }
    }
}

/// What messages call it.
pub(crate) const REPOSITORY: Text = Text::Borrowed("the repository of this worktree");
