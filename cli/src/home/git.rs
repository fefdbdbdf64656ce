//! The caller's git identity and harmless settings, as a file of the agent's. Git itself is asked for them, so that
//! included files and conditions count as they do outside.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::beneath::Directory;
use crate::environment::Lookup;
use crate::failure::Failure;
use crate::table;

/// Keys that pass.
pub(crate) const SETTINGS: &str = include_str!("../../tables/git-settings.tsv");

/// Where git is looked for. Not in the caller's PATH: what an agent wrote into a project's `node_modules/.bin` or `bin`
/// would be executed here, outside of every sandbox.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/bin", "/run/current-system/sw/bin"];
/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nor is one longer, in bytes.
const LONGEST: u64 = 256 * 1024;
/// A value that is longer is no setting of a person.
const LONGEST_VALUE: usize = 4096;

/// First line of the file; while it stands, the file is ours.
const HEADER: &str = "# Written by agent-aws from your git settings, anew at each start while this line is here.\n";
/// The agent's own file. `git config --global` writes to this one where it exists.
const OWN: &str = "# Yours: git reads it after .config/git/config, which agent-aws writes.\n";

/// Git, asked and not heard yet.
#[derive(Debug)]
pub(crate) struct Asked {
    git: Child,
    answer: Receiver<Vec<u8>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.git.kill();
        let _ = self.git.wait();
    }
}

/// The files of the caller's settings.
fn files(lookup: Lookup<'_>, home: &Path) -> Vec<PathBuf> {
    let absolute = |name: &str| lookup(OsStr::new(name)).map(PathBuf::from).filter(|path| path.is_absolute());
    match absolute("GIT_CONFIG_GLOBAL") {
        Some(file) => vec![file],
        None => {
            let xdg = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
            vec![home.join(".gitconfig"), xdg.join("git/config")]
        }
    }
}

/// Asks git for the caller's settings as they are in `project`. `None` where there are none, or no git.
pub(crate) fn ask(lookup: Lookup<'_>, home: &Path, project: &Path) -> Option<Asked> {
    files(lookup, home).iter().find(|file| file.is_file())?;
    let git = DIRECTORIES.iter().map(|directory| Path::new(directory).join("git")).find(|git| git.is_file())?;
    let mut command = Command::new(git);
    command.args(["config", "--list", "--includes", "--show-scope", "-z"]).env_clear().env("HOME", home);
    for name in ["XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"] {
        command.envs(lookup(OsStr::new(name)).map(|value| (name, value)));
    }
    command.env("PATH", DIRECTORIES.join(":")).env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1");
    let directory = if project.is_dir() { project } else { Path::new("/") };
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut git = command.spawn().ok()?;
    let output = git.stdout.take()?;
    let (sender, answer) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let whole = output.take(LONGEST).read_to_end(&mut bytes).is_ok();
        let _ = sender.send(if whole { bytes } else { Vec::new() });
    });
    Some(Asked { git, answer })
}

impl Asked {
    /// What git said; nothing if it did not say it in time.
    pub(crate) fn settings(self) -> Vec<Setting> {
        self.answer.recv_timeout(PATIENCE).map(|answer| passing(&answer)).unwrap_or_default()
    }
}

/// One setting: its key as git says it, and its value; none is `true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    key: String,
    value: Option<Vec<u8>>,
}

/// Of `SCOPE NUL KEY [LF VALUE] NUL ...` what the table lets pass.
fn passing(answer: &[u8]) -> Vec<Setting> {
    let mut parts = answer.split(|byte| *byte == 0);
    let mut all = Vec::new();
    while let (Some(scope), Some(setting)) = (parts.next(), parts.next()) {
        if scope != b"global" {
            continue;
        }
        let end = setting.iter().position(|byte| *byte == b'\n');
        let (key, value) = match end.and_then(|at| setting.split_at_checked(at)) {
            Some((key, value)) => (key, Some(value.get(1..).unwrap_or_default().to_vec())),
            None => (setting, None),
        };
        let Ok(key) = std::str::from_utf8(key) else { continue };
        if table::has(SETTINGS, key) && value.as_deref().is_none_or(|value| is_harmless(key, value)) {
            all.push(Setting { key: key.to_owned(), value });
        }
    }
    all
}

/// Aliases that a shell runs stay outside, and so does whatever looks like an address with a password in it.
fn is_harmless(key: &str, value: &[u8]) -> bool {
    let address = value.windows(3).position(|part| part == b"://");
    let password = address.is_some_and(|at| value.get(at..).is_some_and(|rest| rest.contains(&b'@')));
    let shell = key.starts_with("alias.") && value.trim_ascii_start().starts_with(b"!");
    !password && !shell && value.len() <= LONGEST_VALUE
}

/// As a file that git reads back to the same settings.
fn written(settings: &[Setting]) -> Vec<u8> {
    let mut file = HEADER.as_bytes().to_vec();
    file.extend(b"# Settings of the agent's own are in ~/.gitconfig, which comes after this.\n");
    for Setting { key, value } in settings {
        let Some((section, rest)) = key.split_once('.') else { continue };
        let (subsection, name) = rest.rsplit_once('.').map_or((None, rest), |(sub, name)| (Some(sub), name));
        if subsection.is_some_and(|sub| sub.contains('\n')) {
            continue;
        }
        match subsection {
            Some(sub) => {
                file.extend(format!("[{section} \"{}\"]\n", sub.replace('\\', "\\\\").replace('"', "\\\"")).bytes())
            }
            None => file.extend(format!("[{section}]\n").bytes()),
        }
        file.extend(format!("\t{name} = ").bytes());
        match value {
            None => file.extend(b"true"),
            Some(value) => quote(value, &mut file),
        }
        file.push(b'\n');
    }
    file
}

fn quote(value: &[u8], file: &mut Vec<u8>) {
    file.push(b'"');
    for byte in value {
        match byte {
            b'"' => file.extend(b"\\\""),
            b'\\' => file.extend(b"\\\\"),
            b'\n' => file.extend(b"\\n"),
            b'\t' => file.extend(b"\\t"),
            8 => file.extend(b"\\b"),
            other => file.push(*other),
        }
    }
    file.push(b'"');
}

/// Writes the settings into the agent's home, if the file there is ours or is not there. What stands in the way is the
/// agent's own affair, and no reason to refuse a session: the error is for a notice.
pub(crate) fn write(home: &Directory, settings: &[Setting]) -> Result<(), Failure> {
    // Nothing is made for nothing; what was written formerly is written anew.
    if settings.is_empty() && home.at(OsStr::new(".config")).and_then(|config| config.at(OsStr::new("git"))).is_err() {
        return Ok(());
    }
    let directory = home.directories(Path::new(".config/git"))?;
    let new = written(settings);
    match content(&directory, "config") {
        Ok(Some(old)) if old == new || !old.starts_with(HEADER.as_bytes()) => return Ok(()),
        Ok(None) if settings.is_empty() => return Ok(()),
        Ok(_) => replace(&directory, "config", &new)?,
        Err(e) => return Err(Failure::Path(directory.path().join("config"), e.into())),
    }
    match content(home, ".gitconfig") {
        Ok(None) => create(home, OsStr::new(".gitconfig"), OWN.as_bytes()),
        _ => Ok(()),
    }
}

/// What is in a file; `None` if nothing is there. Anything but a file is an error.
fn content(directory: &Directory, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::EXIST);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::from(file).take(LONGEST).read_to_end(&mut bytes);
    read.map(|_| Some(bytes)).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
}

fn create(directory: &Directory, name: &OsStr, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |e: std::io::Error| Failure::Path(directory.path().join(name), e);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(|e| fail(e.into()))?;
    std::io::Write::write_all(&mut std::fs::File::from(file), bytes).map_err(fail)
}

/// A reader sees the old file or the new one. What stands there is replaced, never written through.
fn replace(directory: &Directory, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let new = OsString::from(format!(".{name}.agent-aws-{}", std::process::id()));
    let _ = unlinkat(directory, &new, AtFlags::empty());
    let made = create(directory, &new, bytes).and_then(|()| {
        renameat(directory, &new, directory, name).map_err(|e| Failure::Path(directory.path().join(name), e.into()))
    });
    if made.is_err() {
        let _ = unlinkat(directory, &new, AtFlags::empty());
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(settings: &[(&str, &str, Option<&str>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (scope, key, value) in settings {
            bytes.extend(scope.bytes().chain([0]).chain(key.bytes()));
            bytes.extend(value.iter().flat_map(|value| [b'\n'].into_iter().chain(value.bytes())));
            bytes.push(0);
        }
        bytes
    }

    fn keys(settings: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        passing(&answer(settings)).into_iter().map(|setting| setting.key).collect()
    }

    #[test]
    fn identity_and_harmless_settings_pass() {
        let settings = [
            ("global", "user.name", Some("Alice")),
            ("global", "user.email", Some("alice@example.com")),
            ("global", "color.diff.meta", Some("bold")),
            ("global", "alias.st", Some("status -sb")),
            ("global", "commit.verbose", None),
        ];
        assert_eq!(keys(&settings), ["user.name", "user.email", "color.diff.meta", "alias.st", "commit.verbose"]);
    }

    #[test]
    fn credentials_signing_programs_and_addresses_with_passwords_do_not() {
        let refused = [
            ("credential.helper", "store"),
            ("credential.https://x.helper", "!f"),
            ("http.extraheader", "Authorization: x"),
            ("http.proxy", "http://u:p@x"),
            ("url.https://u:t@x/.insteadof", "https://x/"),
            ("commit.gpgsign", "true"),
            ("user.signingkey", "ABC"),
            ("gpg.program", "gpg"),
            ("core.fsmonitor", "/x"),
            ("core.hookspath", "/x"),
            ("core.sshcommand", "ssh -i k"),
            ("core.pager", "less"),
            ("core.editor", "vi"),
            ("include.path", "x"),
            ("includeif.gitdir:~/x/.path", "x"),
            ("github.token", "t"),
            ("sendemail.smtppass", "x"),
            ("alias.x", "!id"),
            ("alias.y", "  !id"),
            ("alias.z", "push https://u:t@x/y"),
            ("diff.external", "x"),
            ("core.attributesfile", "x"),
            ("core.askpass", "x"),
            ("tag.gpgsign", "true"),
            ("interactive.difffilter", "x"),
        ];
        for (key, value) in refused {
            assert_eq!(keys(&[("global", key, Some(value))]), Vec::<String>::new(), "{key}");
        }
        assert_eq!(
            keys(&[("local", "user.name", Some("x")), ("system", "user.email", Some("x"))]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_answer_that_is_cut_short_or_odd_is_no_setting() {
        assert_eq!(passing(b""), []);
        assert_eq!(passing(b"global"), []);
        assert_eq!(passing(b"global\0\xff\nx\0"), []);
    }

    #[test]
    fn values_are_quoted_so_that_none_becomes_another_setting() {
        let settings = passing(&answer(&[
            ("global", "user.name", Some("a\"b\\c\n[core]\n\thooksPath = /x # y")),
            ("global", "color.a\"b\\.x", Some("red")),
            ("global", "color.ui", None),
        ]));
        let text = String::from_utf8(written(&settings)).unwrap();
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "[user]",
            r#"	name = "a\"b\\c\n[core]\n\thooksPath = /x # y""#,
            r#"[color "a\"b\\"]"#,
            "\tx = \"red\"",
            "[color]",
            "\tui = true",
        ];
        assert_eq!(body, expected);
    }
}
