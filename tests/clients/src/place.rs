//! Where a client runs: a world with a fake internet, servers in it, and a session of Alice's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use agent_aws_harness::{Call, Internet, Mode, Output, Scene, Setup};
use agent_aws_model_server::{ModelServer, Script, Turn};

use crate::servers::{self, Identity};

/// Names of the internet.
pub const NAMES: &[&str] = &[
    "www.example.net", "git.example.net", "cache.example.net", "db.example.net", "h2.example.net", "grpc.example.net",
    "v4.www.example.net", "v6.www.example.net", STS, ANTHROPIC, OPENAI,
];
const STS: &str = "sts.eu-west-1.amazonaws.com";
const ANTHROPIC: &str = "api.anthropic.com";
const OPENAI: &str = "api.openai.com";
/// Whoever runs clients waits for no more.
const LIMIT: Duration = Duration::from_secs(100);
/// Of the internet's servers; no sandbox shows it.
const FILES: &str = "/home/internet/files";

/// All of it. It goes with the process.
#[derive(Debug)]
pub struct Place {
    /// The internet, whose names a test may change.
    pub internet: Internet,
    /// The session's machine.
    pub scene: Scene,
    identity: Identity,
    _model: ModelServer,
}

impl Place {
    /// One in which the sandbox has these lines more.
    pub fn new(mode: Mode, sandbox: &str) -> Self {
        let internet = Internet::new(NAMES);
        // The others have an address of each family.
        for (name, v4) in [("v4.www.example.net", true), ("v6.www.example.net", false)] {
            let own = internet.names.get(name).into_iter().filter(|address| address.is_ipv4() == v4);
            internet.names.set(name, &own.collect::<Vec<_>>());
        }
        let scene = Scene::new(mode);
        let filtered = format!("network = \"filtered\"\n{sandbox}");
        let policy = scene.policy(&Setup::default());
        assert!(policy.contains("network = \"shared\""), "{policy}");
        scene.machine.policy(&policy.replace("network = \"shared\"", &filtered));
        fs::create_dir_all(FILES).expect("a directory of the world");
        let identity = Identity::new(Path::new("/home/internet"), &internet);
        let answer = Script(vec![Turn::Say("the model answers".into())]);
        let model = internet.inside(|| ModelServer::start(answer).expect("a model"));
        let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let sts = internet.offer(port(&scene.sts.url())).port();
        let model_port = port(&model.url());
        let pass_on = [(STS, sts), (ANTHROPIC, model_port), (OPENAI, model_port)];
        let pass_on: BTreeMap<String, u16> = pass_on.map(|(name, port)| (name.to_owned(), port)).into();
        servers::start(&internet, &identity, Path::new(FILES), &pass_on);
        Self { internet, scene, identity, _model: model }
    }

    /// What every script knows: `NAME=VALUE` in lines of shell.
    fn known(&self) -> String {
        let show = |path: &Path| path.display().to_string();
        let deps = self.scene.machine.deps().unwrap_or_default();
        let known = [
            ("DEPS", show(&deps)),
            ("CERTIFICATE", show(&self.identity.certificate)),
            ("KEY", show(&self.identity.key)),
            ("CA", servers::TRUSTED.into()),
            ("AUTHORITY", servers::AUTHORITY.into()),
        ];
        known.iter().fold("set -eu\n".to_owned(), |mut text, (name, value)| {
            let _ = writeln!(text, "export {name}='{value}'");
            text
        })
    }

    /// Runs a script in the internet, as root. What it leaves behind in the background goes with the world.
    pub fn serve(&self, script: &str) {
        let mut bash = Command::new("/bin/bash");
        bash.args(["-c", &format!("{}{script}", self.known())]).current_dir(FILES);
        bash.stdin(Stdio::null()).stdout(Stdio::null());
        let status = self.internet.inside(move || bash.status()).expect("bash");
        assert!(status.success(), "the section `serve`: {status}");
    }

    /// A script in a session.
    pub fn inside(&self, script: &str) -> Output {
        let text = format!("exec 2>&1\n{}{script}", self.known());
        self.as_developer(self.scene.run(&[], &["/bin/bash", "-c", &text])).run_within(LIMIT)
    }

    /// The same without one.
    pub fn outside(&self, script: &str) -> Output {
        let text = format!("exec 2>&1\n{}{script}", self.known());
        let call = self.scene.machine.call("alice", "/bin/bash").args(&["-c", &text]);
        let call = call
            .env("AWS_CONFIG_FILE", self.scene.aws("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.scene.aws("credentials"))
            .env("AWS_PROFILE", "base")
            .env("AWS_DEFAULT_REGION", "eu-west-1");
        self.as_developer(call).run_within(LIMIT)
    }

    /// Toolchains of a home are found by the PATH of the caller's shell.
    fn as_developer(&self, call: Call) -> Call {
        let cargo: PathBuf = self.scene.machine.user("alice").home.join(".cargo/bin");
        match cargo.is_dir() {
            true => call.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", cargo.display())),
            false => call,
        }
    }
}
