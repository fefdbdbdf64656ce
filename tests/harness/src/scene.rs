//! The usual scene: an STS, an identity of the policy whose source is root's, and an AWS profile of Alice's own.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use agent_aws_sts_emulator::{Config, Emulator};
use serde_json::json;

use crate::call::Call;
use crate::machine::{Machine, Mode};

/// The account of everything.
pub const ACCOUNT: &str = "111122223333";
/// The role of identity `incident`.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/agent-incident";
/// A role that trusts only who shows a second factor.
pub const GUARDED: &str = "arn:aws:iam::111122223333:role/agent-guarded";
/// Alice's second factor.
pub const DEVICE: &str = "arn:aws:iam::111122223333:mfa/alice";
/// The role of the machine itself, and the token with which it can be assumed without keys.
pub const BASE_ROLE: &str = "arn:aws:iam::111122223333:role/machine";
/// See [`BASE_ROLE`].
pub const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.bWFjaGluZS1zZWNyZXQ";
/// The role of Alice's AWS profile `dev`.
pub const OWN_ROLE: &str = "arn:aws:iam::111122223333:role/agent-dev";

/// Secrets end otherwise in each process: a search for one must not find a copy of this file.
static END: LazyLock<String> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    format!("{now:x}-{:x}", std::process::id())
});
static WORKSTATION: LazyLock<Key> = LazyLock::new(|| ("AKIAWORKSTATIONWORKS", format!("workstation-secret-{}", *END)));
static ALICE: LazyLock<Key> = LazyLock::new(|| ("AKIAALICEALICEALICE1", format!("alice-secret-{}", *END)));

type Key = (&'static str, String);

/// What of a scene may differ.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Real and reported lifetime of every STS session, in seconds; as asked for otherwise.
    pub lifetime: Option<u32>,
    /// More lines of the identity `incident`, in the policy language.
    pub identity: String,
    /// More of the policy, after everything else.
    pub policy: String,
}

/// An STS and a machine that knows it.
#[derive(Debug)]
pub struct Scene {
    /// The machine.
    pub machine: Machine,
    /// The STS; its faults and what it was asked are the test's to use.
    pub sts: Emulator,
}

impl Scene {
    /// The usual one.
    pub fn new(mode: Mode) -> Self {
        Self::with(mode, &Setup::default())
    }

    /// One that differs.
    pub fn with(mode: Mode, setup: &Setup) -> Self {
        let machine = Machine::new(mode);
        let sts = emulator(setup.lifetime);
        let scene = Self { machine, sts };
        if scene.machine.is_private() {
            scene.machine.policy(&scene.policy(setup));
            scene.machine.source("workstation", WORKSTATION.0, &WORKSTATION.1);
        }
        scene.own_configuration();
        scene
    }

    /// The policy of the scene.
    pub fn policy(&self, setup: &Setup) -> String {
        format!(
            r#"
[source.workstation]
profile-file = "/etc/agent-aws/sources/workstation"
profile = "default"
region = "eu-west-1"
sts-endpoint = "{url}"

[identity.incident]
role = "{ROLE}"
source = "workstation"
duration = "1h"
access = "full"
attribution = "full"
{identity}

[sandbox.standard]
home = "agent"
network = "shared"
rw-paths = ["/"]

[[allow]]
users = ["alice"]
identities = ["incident"]
sandbox = "standard"

[[allow]]
users = ["*"]
identities = ["own:*"]
sandbox = "standard"
{more}
"#,
            url = self.sts.url(),
            identity = setup.identity,
            more = setup.policy,
        )
    }

    /// `~/.aws` of Alice's: keys of hers, and the AWS profile `dev` that assumes a role with them. An ordinary user's
    /// real one is left alone; theirs lies in the scratch directory.
    fn own_configuration(&self) {
        let config = format!("[profile dev]\nrole_arn = {OWN_ROLE}\nsource_profile = base\nregion = eu-west-1\n");
        self.configure(&config, &self.keys("base"));
    }

    /// Replaces Alice's AWS configuration.
    pub fn configure(&self, config: &str, credentials: &str) {
        let alice = self.machine.user("alice");
        self.machine.file(&alice, &self.aws("config"), 0o600, config);
        self.machine.file(&alice, &self.aws("credentials"), 0o600, credentials);
    }

    /// The keys of Alice's that the STS of the scene knows, in a section of this name.
    pub fn keys(&self, section: &str) -> String {
        let (key, secret) = &*ALICE;
        format!("[{section}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    }

    /// `agent-aws` at a terminal of Alice's, who types what the call has as standard input. Everything it says is in stdout.
    pub fn at_terminal(&self, arguments: &[&str]) -> Call {
        let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let program = self.machine.program();
        self.agent_aws(&[]).instead("/usr/bin/python3").args(&["-c", spawn]).arg(program).args(arguments)
    }

    /// A file of Alice's AWS configuration.
    pub fn aws(&self, name: &str) -> PathBuf {
        let home = match self.machine.is_private() {
            true => self.machine.user("alice").home,
            false => self.machine.scratch().to_path_buf(),
        };
        home.join(".aws").join(name)
    }

    /// The secret of the source that the identity of this mode comes from.
    pub fn secret(&self) -> &str {
        match self.machine.mode {
            Mode::Setuid => &WORKSTATION.1,
            Mode::Unprivileged => &ALICE.1,
        }
    }

    /// Options that choose the identity of this mode.
    pub fn identity(&self) -> [&'static str; 2] {
        match self.machine.mode {
            Mode::Setuid => ["--as", "incident"],
            Mode::Unprivileged => ["--profile", "dev"],
        }
    }

    /// The ARN without session name that the identity of this mode has.
    pub fn assumed(&self) -> String {
        let role = match self.machine.mode {
            Mode::Setuid => ROLE,
            Mode::Unprivileged => OWN_ROLE,
        };
        let name = role.rsplit('/').next().unwrap_or_default();
        format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/")
    }

    /// `agent-aws` as Alice, with her AWS configuration and the emulator as her STS.
    pub fn agent_aws(&self, arguments: &[&str]) -> Call {
        self.machine
            .agent_aws("alice", arguments)
            .env("AWS_CONFIG_FILE", self.aws("config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.aws("credentials"))
            .env("AWS_ENDPOINT_URL_STS", self.sts.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// `agent-aws run` as Alice with the identity of this mode.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Call {
        self.agent_aws(&["run"]).args(&self.identity()).args(options).arg("--").args(command)
    }

    /// Replaces the faults of the STS: the JSON that its control interface takes. `{}` ends them.
    pub fn set_faults(&self, faults: &str) {
        let faults = serde_json::from_str(faults).unwrap_or_else(|e| panic!("{faults}: {e}"));
        self.sts.set_faults(faults);
    }

    /// The same for a line of shell.
    pub fn sh(&self, script: &str) -> Call {
        self.run(&[], &["sh", "-c", script])
    }
}

fn emulator(lifetime: Option<u32>) -> Emulator {
    let user = |name: &str, (key, secret): &Key| json!({ "name": name, "account": ACCOUNT, "access_key_id": key, "secret_access_key": secret });
    let role = |arn: &str| json!({ "arn": arn, "trusted": ["*"], "max_session_duration": 43200, "allow_source_identity": true, "allow_tags": true });
    let mut alice = user("alice", &ALICE);
    alice["mfa_serial"] = DEVICE.into();
    alice["mfa_codes"] = json!(["123456", "234567"]);
    let guarded = json!({ "arn": GUARDED, "trusted": ["*"], "require_mfa": true });
    let base = json!({ "arn": BASE_ROLE, "trusted": ["*"], "web_identity_tokens": [TOKEN] });
    let config = json!({
        "users": [user("workstation", &WORKSTATION), alice],
        "roles": [role(ROLE), role(OWN_ROLE), guarded, base],
        "session_lifetime_seconds": lifetime,
        "minimum_duration": 1,
    });
    let config = Config::parse(&config.to_string(), "the scene").expect("a configuration of the emulator");
    Emulator::start(config, "127.0.0.1:0".parse().expect("an address")).expect("the emulator")
}
