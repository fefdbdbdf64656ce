//! The caller's own configuration: `agent-aws/config.toml` under `$XDG_CONFIG_HOME` or `~/.config`. It only chooses
//! among what policy grants, and narrows that.

pub(crate) mod change;
pub(crate) mod import;
mod saved;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;

pub(crate) use saved::{Saved, is_name};

/// What the file may say. Unknown keys are errors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Option<Spanned<String>>,
    #[serde(default)]
    identity: BTreeMap<String, Spanned<Saved>>,
}

/// The caller's configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Identity that is used when none is given; `own:NAME` is an AWS profile.
    pub(crate) default: Option<String>,
    /// Identities of the caller's own: others that are less, by a name.
    pub(crate) identities: BTreeMap<String, Saved>,
}

/// Where the file is, given the two variables that tell.
fn path_from(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |v: OsString| Some(PathBuf::from(v)).filter(|p| p.is_absolute());
    xdg.and_then(absolute)
        .or_else(|| home.and_then(absolute).map(|home| home.join(".config")))
        .map(|config| config.join("agent-aws/config.toml"))
}

/// Where the file is.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    path_from(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME"))
        .ok_or_else(|| Failure::Other("there is no place for a configuration".into(), Some("set HOME".into())))
}

/// Line and column, from 1, of the byte `at`.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Reads `text` as the file `path`, which errors name.
fn parse(path: &Path, text: &str) -> Result<File, Failure> {
    let wrong = |at: usize, what: &str| {
        let (line, column) = position(text, at);
        Failure::Config(format!("{}:{line}:{column}: {what}", path.display()))
    };
    let file: File = toml::from_str(text).map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message()))?;
    for (name, saved) in &file.identity {
        let what = saved.get_ref().check(name);
        what.map_err(|what| wrong(saved.span().start, &format!("[identity.{}]: {what}", name.escape_debug())))?;
    }
    Ok(file)
}

/// No identity of the caller's own is called so.
pub(crate) fn unknown(name: &str) -> Failure {
    let text = format!("there is no identity `{}` of yours", name.escape_debug());
    Failure::Other(text, Some("agent-aws config list shows them".into()))
}

fn read(path: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|e| Failure::Path(path.into(), e)),
    }
}

impl Config {
    /// Reads it; no file is an empty one.
    pub(crate) fn load() -> Result<Self, Failure> {
        let Some(path) = path_from(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME")) else {
            return Ok(Self::default());
        };
        let file = parse(&path, &read(&path)?)?;
        let identities = file.identity.into_iter().map(|(name, saved)| (name, saved.into_inner())).collect();
        Ok(Self { default: file.default.map(Spanned::into_inner), identities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "/c/config.toml";

    fn error(text: &str) -> String {
        parse(Path::new(AT), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_an_error_with_file_line_and_column() {
        let said = error("# mine\ndefault = \"a\"\n  defualt = 1\n");
        assert!(said.starts_with("/c/config.toml:3:3: unknown field `defualt`"), "{said}");
        assert!(error("default = 1\n").starts_with("/c/config.toml:1:11: "));
        assert!(error("default = \n").starts_with("/c/config.toml:1:"));
    }

    #[test]
    fn an_identity_that_makes_no_sense_is_an_error_at_its_place() {
        let said = error("default = \"a\"\n[identity.a]\naccess = \"read\"\n");
        assert!(said.starts_with("/c/config.toml:2:") && said.contains("[identity.a]: "), "{said}");
        for (entry, word) in [
            ("profile = \"p\"\nas = \"b\"", "one of"),
            ("profile = \"p\"\naccess = \"all\"", "access"),
            ("profile = \"p\"\ndeny-actions = [\"s3\"]", "deny-actions"),
            ("profile = \"p\"\nnetwork = \"host\"", "network"),
            ("profile = \"p\"\nregion = \"$(id)\"", "region"),
            ("profile = \"\"", "one of"),
        ] {
            let said = error(&format!("[identity.a]\n{entry}\n"));
            assert!(said.contains(word), "{entry}: {said}");
        }
        assert!(error("[identity.\"own:x\"]\nprofile = \"p\"\n").contains("name"));
    }

    #[test]
    fn a_relative_place_is_no_place() {
        let at = |x: Option<&str>, h: Option<&str>| path_from(x.map(Into::into), h.map(Into::into));
        assert_eq!(at(Some("rel"), Some("/h")), Some("/h/.config/agent-aws/config.toml".into()));
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/agent-aws/config.toml".into()));
        assert_eq!(at(None, None), None);
    }
}
