//! One row: outside, inside, and compared.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use agent_aws_harness::{Call, Mode, Output, Scene};

use crate::place::{self, Apart};
use crate::script::Script;
use crate::server::Server;
use crate::table::Row;

/// No program of a row takes longer.
const LIMIT: Duration = Duration::from_secs(120);
/// The policy of a world is the one that is shipped.
const POLICY: &str = "/etc/agent-aws/policy.toml";
/// In it, the line of the sandbox that a key is put beside.
const SANDBOX: &str = "[sandbox.standard]\n";

/// How a run ended, and what was said on both streams, without what must differ.
#[derive(Debug, PartialEq, Eq)]
struct Result {
    status: i32,
    text: String,
}

struct Trial {
    /// Goes first: what the scene has in /tmp must be there again when that is removed.
    _apart: Apart,
    scene: Scene,
    row: Row,
    script: Script,
    /// What the scripts know: `NAME=VALUE`.
    known: Vec<(&'static str, String)>,
    _server: Option<Server>,
}

/// Runs the row of this name, and panics if it is not the same inside.
pub fn trial(name: &'static str, mode: Mode) {
    run(Row::find(name), Script::of(name), mode);
}

/// The same for a row that is in no table.
pub fn run(row: Row, script: Script, mode: Mode) {
    let shipped = fs::read_to_string(POLICY).unwrap_or_else(|e| panic!("{POLICY}: {e}"));
    let trial = Trial::new(row, script, mode);
    let shipped = shipped.replace(SANDBOX, &format!("{SANDBOX}local-ports = {:?}\n", trial.ports()));
    let outside = trial.outside();
    for line in trial.script.expect() {
        assert!(outside.text.contains(line), "outside it does not say {line:?}\n{outside:#?}");
    }
    assert_eq!(outside.status, 0, "outside it does not succeed:\n{}", outside.text);
    let policy = match trial.row.key() {
        Some(key) => shipped.replace(SANDBOX, &format!("{SANDBOX}{key} = true\n")),
        None => shipped.clone(),
    };
    let (inside, notices) = trial.inside(&policy);
    assert!(
        inside == outside,
        "inside, status {}:\n{}\noutside:\n{}\n{notices}",
        inside.status,
        inside.text,
        outside.text
    );
    if trial.row.key().is_some() {
        assert_ne!(policy, shipped, "the shipped policy has no line {SANDBOX:?}");
        let (closed, _) = trial.inside(&shipped);
        assert_ne!(closed, outside, "it needs no key of the sandbox");
    }
}

impl Trial {
    fn new(row: Row, script: Script, mode: Mode) -> Self {
        let scene = Scene::new(mode);
        let apart = Apart::new();
        let deps = scene.machine.deps().unwrap_or_default().display().to_string();
        let known = vec![("DEPS", deps), ("STS", scene.sts.url())];
        let mut trial = Self { _apart: apart, scene, row, script, known, _server: None };
        trial.serve();
        trial
    }

    /// The directory that is served is beside Alice's home, and no sandbox shows it.
    fn serve(&mut self) {
        let Some(served) = self.script.section("served") else { return };
        let machine = &self.scene.machine;
        let place = PathBuf::from("/home/served");
        machine.directory(&machine.user("alice"), &place);
        self.prepare(served, &place);
        let server = Server::start(machine, &place);
        self.known.push(("URL", server.url.clone()));
        self.known.push(("SERVED", place.display().to_string()));
        self._server = Some(server);
    }

    /// Ports of the servers outside: with the shipped policy nothing of this machine's loopback is there inside.
    fn ports(&self) -> Vec<u16> {
        let port = |url: &str| url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        let urls = [Some(self.scene.sts.url()), self._server.as_ref().map(|server| server.url.clone())];
        urls.iter().flatten().map(|url| port(url).unwrap_or_else(|| panic!("no port in {url}"))).collect()
    }

    fn prepare(&self, script: &str, place: &std::path::Path) {
        let call = self.scene.machine.call("alice", "/bin/bash").cwd(place).args(&["-c", &self.text(script)]);
        let output = call.run_within(LIMIT);
        assert_eq!(output.code(), 0, "it could not be prepared:\n{output}");
    }

    /// What a shell is given: both streams are one, so that their order is compared too.
    fn text(&self, script: &str) -> String {
        let mut text = "exec 2>&1\nset -eu\n".to_owned();
        for (name, value) in &self.known {
            let _ = writeln!(text, "export {name}='{value}'");
        }
        text + script
    }

    /// An empty home and a project as it should be.
    fn begin(&self) {
        let project = place::empty_home(&self.scene, self.row.has_rust());
        if let Some(setup) = self.script.section("setup") {
            self.prepare(setup, &project);
        }
    }

    fn outside(&self) -> Result {
        self.begin();
        let call = self.scene.machine.call("alice", "/bin/bash").args(&["-c", &self.text(self.script.run())]);
        let call = self
            .as_developer(call)
            .env("AWS_CONFIG_FILE", self.scene.aws("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.scene.aws("credentials"))
            .env("AWS_PROFILE", "base")
            .env("AWS_DEFAULT_REGION", "eu-west-1");
        self.ended(call).0
    }

    /// With the notices of `agent-aws` itself.
    fn inside(&self, policy: &str) -> (Result, String) {
        self.begin();
        self.scene.machine.policy(policy);
        let call = self.scene.agent_aws(&["run", "--profile", "dev"]);
        self.ended(self.as_developer(call).args(&["--", "/bin/bash", "-c", &self.text(self.script.run())]))
    }

    /// Toolchains of a home are found by the PATH of the caller's shell.
    fn as_developer(&self, call: Call) -> Call {
        let home = self.scene.machine.user("alice").home;
        match self.row.has_rust() {
            true => call.env("PATH", format!("{}/.cargo/bin:/usr/local/bin:/usr/bin:/bin", home.display())),
            false => call,
        }
    }

    fn ended(&self, call: Call) -> (Result, String) {
        let output: Output = call.run_within(LIMIT);
        (Result { status: output.code(), text: self.alike(&output.stdout) }, output.stderr)
    }

    /// The text without what must differ.
    fn alike(&self, text: &str) -> String {
        let Some(script) = self.script.section("alike") else { return text.to_owned() };
        let sed =
            Command::new("/usr/bin/sed").args(["-E", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut sed = sed.expect("sed");
        let mut pipe = sed.stdin.take().expect("a pipe");
        let text = text.to_owned();
        let writer = std::thread::spawn(move || pipe.write_all(text.as_bytes()));
        let output = sed.wait_with_output().expect("sed");
        assert!(output.status.success() && writer.join().is_ok(), "the section `alike` is no sed script");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
