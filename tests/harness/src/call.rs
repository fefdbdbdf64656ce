//! One call of a program as one of the users, and what came of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::machine::Machine;
use crate::users::User;

/// No call of a test takes longer; one that does is killed and fails.
const LIMIT: Duration = Duration::from_secs(60);

/// A program that is to be run.
#[derive(Debug)]
pub struct Call {
    user: User,
    switch: bool,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    directory: PathBuf,
    stdin: Vec<u8>,
}

/// How it ended and what it said.
#[derive(Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Call {
    pub(crate) fn new(machine: &Machine, user: User, program: PathBuf) -> Self {
        let directory = machine.project(&user);
        let mut call = Self {
            switch: machine.is_private(),
            program,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory,
            stdin: Vec::new(),
            user,
        };
        let home = call.user.home.clone().into_os_string();
        let name = OsString::from(&call.user.name);
        for (variable, value) in [
            ("HOME", home),
            ("USER", name.clone()),
            ("LOGNAME", name),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("TERM", "dumb".into()),
            ("LANG", "C.UTF-8".into()),
        ] {
            call.environment.insert(variable.into(), value);
        }
        call
    }

    /// Another program in the same place, as the same user, with the same environment.
    #[must_use]
    pub fn instead(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self.arguments.clear();
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString> + Clone>(mut self, arguments: &[A]) -> Self {
        self.arguments.extend(arguments.iter().cloned().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the working directory; the user's project otherwise.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets standard input; empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// As something to start by other means: a terminal, a debugger, in the background. Standard streams are inherited.
    pub fn command(&self) -> Command {
        let mut command = if self.switch {
            // Real, effective and saved ids, the user's groups by the database, no capability.
            let mut setpriv = Command::new("/usr/bin/setpriv");
            setpriv
                .arg(format!("--reuid={}", self.user.uid))
                .arg(format!("--regid={}", self.user.gid))
                .args(["--init-groups", "--inh-caps=-all", "--"])
                .arg(&self.program);
            setpriv
        } else {
            Command::new(&self.program)
        };
        command.args(&self.arguments).env_clear().envs(&self.environment).current_dir(&self.directory);
        command
    }

    /// Starts it; standard output and error are to be read from the child.
    pub fn spawn(&self) -> Child {
        let child = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|e| panic!("{}: {e}", self.program.display()));
        // What it does not read it does not need: a closed pipe is no failure.
        let _ = child.stdin.take().map(|mut pipe| pipe.write_all(&self.stdin));
        child
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.run_within(LIMIT)
    }

    /// Runs it to its end, at most so long.
    #[track_caller]
    pub fn run_within(&self, limit: Duration) -> Output {
        let mut child = self.spawn();
        let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
        let ended = crate::wait::until(limit, || child.try_wait().expect("waiting for a child"));
        let status = ended.unwrap_or_else(|| {
            let _ = child.kill();
            child.wait().expect("waiting for a child")
        });
        // Readers end when the last process that holds the pipe does. One that a session left keeps them.
        let text = |reader: Reader| reader.recv_timeout(Duration::from_secs(10)).unwrap_or_default();
        let output = Output { status, stdout: text(stdout), stderr: text(stderr) };
        assert!(ended.is_some(), "not within {} s: {self:?}\n{output}", limit.as_secs());
        output
    }
}

type Reader = std::sync::mpsc::Receiver<String>;

fn read_all(pipe: Option<impl std::io::Read + Send + 'static>) -> Reader {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

impl Output {
    /// Exit status as a shell shows it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Panics with everything that was said if it did not end with this status.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "exit status\n{self}");
        self
    }

    /// It succeeded; its standard output without the last newline.
    #[track_caller]
    pub fn says(self) -> String {
        self.ends(0).stdout.trim_end_matches('\n').to_owned()
    }

    /// It was refused by `agent-aws` itself (125), with these words on standard error.
    #[track_caller]
    pub fn refused(self, words: &str) -> Self {
        let output = self.ends(125);
        assert!(output.stderr.contains(words), "no {words:?} in\n{output}");
        output
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, stdout, stderr } = self;
        write!(f, "--- {status}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AsRef<Path> for Call {
    fn as_ref(&self) -> &Path {
        &self.program
    }
}
