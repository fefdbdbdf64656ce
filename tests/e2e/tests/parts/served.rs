//! `agent-aws serve` in the background, and clients of it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use agent_aws_e2e::session::tree;
use agent_aws_harness::{Call, Output, Process, SOON, Scene, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// For anything that it needs to start, on a machine that is busy.
pub(crate) const START: Duration = Duration::from_secs(40);

/// A server that runs. It is ended when dropped.
pub(crate) struct Server(Mutex<Child>);

impl Server {
    /// As Alice, with the identity of this mode.
    pub(crate) fn call(scene: &Scene, options: &[&str], command: &[&str]) -> Call {
        let call = scene.agent_aws(&["serve"]).args(&scene.identity()).args(options);
        if command.is_empty() { call } else { call.arg("--").args(command) }
    }

    /// The same, in the background.
    pub(crate) fn start(scene: &Scene, options: &[&str], command: &[&str]) -> Self {
        Self::spawn(&Self::call(scene, options, command))
    }

    /// With another identity.
    pub(crate) fn as_another(scene: &Scene, identity: &[&str], options: &[&str]) -> Self {
        Self::spawn(&scene.agent_aws(&["serve"]).args(identity).args(options))
    }

    fn spawn(call: &Call) -> Self {
        let child = call.command().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Self(Mutex::new(child.expect("starting agent-aws")))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.lock().unwrap().id().cast_signed()
    }

    /// Waits until its socket has a name.
    #[track_caller]
    pub(crate) fn is_ready(&self, path: &str) {
        let ready = until(START, || match self.0.lock().unwrap().try_wait() {
            Ok(None) => std::os::unix::net::UnixStream::connect(path).is_ok().then_some(true),
            _ => Some(false),
        });
        if ready == Some(true) {
            return;
        }
        let mut child = self.0.lock().unwrap();
        let _ = child.kill();
        let said = std::io::read_to_string(child.stderr.take().expect("a pipe")).unwrap_or_default();
        panic!("it does not serve at {path}: {said}");
    }

    /// Waits for a line of its command.
    #[track_caller]
    pub(crate) fn hears(&self, line: &str) {
        let stdout = self.0.lock().unwrap().stdout.take().expect("a pipe");
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        assert_eq!(said.trim_end(), line);
    }

    pub(crate) fn tell(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Its exit status, as a shell has it.
    #[track_caller]
    pub(crate) fn ends(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = until(SOON, || self.0.lock().unwrap().try_wait().unwrap()).expect("it ends");
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// A signal ends it, and it ends by that signal.
    #[track_caller]
    pub(crate) fn ends_by(&self, signal: Signal) {
        self.tell(signal);
        assert_eq!(self.ends(), 128 + signal as i32);
    }

    /// `agent-aws` and everything below it.
    pub(crate) fn tree(&self) -> Vec<Process> {
        tree(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let child = self.0.get_mut().unwrap();
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let _ = until(SOON, || child.try_wait().ok().flatten());
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// A directory of Alice's that others may look into.
pub(crate) fn directory(scene: &Scene, name: &str) -> String {
    let alice = scene.machine.user("alice");
    let place = match scene.machine.is_private() {
        true => alice.home.join(name),
        false => scene.machine.scratch().join(name),
    };
    scene.machine.directory(&alice, &place);
    if scene.machine.is_private() {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&alice.home, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    place.display().to_string()
}

/// A path for a socket in a directory that holds nothing else.
pub(crate) fn socket(scene: &Scene, name: &str) -> String {
    format!("{}/{name}", directory(scene, "sockets"))
}

/// The client of the package, with that socket.
pub(crate) fn asks(scene: &Scene, user: &str, path: &str) -> Output {
    let client = scene.machine.libexec().join("agent-aws-credentials");
    scene.machine.call(user, client).env("AGENT_AWS_SOCKET", path).run()
}

/// The key of an answer.
pub(crate) fn key(answer: &str) -> String {
    member(answer, "AccessKeyId")
}

/// A member of an answer.
pub(crate) fn member(answer: &str, name: &str) -> String {
    text(&serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}")), name)
}

/// A text in an object.
pub(crate) fn text(object: &Value, name: &str) -> String {
    object.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

/// Whether a process has the bytes anywhere in its memory.
pub(crate) fn memory_holds(pid: i32, secret: &str) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("its memory");
    maps.lines().any(|line| {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some((from, to)) = range.split_once('-').filter(|_| mode.starts_with('r')) else { return false };
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.read_at(&mut bytes, from).is_ok_and(|n| {
            bytes.get(..n).is_some_and(|read| read.windows(secret.len()).any(|window| window == secret.as_bytes()))
        })
    })
}
