//! Inner sandboxes inside a sandbox with `nesting`: bubblewrap, the runtime of Claude Code and the one of Codex. Real
//! clients in them are the identity, by the FIFO door where sockets are forbidden.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::process::ExitCode;

use agent_aws_e2e::inside::placed;
use agent_aws_harness::{Case, Mode, Scene, Setup, Stage, case, suite};

use inside::Inside;

/// The probe of this package.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

const CASES: &[Case] = &[
    case!(inside_bubblewrap_every_door_is_there).private(),
    case!(inside_srt_clients_are_the_identity_by_the_fifo).private(),
    case!(inside_codex_clients_are_the_identity_by_the_fifo).private(),
    case!(inside_codex_that_may_write_they_are_too).private(),
    case!(in_no_inner_sandbox_is_anything_there_that_is_hidden).private(),
    case!(without_nesting_no_inner_sandbox_starts).private(),
];

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    let there = |deps: &std::path::PathBuf| {
        ["inner/node_modules/.bin/srt", "inner/node_modules/.bin/codex", "venv/bin/python"]
            .iter()
            .all(|name| deps.join(name).exists())
    };
    if deps.as_ref().is_none_or(there) {
        return suite(CASES);
    }
    let reason = "the inner sandboxes could not be had: @anthropic-ai/sandbox-runtime, @openai/codex, and boto3";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";

/// What the policy of these tests adds: a sandbox that admits sandboxes, and hides something.
const NESTING: &str = r#"
[sandbox.nesting]
home = "agent"
network = "shared"
rw-paths = ["/"]
hide = ["~/src/project/hidden"]
nesting = true

[[allow]]
users = ["alice"]
identities = ["incident", "own:*"]
sandbox = "nesting"
"#;

/// Says why the socket's door is shut.
const KNOCK: &str = r#"
import errno, socket
try:
    s = socket.socket(socket.AF_UNIX); s.connect("/run/agent-aws/credentials.sock"); print("ok", len(s.recv(65536)) > 100)
except OSError as e: print(errno.errorcode[e.errno])
"#;

/// Signs a question to STS with what boto3 finds, and prints the headers: there is no network to ask it.
const SIGN: &str = r#"
import boto3, json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
found = boto3.Session().get_credentials()
request = AWSRequest("POST", sys.argv[1], data="Action=GetCallerIdentity&Version=2011-06-15", headers={"Content-Type": "application/x-www-form-urlencoded"})
SigV4Auth(found.get_frozen_credentials(), "sts", "eu-west-1").add_auth(request)
print(json.dumps({"method": found.method, "headers": dict(request.headers)}))
"#;

/// Asks it, outside of the inner sandbox.
const ASK: &str = r#"
import json, sys, urllib.request as u
signed = json.load(open(sys.argv[2]))
request = u.Request(sys.argv[1], data=b"Action=GetCallerIdentity&Version=2011-06-15", headers=signed["headers"])
print(signed["method"], u.urlopen(request).read().decode().split("<Arn>")[1].split("</Arn>")[0])
"#;

/// A session that admits inner sandboxes.
struct Nest {
    scene: Scene,
    inside: Inside,
    deps: String,
}

impl Nest {
    fn new(mode: Mode) -> Self {
        let scene = Scene::with(mode, &Setup { policy: NESTING.into(), ..Setup::default() });
        let inside = Inside::new(&scene, &["--sandbox", "nesting"]);
        let deps = scene.machine.deps().expect("they are there, or the test is skipped").display().to_string();
        let nest = Self { scene, inside, deps };
        let settings = r#"{"network": {"allowedDomains": [], "deniedDomains": []}, "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []}}"#;
        for (name, text) in [("knock.py", KNOCK), ("sign.py", SIGN), ("ask.py", ASK), ("srt.json", settings)] {
            let alice = nest.scene.machine.user("alice");
            nest.scene.machine.file(&alice, &nest.scene.machine.project(&alice).join(name), 0o644, text);
        }
        nest
    }

    fn codex(&self, options: &str) -> String {
        format!("{}/inner/node_modules/.bin/codex sandbox {options} --", self.deps)
    }

    fn srt(&self) -> String {
        format!("{}/inner/node_modules/.bin/srt --settings srt.json", self.deps)
    }

    /// Real clients in an inner sandbox are the session's identity, and `knocked` is what the socket says there.
    #[track_caller]
    fn clients_are_the_identity(&mut self, inner: &str, knocked: &str) {
        let python = format!("{}/venv/bin/python", self.deps);
        let outer = self.inside.does(CLIENT).well();
        assert_eq!(self.inside.does("/usr/bin/python3 knock.py").well(), "ok True");
        assert_eq!(self.inside.does(&format!("{inner} /usr/bin/python3 knock.py")).well(), knocked);
        assert_eq!(self.inside.does(&format!("{inner} {CLIENT} 2>/dev/null")).well(), outer);
        let url = self.scene.sts.url();
        self.inside.does(&format!("{inner} {python} sign.py {url} 2>/dev/null >signed.json")).well();
        let said = self.inside.does(&format!("/usr/bin/python3 ask.py {url} signed.json")).well();
        let assumed = format!("custom-process {}", self.scene.assumed());
        assert!(said.starts_with(&assumed), "{said}");
        // The AWS CLI, asked where it has them from.
        let key = outer.split('"').nth(5).expect("an access key id");
        let said = self.inside.does(&format!("{inner} {python} -m awscli configure list 2>/dev/null")).well();
        let line = said.lines().find(|line| line.trim_start().starts_with("access_key")).expect("a line");
        assert!(line.contains(&key[key.len() - 4..]) && line.contains("custom-process"), "{said}");
    }
}

fn inside_bubblewrap_every_door_is_there(mode: Mode) {
    let mut nest = Nest::new(mode);
    let bwrap = "bwrap --ro-bind / / --dev /dev --proc /proc --unshare-user --unshare-pid --die-with-parent --";
    nest.clients_are_the_identity(bwrap, "ok True");
    let without = format!("{bwrap} {} without-sockets", placed(&nest.scene, PROBE));
    nest.clients_are_the_identity(&without, "EPERM");
}

fn inside_srt_clients_are_the_identity_by_the_fifo(mode: Mode) {
    let mut nest = Nest::new(mode);
    let srt = nest.srt();
    nest.clients_are_the_identity(&srt, "EPERM");
}

fn inside_codex_clients_are_the_identity_by_the_fifo(mode: Mode) {
    let mut nest = Nest::new(mode);
    let codex = nest.codex("");
    nest.clients_are_the_identity(&codex, "EPERM");
    nest.inside.does(&format!("{codex} touch written")).badly();
}

fn inside_codex_that_may_write_they_are_too(mode: Mode) {
    let mut nest = Nest::new(mode);
    let codex = nest.codex("-c sandbox_mode=workspace-write");
    nest.clients_are_the_identity(&codex, "EPERM");
    nest.inside.does(&format!("{codex} touch written")).well();
}

/// Not plainly, and not after what a root of a namespace in the inner sandbox may try. More ways are tried in
/// `nested_masks.rs`.
fn in_no_inner_sandbox_is_anything_there_that_is_hidden(mode: Mode) {
    const SECRET: &str = "hidden-words-of-somebody";
    let mut nest = Nest::new(mode);
    let alice = nest.scene.machine.user("alice");
    let project = nest.scene.machine.project(&alice);
    nest.scene.machine.file(&alice, &project.join("hidden/words"), 0o644, SECRET);
    // Policy hides what is there when a session begins.
    nest.inside = Inside::new(&nest.scene, &["--sandbox", "nesting"]);
    let look = "cat hidden/words /tmp/t/hidden/words /proc/1/root$PWD/hidden/words";
    let tries = format!(
        "{look}; unshare --user --map-root-user --mount sh -c \"mkdir -p /tmp/t; umount -l hidden; mount --bind . /tmp/t; {look}; \
         mount --rbind . /tmp/t; umount /tmp/t/hidden; {look}; mount -t tmpfs none hidden; umount hidden; umount hidden; {look}\"; \
         echo tried; true"
    );
    nest.scene.machine.file(&alice, &project.join("tries.sh"), 0o644, &tries);
    let control = nest.scene.machine.call("alice", "/bin/sh").arg("tries.sh").cwd(&project).run();
    assert!(control.stdout.contains(SECRET), "{control}");
    let bwrap = "bwrap --bind / / --dev /dev --proc /proc --unshare-user --unshare-pid --cap-add ALL --".to_owned();
    for inner in [bwrap, nest.srt(), nest.codex(""), nest.codex("-c sandbox_mode=workspace-write")] {
        let said = nest.inside.does(&format!("{inner} /bin/sh tries.sh")).well();
        assert!(said.contains("tried") && !said.contains(SECRET), "{inner}: {said}");
    }
}

/// The control of all of the above: it is the policy that lets them start.
fn without_nesting_no_inner_sandbox_starts(mode: Mode) {
    let mut nest = Nest::new(mode);
    let (codex, srt) = (nest.codex(""), nest.srt());
    nest.inside = Inside::new(&nest.scene, &["--sandbox", "standard"]);
    for inner in ["bwrap --ro-bind / / --", &codex, &srt] {
        let said = nest.inside.does(&format!("{inner} echo started-well")).badly();
        assert!(!said.lines().any(|line| line == "started-well"), "{said}");
    }
}
