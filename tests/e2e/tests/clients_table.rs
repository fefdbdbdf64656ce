//! Every client of the table inside, by each door that it can use: the emulator saw requests that were signed, rightly,
//! with the key of the session. And controls: without that door there is none.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;
#[path = "parts/relay.rs"]
mod relay;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::aws_clients::{Client, tested};
use agent_aws_harness::{Case, Mode, Scene, Setup, Stage, suite};
use agent_aws_workloads::{Script, absent};

use inside::{Inside, Said};
use relay::Relay;

/// A client starts slowly on a busy machine, and each is started often.
const LIMIT: u64 = 240;
/// The client of the doors.
const DOORS: &str = "/run/agent-aws/agent-aws-credentials";
/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:9";

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let case = |client: Client| {
        let case = Case::row(client.name, trial).limit(LIMIT);
        match absent(client.needs(), deps.as_deref()) {
            Some(why) => case.ignored(why.leak()),
            None => case,
        }
    };
    suite(tested().map(case).collect::<Vec<_>>().leak())
}

fn trial(name: &'static str, mode: Mode) {
    let place = Place::new(mode, Client::find(name));
    if place.client.uses_socket() {
        by_the_socket(&place);
    }
    if place.client.uses_http() {
        by_http(&place);
    }
}

/// The only door: the network is the machine's, and the descriptor is not told.
fn by_the_socket(place: &Place) {
    let mut inside = place.session(&[]);
    inside.does("unset AGENT_AWS_FD").well();
    assert_eq!(inside.does("env | grep AWS_CONTAINER").text, "", "this is to be the only door");
    place.served("by the socket", &mut inside, "");
    place.nobody("without the configuration", &mut inside, "export AWS_CONFIG_FILE=/dev/null");
    let alias = match place.scene.machine.mode {
        Mode::Setuid => "prod-readonly",
        Mode::Unprivileged => "dev",
    };
    place.served("as an alias", &mut inside, &format!("export AWS_PROFILE={alias}"));
    place.nobody("as somebody else", &mut inside, "export AWS_PROFILE=administrator");
    let said = inside.does(&place.chain());
    place.assert_served("at the end of a chain", &said, &place.key(&mut inside));
}

/// First with both doors, then this one only.
fn by_http(place: &Place) {
    let relay = Relay::new(&place.scene.machine, &place.scene.sts.url());
    let mut inside = place.session(&["--network", "none"]);
    relay.begin(&mut inside);
    inside.does("unset AGENT_AWS_FD").well();
    place.served("with both doors", &mut inside, &format!("export AWS_CONFIG_FILE={}", place.marking().display()));
    let asked = place.marked();
    assert_eq!(asked, place.client.asks_socket_first(), "whether the socket was asked, with both doors");
    inside.does("export AWS_CONFIG_FILE=/dev/null").well();
    place.served("by HTTP", &mut inside, "");
    place.nobody("without the address", &mut inside, "unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].map(|name| format!("{name}={DEAD}"));
    place.nobody_else("as somebody else", &mut inside, "export AWS_PROFILE=administrator");
    // The emulator has no name; nor has a proxy that would lead to it.
    let none = ["NO_PROXY", "no_proxy"].map(|name| format!("{name}=${name},127.0.0.1"));
    place.served("past a dead proxy", &mut inside, &format!("export {} {}", proxies.join(" "), none.join(" ")));
}

/// A scene, and a client in it.
struct Place {
    scene: Scene,
    client: Client,
    script: Script,
    deps: String,
    project: PathBuf,
}

impl Place {
    fn new(mode: Mode, client: Client) -> Self {
        let setup = Setup { identity: "aliases = [\"prod-readonly\"]".into(), ..Setup::default() };
        let scene = Scene::with(mode, &setup);
        let deps = scene.machine.deps().map(|deps| deps.display().to_string()).unwrap_or_default();
        let project = scene.machine.project(&scene.machine.user("alice"));
        let place = Self { scene, client, script: client.script(), deps, project };
        place.write("client.sh", place.script.run());
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let (machine, path) = (&self.scene.machine, self.project.join(name));
        machine.file(&machine.user("alice"), &path, 0o755, text);
        path
    }

    /// A session in which `$URL` is the emulator, and the clients are in sight.
    fn session(&self, options: &[&str]) -> Inside {
        let mut all = options.to_vec();
        if !self.scene.machine.is_private() && !self.deps.is_empty() {
            all.extend(["--ro", &self.deps]);
        }
        let mut inside = Inside::new(&self.scene, &all);
        let tools = self.scene.machine.tool("sdk-whoami");
        let tools = tools.parent().unwrap_or(Path::new("/")).display().to_string();
        let variables = [("URL", &self.scene.sts.url()), ("DEPS", &self.deps), ("TOOLS", &tools)];
        let variables = variables.map(|(name, value)| format!("{name}={value}"));
        inside.does(&format!("export {}", variables.join(" "))).well();
        inside
    }

    /// The id of the key that the session has.
    #[track_caller]
    fn key(&self, inside: &mut Inside) -> String {
        let key = inside.does(&format!(r#"{DOORS} | sed 's/.*"AccessKeyId":"\([A-Z0-9]*\)".*/\1/'"#)).well();
        let issued = self.scene.sts.issued();
        assert!(issued.iter().any(|session| session.access_key_id == key), "{key}: {issued:#?}");
        key
    }

    /// Runs the client after a line of shell that is for it alone.
    #[track_caller]
    fn run(&self, inside: &mut Inside, before: &str) -> Said {
        self.scene.sts.clear_requests();
        inside.does(&format!("({}; sh {})", or_true(before), self.project.join("client.sh").display()))
    }

    /// It runs as the session's identity.
    #[track_caller]
    fn served(&self, how: &str, inside: &mut Inside, before: &str) {
        let key = self.key(inside);
        let said = self.run(inside, before);
        self.assert_served(how, &said, &key);
    }

    #[track_caller]
    fn assert_served(&self, how: &str, said: &Said, key: &str) {
        let requests = self.scene.sts.requests();
        let of_session = |arn: &Option<String>| arn.as_ref().is_some_and(|arn| arn.starts_with(&self.scene.assumed()));
        let signed = requests.iter().filter(|r| r.access_key_id == key && of_session(&r.caller_arn)).count();
        let name = self.client.name;
        assert!(signed > 0 && signed == requests.len(), "{name} {how}: {requests:#?}\n{}", said.text);
        let missing = self.script.expect().find(|line| !said.text.contains(line));
        assert_eq!(missing, None, "{name} {how}: {}", said.text);
    }

    /// It has no credentials, and asks AWS nothing.
    #[track_caller]
    fn nobody(&self, how: &str, inside: &mut Inside, before: &str) {
        let said = self.run(inside, before).badly();
        let requests = self.scene.sts.requests();
        let signed = requests.iter().any(|request| !request.access_key_id.is_empty());
        assert!(!signed, "{} {how}: {requests:#?}\n{said}", self.client.name);
    }

    /// It may have the session's credentials, where it does not mind that it asked for others, and no other ones.
    #[track_caller]
    fn nobody_else(&self, how: &str, inside: &mut Inside, before: &str) {
        let key = self.key(inside);
        let said = self.run(inside, before);
        let requests = self.scene.sts.requests();
        let other = requests.iter().any(|request| !["", &key].contains(&&*request.access_key_id));
        assert!(!other, "{} {how}: {requests:#?}\n{}", self.client.name, said.text);
    }

    /// A JavaScript runtime, Bash, Python and a session of its own before the client. Descriptors are lost on the way.
    fn chain(&self) -> String {
        let python = "import subprocess, sys; sys.exit(subprocess.call(['setsid', '--wait', 'sh', 'client.sh']))";
        self.write("chain.py", python);
        let script = "process.exit(require('child_process').spawnSync('/bin/bash', ['-c', '/usr/bin/python3 chain.py; exit $?'], { stdio: 'inherit' }).status)";
        let script = self.write("chain.js", script);
        let bun = format!("{}/workloads/node_modules/.bin/bun", self.deps);
        let runtime = match (self.scene.machine.mode, Path::new(&bun).exists()) {
            (Mode::Unprivileged, true) => &bun,
            (Mode::Unprivileged, false) => {
                println!("note: bun could not be had: the chain begins with node");
                "/usr/bin/node"
            }
            (Mode::Setuid, _) => "/usr/bin/node",
        };
        self.scene.sts.clear_requests();
        format!("cd {} && {runtime} {}", self.project.display(), script.display())
    }

    /// A configuration like the generated one whose process notes that it was asked.
    fn marking(&self) -> PathBuf {
        let mark = self.project.join("marked");
        let marker = self.write("marker.sh", &format!("#!/bin/sh\n: >{}\nexec {DOORS}\n", mark.display()));
        let text = format!("[default]\nregion = eu-west-1\ncredential_process = {}\n", marker.display());
        self.write("marking.ini", &text)
    }

    fn marked(&self) -> bool {
        self.project.join("marked").exists()
    }
}

fn or_true(line: &str) -> &str {
    if line.is_empty() { "true" } else { line }
}
