//! What may be a project, writable or shown: everything that can be said of a path without looking at it.

use std::fmt;
use std::path::{Component, Path};

use crate::intent::{Access, Intent, Origin, Plan, SourceId, What};
use crate::tables::{self, Row};

/// Why there is no plan, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanError(pub(crate) String);

impl PlanError {
    /// What is wrong with a path.
    pub(crate) fn of(what: &str, path: &Path, why: impl fmt::Display) -> Self {
        Self(format!("{what} `{}` {why}", shown(path)))
    }

    /// It may never be writable, shown or a project.
    pub(crate) fn never(what: &str, path: &Path, why: &str) -> Self {
        Self::of(what, path, format_args!("is refused: {why}"))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

pub(crate) fn plain(what: &str, path: &Path) -> Result<(), PlanError> {
    let parts = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.is_absolute() || !parts || bytes.contains(&0) || bytes.len() > 4000 {
        return Err(PlanError::of(what, path, "is no absolute path without `.` and `..`"));
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
    pub(crate) fn check_writable(&self, what: &str, path: &Path) -> Result<(), PlanError> {
        plain(what, path)?;
        if let Some(reason) = never_writable(path) {
            return Err(PlanError::never(what, path, reason));
        }
        self.check_hidden(what, path)?;
        if !self.grant.rw_paths.iter().any(|bound| path.starts_with(bound)) {
            let bounds: Vec<String> = self.grant.rw_paths.iter().map(|p| p.display().to_string()).collect();
            let why = format!("is outside what the sandbox lets you write ({})", bounds.join(", "));
            return Err(PlanError::of(what, path, why));
        }
        Ok(())
    }

    /// As [`Plan::check_writable`], for a path that is only shown.
    pub(crate) fn check_readable(&self, what: &str, path: &Path) -> Result<(), PlanError> {
        plain(what, path)?;
        let replaced = ["/", "/sys", "/tmp", "/var"];
        let inside = ["/proc", "/dev", "/run", "/etc/agent-aws", "/var/log/agent-aws"];
        if replaced.iter().any(|p| path == Path::new(p)) || inside.iter().any(|p| path.starts_with(p)) {
            return Err(PlanError::never(what, path, "the sandbox has its own, or hides it"));
        }
        self.check_hidden(what, path)
    }

    fn check_hidden(&self, what: &str, path: &Path) -> Result<(), PlanError> {
        if self.caller.home.starts_with(path) {
            return Err(PlanError::of(what, path, "is or has a home directory: choose one inside it"));
        }
        if self.grant.hide.iter().any(|hidden| path.starts_with(hidden)) {
            return Err(PlanError::never(what, path, "policy hides it"));
        }
        let Ok(below) = path.strip_prefix(&self.caller.home) else { return Ok(()) };
        let meets = |row: &Row| Path::new(row.path).starts_with(below) || below.starts_with(row.path);
        match tables::SECRET_STORES.rows().find(meets) {
            Some(row) => {
                let store = shown(&self.caller.home.join(row.path));
                let why = format!("is, contains or lies inside the secret store `{store}`");
                Err(PlanError::of(what, path, why))
            }
            None => Ok(()),
        }
    }

    /// Holds what the kernel says a source is (`real`) against the same bounds as the path that was asked for: a
    /// symbolic link must not lead out of them.
    pub fn check_real(&self, id: SourceId, real: &Path) -> Result<(), PlanError> {
        let here = |i: &&Intent| matches!(i.what, What::Bind(s) if s == id);
        match self.intents.iter().find(here).map(|i| (&i.origin, i.access)) {
            Some((Origin::Project, _)) => self.check_writable("the project", real),
            Some((Origin::Repository, _)) => self.check_writable(REPOSITORY, real),
            Some((Origin::Caller(option), Access::Write)) => self.check_writable(option, real),
            Some((Origin::Caller(option) | Origin::Tool(option), _)) => self.check_readable(option, real),
            _ => Ok(()),
        }
    }
}

/// What messages call it.
pub(crate) const REPOSITORY: &str = "the repository of this worktree";
