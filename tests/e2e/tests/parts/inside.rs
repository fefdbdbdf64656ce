//! A shell inside a session that does one thing after the other, so that a test may change the world in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_aws_harness::{Call, Scene, until};

/// No command of a test takes longer.
const LIMIT: Duration = Duration::from_secs(60);
/// Reads a command, does it, says how it ended.
const SHELL: &str = r#"while IFS= read -r line; do eval "$line" 2>&1 </dev/null; printf '\n-- %d\n' $?; done"#;

/// A running session.
pub(crate) struct Inside {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

/// How one command ended, and what it said on both streams.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) text: String,
}

impl Said {
    /// It succeeded; what it said.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.status, 0, "{}", self.text);
        self.text
    }

    /// It failed; what it said.
    #[track_caller]
    pub(crate) fn badly(self) -> String {
        assert_ne!(self.status, 0, "{}", self.text);
        self.text
    }
}

impl Inside {
    /// A session of the scene's identity with these options.
    pub(crate) fn new(scene: &Scene, options: &[&str]) -> Self {
        Self::of(&scene.run(options, &["sh", "-c", SHELL]))
    }

    /// The session that is started by this call, whose command is [`Inside::COMMAND`].
    pub(crate) fn of(call: &Call) -> Self {
        let mut command = call.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("agent-aws");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let (heard, mut stderr) = (Arc::clone(&complaints), child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut part) {
                let text = String::from_utf8_lossy(part.get(..length).unwrap_or_default()).into_owned();
                heard.lock().expect("a lock").push_str(&text);
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, complaints }
    }

    /// The command of a session for [`Inside::of`].
    pub(crate) const COMMAND: [&'static str; 3] = ["sh", "-c", SHELL];

    /// What was said on standard error so far, by us and not by commands.
    pub(crate) fn complaints(&self) -> String {
        self.complaints.lock().expect("a lock").clone()
    }

    /// Runs one line of shell inside.
    #[track_caller]
    pub(crate) fn does(&mut self, line: &str) -> Said {
        self.tell(line);
        self.hear(line)
    }

    /// Begins one line of shell; [`Inside::hear`] waits for its end.
    #[track_caller]
    pub(crate) fn tell(&mut self, line: &str) {
        assert!(!line.contains('\n'), "one line only: {line}");
        let stdin = self.stdin.as_mut().expect("it has not been ended");
        let told = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        assert!(told.is_ok(), "the session is gone: {}", self.complaints());
    }

    /// The end of what was begun.
    #[track_caller]
    pub(crate) fn hear(&mut self, line: &str) -> Said {
        let mut text = String::new();
        loop {
            let Ok(said) = self.lines.recv_timeout(LIMIT) else {
                panic!("no end of {line:?}: {text}\n{}", self.complaints());
            };
            match said.strip_prefix("-- ").and_then(|status| status.parse().ok()) {
                Some(status) => {
                    let text = text.trim_matches('\n').to_owned();
                    return Said { status, text };
                }
                None => text.push_str(&(said + "\n")),
            }
        }
    }

    /// Ends the session, and returns its exit status once it has ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> Option<i32> {
        drop(self.stdin.take());
        let ended = until(LIMIT, || self.child.try_wait().expect("waiting for a child"));
        ended.unwrap_or_else(|| panic!("it does not end: {}", self.complaints())).code()
    }
}

impl Drop for Inside {
    /// A test that failed leaves no session behind.
    fn drop(&mut self) {
        drop(self.stdin.take());
        if until(Duration::from_secs(5), || self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
