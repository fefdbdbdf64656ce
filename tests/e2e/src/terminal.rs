//! A terminal with a person at it: a pseudo-terminal, on it an interactive bash with job control as the session's
//! leader, and somebody who types, reads, and knows nothing but what the terminal shows.
//!
//! `$A` in that shell is `agent-aws run` with the identity of the mode, or nothing at all: so the same script can be
//! run with us and, as a control, without.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use agent_aws_harness::{Mode, Scene, User};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode as FileMode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

mod jobs;

pub use jobs::{group, kill, state};

/// Ctrl-C.
pub const INTERRUPT: u8 = 3;
/// Ctrl-D.
pub const END: u8 = 4;
/// Ctrl-Z.
pub const STOP: u8 = 26;
/// Ctrl-\.
pub const QUIT: u8 = 28;

/// How long anything may take that should happen at once, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(15);

/// What the scripts of the test run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Under {
    /// Nothing: what a program does by itself.
    Nothing,
    /// `agent-aws run`.
    AgentAws,
}

/// A shell on a terminal of its own.
#[derive(Debug)]
pub struct Shell {
    /// What `$A` is.
    pub under: Under,
    /// Where it is; scripts lie here.
    pub directory: PathBuf,
    alice: User,
    private: bool,
    program: String,
    master: std::fs::File,
    bash: Child,
    heard: String,
    /// What was looked at already.
    at: usize,
}

/// Runs `test` without us, as the control, then with us, each on a terminal of its own.
pub fn as_without_us(mode: Mode, test: impl Fn(&mut Shell)) {
    for under in [Under::Nothing, Under::AgentAws] {
        eprintln!("--- under {under:?}");
        on_a_terminal(mode, under, &test);
    }
}

/// Runs `test` on a terminal.
pub fn on_a_terminal(mode: Mode, under: Under, test: impl Fn(&mut Shell)) {
    let scene = Scene::new(mode);
    let mut shell = Shell::open(&scene, under);
    test(&mut shell);
}

/// A new pseudo-terminal of 24 lines and 80 columns: both of its ends.
fn terminal() -> (OwnedFd, PathBuf) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo-terminal");
    grantpt(&master).expect("a pseudo-terminal");
    unlockpt(&master).expect("a pseudo-terminal");
    let name = ptsname(&master, Vec::new()).expect("a pseudo-terminal");
    (master, PathBuf::from(name.to_str().expect("its name")))
}

impl Shell {
    /// Starts it and waits for its prompt.
    pub fn open(scene: &Scene, under: Under) -> Self {
        let (machine, alice) = (&scene.machine, scene.machine.user("alice"));
        let directory = machine.project(&alice).join(format!("{under:?}"));
        machine.directory(&alice, &directory);
        let (master, name) = terminal();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(&name, flags, FileMode::empty()).expect("a pseudo-terminal");
        if machine.is_private() {
            chown(&name, Some(alice.uid), None).expect("a pseudo-terminal");
        }
        let program = machine.program().display().to_string();
        let prefix = match under {
            Under::Nothing => String::new(),
            Under::AgentAws => format!("{program} run {} --", scene.identity().join(" ")),
        };
        let mut command = machine
            .call("alice", "/usr/bin/setsid")
            .args(&["--ctty", "--", "/bin/bash", "--norc", "--noprofile", "-i"])
            .cwd(&directory)
            .env("AWS_CONFIG_FILE", scene.aws("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", scene.aws("credentials"))
            .env("AWS_ENDPOINT_URL_STS", scene.sts.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("A", prefix)
            .env("TERM", "xterm")
            .env("HISTFILE", "")
            .env("PS1", r"<$?:\j> ")
            .command();
        let copy = || slave.try_clone().expect("a descriptor");
        let bash = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn();
        let mut shell = Self {
            under,
            private: machine.is_private(),
            directory,
            alice,
            program,
            master: master.into(),
            bash: bash.expect("a shell"),
            heard: String::new(),
            at: 0,
        };
        shell.resize(24, 80);
        shell.prompt(0, 0);
        shell
    }

    /// Types a line and the Enter key.
    pub fn line(&mut self, text: &str) {
        self.keys(format!("{text}\r").as_bytes());
    }

    /// Types a line that gives the foreground to another process group, and waits until that has it. What is typed
    /// before would be taken in the modes of whoever had it.
    #[track_caller]
    pub fn start(&mut self, text: &str) {
        let before = self.foreground();
        self.line(text);
        self.until("another foreground group", |s| (s.foreground() != before).then_some(()));
    }

    /// Types one key.
    pub fn key(&mut self, key: u8) {
        self.keys(&[key]);
    }

    /// Types keys.
    pub fn keys(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("typing");
    }

    /// Reads what the terminal shows meanwhile; false once nobody can write to it any more.
    fn listen(&mut self) -> bool {
        let tick = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
        if !matches!(poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&tick)), Ok(1)) {
            return true;
        }
        let mut bytes = [0; 4096];
        match self.master.read(&mut bytes) {
            Ok(length) if length > 0 => {
                self.heard.push_str(&String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()));
                true
            }
            _ => {
                std::thread::sleep(TICK);
                false
            }
        }
    }

    /// Waits for an answer, reading meanwhile.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask(self) {
                return answer;
            }
            let silent = !self.listen();
            assert!(Instant::now() < end, "waited for {what} in vain (end of output: {silent})\n{}", self.transcript());
        }
    }

    /// Everything so far, and who is there.
    fn transcript(&self) -> String {
        let mut text = format!("--- the terminal\n{}\n--- new\n{:?}\n", self.heard, self.heard.get(self.at..));
        for p in self.processes() {
            let _ = writeln!(text, "{} {:?} group {:?}: {}", p.pid, state(p.pid), group(p.pid), p.command);
        }
        let _ = writeln!(text, "--- shell {}, foreground {:?}", self.pid(), self.foreground());
        text
    }

    /// Waits until the terminal shows this, after what was waited for before; what was shown before it.
    #[track_caller]
    pub fn wait(&mut self, text: &str) -> String {
        self.until(&format!("{text:?}"), |s| {
            let (before, _) = s.heard.get(s.at..)?.split_once(text)?;
            let before = before.to_owned();
            s.at += before.len() + text.len();
            Some(before)
        })
    }

    /// Waits for the shell's prompt: the last command ended with this status, and it has so many jobs. What was shown
    /// before it.
    #[track_caller]
    pub fn prompt(&mut self, status: i32, jobs: usize) -> String {
        let (before, shown) = self.until("a prompt", |s| {
            let (before, prompt, length) = next_prompt(s.heard.get(s.at..)?)?;
            s.at += length;
            Some((before, prompt))
        });
        assert_eq!(shown, format!("{status}:{jobs}"), "exit status and jobs\n{}", self.transcript());
        let shell = Some(self.pid());
        self.until("the shell to have the foreground", |s| (s.foreground() == shell).then_some(()));
        before
    }

    /// Runs commands until the shell has no job any more; what it said about that.
    #[track_caller]
    pub fn no_more_jobs(&mut self) -> String {
        let mut said = String::new();
        self.until("the end of all jobs", |s| {
            let (before, shown, length) = next_prompt(s.rest())?;
            s.at += length;
            said.push_str(&before);
            if shown.ends_with(":0") {
                return Some(());
            }
            // Not an empty line: bash sometimes looks for its dead only when another child has died.
            s.line("/bin/true");
            None
        });
        said
    }

    /// Types a line for `cat > typed`, which has the terminal, and waits until that has read it: a key that becomes a
    /// signal throws away what is not yet read.
    #[track_caller]
    pub fn type_for_cat(&mut self) {
        self.agent("cat");
        self.line("a line");
        let typed = self.read("typed");
        assert_eq!(typed, "a line\n");
    }

    /// Runs a command that succeeds; what it showed, line by line, without the echo of the command.
    #[track_caller]
    pub fn says(&mut self, command: &str) -> Vec<String> {
        self.line(command);
        self.until("the echo", |s| {
            let (before, _) = s.heard.get(s.at..)?.split_once('\n')?;
            s.at += before.len() + 1;
            Some(())
        });
        let said = self.prompt(0, 0);
        said.lines().map(|l| strip(l).to_owned()).filter(|l| !l.is_empty()).collect()
    }

    /// The shell can give the terminal to its next command: that reads a line, and Ctrl-C reaches it.
    #[track_caller]
    pub fn has_its_terminal(&mut self, jobs: usize) {
        self.start("head -1 > typed");
        self.line("for the next");
        self.prompt(0, jobs);
        assert_eq!(self.read("typed"), "for the next\n");
        self.start("cat");
        self.agent("cat");
        self.key(INTERRUPT);
        self.prompt(130, jobs);
    }

    /// What was shown and not yet waited for.
    pub fn rest(&self) -> &str {
        self.heard.get(self.at..).unwrap_or_default()
    }

    /// Changes the window's size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("the window's size");
    }

    /// The terminal's modes, as text.
    pub fn modes(&self) -> String {
        format!("{:?}", tcgetattr(&self.master).expect("the terminal's modes"))
    }

    /// The foreground process group.
    pub fn foreground(&self) -> Option<i32> {
        tcgetpgrp(self.master.as_fd()).ok().map(|group| group.as_raw_nonzero().get())
    }

    /// The shell's process.
    pub fn pid(&self) -> i32 {
        self.bash.id().try_into().expect("a process id")
    }

    /// Writes a file of Alice's beside the shell.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        if self.private {
            chown(&path, Some(self.alice.uid), Some(self.alice.gid)).expect("a file");
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a file");
    }

    /// Where that is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Waits until a file is there and holds something; what it holds.
    #[track_caller]
    pub fn read(&mut self, name: &str) -> String {
        let path = self.path(name);
        self.until(name, |_| std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')))
    }

    /// Closes the terminal's window.
    pub fn hang_up(&mut self) {
        // The only descriptor of the terminal's own side.
        self.master = std::fs::File::open("/dev/null").expect("/dev/null");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.bash.kill();
        let _ = self.bash.wait();
    }
}

/// Text before the first prompt, what it shows, and the length of both.
fn next_prompt(text: &str) -> Option<(String, String, usize)> {
    for (start, _) in text.match_indices('<') {
        let (inner, _) = text.get(start + 1..)?.split_once("> ")?;
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if inner.split_once(':').is_some_and(|(status, jobs)| digits(status) && digits(jobs)) {
            return Some((text.get(..start)?.to_owned(), inner.to_owned(), start + inner.len() + 3));
        }
    }
    None
}

/// A line without what only a screen understands.
fn strip(line: &str) -> &str {
    let line = line.trim_end_matches(['\r', '\n']);
    line.trim_start_matches("\u{1b}[?2004l").trim_start_matches('\r').trim_end_matches("\u{1b}[?2004h")
}
