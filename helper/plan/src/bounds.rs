//! What may be a project, writable or shown: everything that can be said of a path without looking at it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::intent::{Access, Intent, Origin, Plan, SourceId, Text, What};
use crate::tables::{self, Row};

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

/// Why a path may never be writable, whoever asks.
pub(crate) fn never_writable(path: &Path) -> Option<&'static str> {
    let itself = tables::NEVER_WRITABLE.find(path.as_os_str().as_encoded_bytes());
    let around = || tables::NEVER_INSIDE.rows().find(|row| path.starts_with(row.path));
    itself.or_else(around).map(|row| row.reason)
}

impl Plan {
    /// Everything about a writable path that can be said without looking at it. It is applied to the path as asked and,
    /// by whoever opened it, to the path that the kernel says it is.
    pub(crate) fn check_writable(&self, what: &Text, path: &Path) -> Result<(), PlanError> {
        plain(what, path)?;
        if let Some(reason) = never_writable(path) {
            return Err(PlanError::Never(what.clone(), path.into(), reason));
        }
        self.check_hidden(what, path)?;
        if !self.grant.rw_paths.iter().any(|bound| path.starts_with(bound)) {
            let bounds: Vec<String> = self.grant.rw_paths.iter().map(|p| p.display().to_string()).collect();
            return Err(PlanError::OutOfBounds(what.clone(), path.into(), bounds.join(", ")));
        }
        Ok(())
    }

    /// As [`Plan::check_writable`], for a path that is only shown.
    pub(crate) fn check_readable(&self, what: &Text, path: &Path) -> Result<(), PlanError> {
        plain(what, path)?;
        let replaced = ["/", "/sys", "/tmp", "/var"];
        let inside = ["/proc", "/dev", "/run", "/etc/agent-aws", "/var/log/agent-aws"];
        if replaced.iter().any(|p| path == Path::new(p)) || inside.iter().any(|p| path.starts_with(p)) {
            return Err(PlanError::Never(what.clone(), path.into(), "the sandbox has its own, or hides it"));
        }
        self.check_hidden(what, path)
    }

    fn check_hidden(&self, what: &Text, path: &Path) -> Result<(), PlanError> {
        if self.caller.home.starts_with(path) {
            return Err(PlanError::Home(what.clone(), path.into()));
        }
        if self.grant.hide.iter().any(|hidden| path.starts_with(hidden)) {
            return Err(PlanError::Never(what.clone(), path.into(), "policy hides it"));
        }
        let Ok(below) = path.strip_prefix(&self.caller.home) else { return Ok(()) };
        let meets = |row: &Row| Path::new(row.path).starts_with(below) || below.starts_with(row.path);
        match tables::SECRET_STORES.rows().find(meets) {
            Some(row) => Err(PlanError::Secret(what.clone(), path.into(), self.caller.home.join(row.path))),
            None => Ok(()),
        }
    }

    /// Holds what the kernel says a source is (`real`) against the same bounds as the path that was asked for: a
    /// symbolic link must not lead out of them.
    pub fn check_real(&self, id: SourceId, real: &Path) -> Result<(), PlanError> {
        let here = |i: &&Intent| matches!(i.what, What::Bind(s) if s == id);
        match self.intents.iter().find(here).map(|i| (&i.origin, i.access)) {
            Some((Origin::Project, _)) => self.check_writable(&"the project".into(), real),
            Some((Origin::Repository, _)) => self.check_writable(&REPOSITORY, real),
            Some((Origin::Caller(option), Access::Write)) => self.check_writable(option, real),
            Some((Origin::Caller(option) | Origin::Tool(option), _)) => self.check_readable(option, real),
            _ => Ok(()),
        }
    }
}

/// What messages call it.
pub(crate) const REPOSITORY: Text = Text::Borrowed("the repository of this worktree");
