//! The caller's own configuration: `agent-aws/config.toml` under `$XDG_CONFIG_HOME` or `~/.config`. It only chooses
//! among what policy grants.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;

/// What the file may say. Unknown keys are errors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    default: Option<Spanned<String>>,
}

/// The caller's configuration.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Identity that is used when none is given; `own:NAME` is an AWS profile.
    pub(crate) default: Option<String>,
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

fn parse(path: &Path, text: &str) -> Result<File, Failure> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = position(text, e.span().map_or(0, |span| span.start));
        Failure::Config(format!("{}:{line}:{column}: {}", path.display(), e.message()))
    })
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
        Ok(Self { default: file.default.map(Spanned::into_inner) })
    }
}

/// `text` with `default = name` in it; everything else, comments too, stays as it is.
fn with_default(path: &Path, text: &str, name: &str) -> Result<String, Failure> {
    let value = toml::Value::String(name.to_owned()).to_string();
    match parse(path, text)?.default.map(|d| d.span()) {
        Some(span) => {
            let mut changed = text.to_owned();
            changed.replace_range(span, &value);
            Ok(changed)
        }
        None => Ok(format!("default = {value}\n{text}")),
    }
}

/// Sets the default in `path`: a reader sees the old file or the new one, never half of one.
pub(crate) fn set_default(path: &Path, name: &str) -> Result<(), Failure> {
    let text = with_default(path, &read(path)?, name)?;
    let failed = |e| Failure::Path(path.into(), e);
    let directory = path.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    // A configuration that is a link into a dotfiles repository stays one.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let new = target.with_extension(format!("toml.{}", std::process::id()));
    let written = write_new(&new, text.as_bytes()).and_then(|()| std::fs::rename(&new, &target));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.map_err(failed)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
    fn a_new_default_leaves_the_rest_of_the_file_alone() {
        let change = |text: &str, name: &str| with_default(Path::new(AT), text, name).unwrap();
        assert_eq!(change("", "incident"), "default = \"incident\"\n");
        assert_eq!(change("# why\ndefault = 'old' # here\n", "own:dev"), "# why\ndefault = \"own:dev\" # here\n");
        let odd = change("", "a\"b\\c\n");
        assert_eq!(parse(Path::new(AT), &odd).unwrap().default.unwrap().into_inner(), "a\"b\\c\n");
    }

    #[test]
    fn the_file_is_for_the_caller_only_and_a_link_to_it_survives() {
        let root = std::env::temp_dir().join(format!("agent-aws-config-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let path = root.join("x/agent-aws/config.toml");
        set_default(&path, "one").unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let link = root.join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        set_default(&link, "two").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "default = \"two\"\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_relative_place_is_no_place() {
        let at = |x: Option<&str>, h: Option<&str>| path_from(x.map(Into::into), h.map(Into::into));
        assert_eq!(at(Some("rel"), Some("/h")), Some("/h/.config/agent-aws/config.toml".into()));
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/agent-aws/config.toml".into()));
        assert_eq!(at(None, None), None);
    }
}
