//! The machine as a test sees it: installations, users, policy, the audit trail.

use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use serde_json::Value;

use crate::call::Call;
use crate::processes::{Process, processes};
use crate::stage::{EXTRAS, Stage};
use crate::users::User;

/// With what power the helper runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Setuid root; policy binds the caller.
    Setuid,
    /// Without the setuid bit, in a user namespace.
    Unprivileged,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setuid => "setuid",
            Self::Unprivileged => "unprivileged",
        })
    }
}

/// One trial's machine: private to it if we are root, else the real one, as far as an ordinary user may use it.
#[derive(Debug)]
pub struct Machine {
    /// Which installation is tested.
    pub mode: Mode,
    stage: Stage,
    scratch: tempfile::TempDir,
}

const POLICY: &str = "/etc/agent-aws";

impl Machine {
    /// Inside a world, or as an ordinary user.
    pub fn new(mode: Mode) -> Self {
        let stage = Stage::find().unwrap_or_else(|why| panic!("{why}"));
        let scratch = tempfile::Builder::new().prefix("agent-aws-test-").tempdir().expect("a temporary directory");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).expect("a temporary directory");
        Self { mode, stage, scratch }
    }

    /// Whether this is a private world, in which anything may be changed.
    pub fn is_private(&self) -> bool {
        Uid::effective().is_root()
    }

    /// `agent-aws` of the tested installation.
    pub fn program(&self) -> PathBuf {
        self.prefix().join("bin/agent-aws")
    }

    /// The prefix of the tested installation.
    pub fn prefix(&self) -> PathBuf {
        match (self.mode, self.is_private()) {
            (Mode::Setuid, _) => "/usr/local".into(),
            (Mode::Unprivileged, true) => "/opt/agent-aws-user".into(),
            (Mode::Unprivileged, false) => self.stage.user_install(),
        }
    }

    /// Directory of the helper and what it starts.
    pub fn libexec(&self) -> PathBuf {
        self.prefix().join("libexec/agent-aws")
    }

    /// One of the people, `alice` or `bob`. An ordinary user who runs the tests is everybody.
    pub fn user(&self, name: &str) -> User {
        match self.is_private() {
            true => User::of_world(name),
            false => User::ourselves(),
        }
    }

    /// A directory that goes with the trial.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// A new project directory of this user's.
    pub fn project(&self, user: &User) -> PathBuf {
        let place = match self.is_private() {
            true => user.home.join("src/project"),
            false => self.scratch().join("project"),
        };
        self.directory(user, &place);
        place
    }

    /// Makes a directory, and those above it that are not there, for this user.
    pub fn directory(&self, user: &User, path: &Path) {
        if path.is_dir() {
            return;
        }
        self.directory(user, path.parent().expect("an absolute path"));
        fs::create_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self.give(user, path, 0o755);
    }

    /// Writes a file of this user's.
    pub fn file(&self, user: &User, path: &Path, mode: u32, content: impl AsRef<[u8]>) {
        self.directory(user, path.parent().expect("an absolute path"));
        fs::write(path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        self.give(user, path, mode);
    }

    fn give(&self, user: &User, path: &Path, mode: u32) {
        let given = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        let given = given.and_then(|()| match self.is_private() {
            true => chown(path, Some(user.uid), Some(user.gid)),
            false => Ok(()),
        });
        given.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Replaces the policy. Only in a private world.
    pub fn policy(&self, text: &str) {
        self.root_file(&Path::new(POLICY).join("policy.toml"), 0o644, text);
    }

    /// Writes a file of root's, like policy; only in a private world.
    pub fn root_file(&self, path: &Path, mode: u32, content: impl AsRef<[u8]>) {
        assert!(self.is_private(), "{} is not to be touched outside a private world", path.display());
        let new = path.with_extension("new");
        let written = fs::write(&new, content)
            .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(mode)))
            .and_then(|()| fs::rename(&new, path));
        written.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Replaces a source file `/etc/agent-aws/sources/NAME` with one AWS profile `default` of these keys.
    pub fn source(&self, name: &str, key: &str, secret: &str) {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        self.root_file(&Path::new(POLICY).join("sources").join(name), 0o600, text);
    }

    /// The audit trail, record by record. Empty in unprivileged mode.
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string("/var/log/agent-aws/audit.jsonl").unwrap_or_default();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in the audit record {line:?}"));
        text.lines().map(parse).collect()
    }

    /// A small program of the tests, at a path that every sandbox shows.
    pub fn tool(&self, name: &str) -> PathBuf {
        if self.is_private() {
            return Path::new(EXTRAS).join("bin").join(name);
        }
        let place = self.project(&User::ourselves()).join(name);
        fs::copy(self.stage.tools().join(name), &place).unwrap_or_else(|e| panic!("{name}: {e}"));
        place
    }

    /// Where the real clients are (`venv/bin/python`, `npm/node_modules`), if they could be had.
    pub fn deps(&self) -> Option<PathBuf> {
        match self.is_private() {
            true => Some(Path::new(EXTRAS).join("deps")).filter(|d| d.exists()),
            false => self.stage.deps(),
        }
    }

    /// `agent-aws` with these arguments, to be run as this user.
    pub fn agent_aws(&self, user: &str, arguments: &[&str]) -> Call {
        Call::new(self, self.user(user), self.program()).args(arguments)
    }

    /// Any program, to be run as this user.
    pub fn call(&self, user: &str, program: impl Into<PathBuf>) -> Call {
        Call::new(self, self.user(user), program.into())
    }

    /// Processes that are there besides this one and those above it: what a session has left, once it has ended. As an
    /// ordinary user, those that this one started, whoever their parent is by now.
    pub fn others(&self) -> Vec<Process> {
        let all = processes();
        let ours = i32::try_from(std::process::id()).unwrap_or_default();
        let parent = |pid: i32| all.iter().find(|p| p.pid == pid).map_or(0, |p| p.parent);
        let above = |pid: i32| std::iter::successors(Some(pid), |pid| Some(parent(*pid))).take_while(|pid| *pid > 0);
        let counts = |p: &&Process| match self.is_private() {
            true => p.pid != 1 && !above(ours).any(|pid| pid == p.pid),
            false => p.pid != ours && above(p.pid).any(|pid| pid == ours),
        };
        // One that has ended and waits for us to notice is not there any more.
        all.iter().filter(counts).filter(|p| !(p.ended && p.parent == ours)).cloned().collect()
    }

    /// The mounts of this process that are not the trial's own.
    pub fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
        let place = |line: &str| line.split(' ').nth(4).map(str::to_owned);
        table.lines().filter_map(place).collect()
    }
}
