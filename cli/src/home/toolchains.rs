//! The caller's toolchains, as they come into the agent's home, and the variables that lead to them.

use std::cell::LazyCell;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use agent_aws_plan::tables::{SECRET_STORES, SYSTEM};
use agent_aws_protocol::{Bytes, EnvVar, Showing, Shown};

use crate::environment::Lookup;
use crate::request::Asked;
use crate::table;

/// Paths below the caller's home.
pub(crate) const TOOLCHAINS: &str = include_str!("../../tables/toolchains.tsv");
/// Variables that name such places.
pub(crate) const VARIABLES: &str = include_str!("../../tables/toolchain-variables.tsv");

/// What the sandbox has of its own, or hides, so that nothing of the host's is shown from there.
const REPLACED: [&str; 3] = ["/proc", "/dev", "/run"];

/// Adds them to a run, with the variables that lead to them. What the caller asked for comes first.
pub(crate) fn add(run: &mut Asked, home: &Path, lookup: Lookup<'_>) {
    let request = &mut run.request;
    let path = |bytes: &Bytes| Path::new(OsStr::from_bytes(bytes)).to_owned();
    let asked = [&request.project, &request.repository].into_iter().chain(&request.rw);
    let asked = asked.chain(request.ro.iter().map(|shown| &shown.path)).filter(|path| !path.is_empty());
    let asked: Vec<PathBuf> = asked.map(path).collect();
    let asked: Vec<&Path> = asked.iter().map(PathBuf::as_path).collect();
    let found = shown(home, &asked);
    let all: Vec<&Path> = found.iter().map(PathBuf::as_path).chain(asked).collect();
    let mut variables = variables(lookup, home, &all);
    variables.retain(|variable| run.environment.iter().all(|given| given.name != variable.name));
    run.environment.extend(variables);
    let toolchain = |path: PathBuf| Shown { path: path.into_os_string().into_vec(), why: Showing::Toolchain };
    request.ro.extend(found.into_iter().map(toolchain));
}

/// The toolchains that are there. `taken` is what the caller asked for: nothing in it is put there a second time.
pub(crate) fn shown(home: &Path, taken: &[&Path]) -> Vec<PathBuf> {
    let real_home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    let rows = table::rows(TOOLCHAINS).map(|(below, _)| home.join(below));
    let stores = LazyCell::new(|| secret_stores(&real_home));
    let usable = |path: &PathBuf| {
        // Most are not there: one look is enough for those.
        let found = path.metadata().is_ok_and(|found| found.is_dir() || found.is_file());
        let Some(real) = found.then(|| path.canonicalize().ok()).flatten() else { return false };
        !taken.iter().any(|taken| path.starts_with(taken) || real.starts_with(taken))
            && !real_home.starts_with(&real)
            && !REPLACED.iter().any(|place| real.starts_with(place))
            && !is_near(&stores, &real)
    };
    rows.filter(usable).collect()
}

/// Secret stores by all their names: a toolchain may be a link, and so may a store.
fn secret_stores(home: &Path) -> Vec<PathBuf> {
    let names = |store: PathBuf| {
        let real = store.symlink_metadata().and_then(|_| store.canonicalize()).ok().filter(|real| *real != store);
        [Some(store), real].into_iter().flatten()
    };
    SECRET_STORES.rows().flat_map(|row| names(home.join(row.path))).collect()
}

/// Whether a path is one of the stores, contains one or lies in one.
fn is_near(stores: &[PathBuf], real: &Path) -> bool {
    stores.iter().any(|store| real.starts_with(store) || store.starts_with(real))
}

/// Absolute and without `..`, so that what it lies in can be told by its letters.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

/// Variables that lead to a place that is there inside: `shown`, a system directory, or a directory of which a part is
/// shown (`CARGO_HOME`, of which only `bin` is).
pub(crate) fn variables(lookup: Lookup<'_>, home: &Path, shown: &[&Path]) -> Vec<EnvVar> {
    let leads_inside = |path: &Path| {
        let around = |place: &Path| place.starts_with(path) && path.starts_with(home) && path != home;
        is_plain(path)
            && (shown.iter().any(|place| path.starts_with(place) || around(place))
                || SYSTEM.rows().any(|row| path.starts_with(row.path)))
    };
    let value_of = |name: &str| {
        let list = name.ends_with(':');
        let name = name.trim_end_matches(':');
        let value = lookup(OsStr::new(name))?;
        let parts: Vec<&[u8]> = match list {
            true => value.as_bytes().split(|byte| *byte == b':').collect(),
            false => vec![value.as_bytes()],
        };
        let inside = |part: &&[u8]| leads_inside(Path::new(OsStr::from_bytes(part)));
        let kept: Vec<&[u8]> = parts.into_iter().filter(inside).collect();
        let variable = || EnvVar { name: name.as_bytes().to_vec(), value: kept.join(b":".as_slice()) };
        (!kept.is_empty()).then(variable)
    };
    table::rows(VARIABLES).filter_map(|(name, _)| value_of(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::scratch;
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn names(home: &Path, taken: &[&Path]) -> Vec<String> {
        let below = |path: &PathBuf| path.strip_prefix(home).unwrap().display().to_string();
        shown(home, taken).iter().map(below).collect()
    }

    #[test]
    fn no_toolchain_is_contains_or_lies_in_a_secret_store() {
        for (path, _) in table::rows(TOOLCHAINS) {
            let home = Path::new("/nowhere/at/all");
            assert!(!is_near(&secret_stores(home), &home.join(path)), "{path}");
            assert!(!path.starts_with('/') && !path.ends_with('/') && !path.contains("//"), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_or_leads_to_secrets_or_home_is_left_out() {
        let home = scratch("links");
        for made in [".cargo/bin", ".ssh/keys", ".pyenv", "elsewhere/nvm"] {
            fs::create_dir_all(home.join(made)).unwrap();
        }
        for (link, to) in
            [(".nvm", "elsewhere/nvm"), (".volta", ".ssh/keys"), (".rustup", "."), (".asdf", "gone"), (".bun", "/run")]
        {
            symlink(to, home.join(link)).unwrap();
        }
        symlink("/proc", home.join(".fnm")).unwrap();
        assert_eq!(names(&home, &[]), [".cargo/bin", ".nvm", ".pyenv"]);
    }

    #[test]
    fn a_toolchain_in_the_project_is_the_projects() {
        let home = scratch("project");
        for made in ["go/bin", "go/src", ".pyenv/plugins/x"] {
            fs::create_dir_all(home.join(made)).unwrap();
        }
        assert_eq!(names(&home, &[&home.join("go")]), [".pyenv"]);
        assert_eq!(names(&home, &[&home.join(".pyenv/plugins/x")]), [".pyenv", "go/bin"]);
    }

    #[test]
    fn variables_pass_only_if_they_lead_to_what_is_there_inside() {
        let caller = |name: &OsStr| -> Option<OsString> {
            Some(match name.to_str()? {
                "CARGO_HOME" => "/h/.cargo".into(),
                "RUSTUP_HOME" => "/data/rustup".into(),
                "JAVA_HOME" => "/usr/lib/jvm/java-17".into(),
                "PYENV_ROOT" => "/h/.pyenv".into(),
                "GOPATH" => "/data/go:/h/go:relative".into(),
                "NVM_DIR" => "/h/.pyenv/../.ssh".into(),
                "BUN_INSTALL" => "/h".into(),
                "VIRTUAL_ENV" => "/work/p/venv".into(),
                _ => return None,
            })
        };
        let shown = ["/h/.cargo/bin", "/h/.pyenv", "/h/go/bin", "/work/p"].map(Path::new);
        let passed = variables(&caller, Path::new("/h"), &shown);
        let passed: Vec<String> =
            passed.iter().map(|v| format!("{}={}", v.name.escape_ascii(), v.value.escape_ascii())).collect();
        let expected = [
            "CARGO_HOME=/h/.cargo", "PYENV_ROOT=/h/.pyenv", "VIRTUAL_ENV=/work/p/venv", "GOPATH=/h/go",
            "JAVA_HOME=/usr/lib/jvm/java-17",
        ];
        assert_eq!(passed, expected);
    }
}
