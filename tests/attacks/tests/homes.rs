//! The caller's real home, where policy gives it: without what is secret in it, and without whom one could talk to there.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use agent_aws_attacks::promised;
use agent_aws_e2e::inside::{inside, outside, root};
use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(a_real_home_that_is_read_only_answers_nobody_and_shows_no_secret).private(),
    case!(a_real_home_answers_nobody_and_shows_no_secret).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Everything that is tried in a home, one word for each that succeeds.
const ATTACK: &str = r#"
cd; for f in .aws/credentials .ssh/id_ed25519 .kube/config .config/gh/hosts.yml .bash_history stored elsewhere/kube linked/credentials; do
  cat $f >/dev/null 2>&1 && echo read $f; done
for s in .gnupg/S.gpg-agent app/server.sock; do
  python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' $s 2>/dev/null && echo connected $s; done
timeout 1 sh -c 'echo x > app/fifo' 2>/dev/null && echo wrote app/fifo
cat notes.txt
(echo more >> notes.txt) 2>/dev/null && echo changed notes.txt
true
"#;

/// A home as people have it, and what comes of the attack outside of a sandbox, behind a read-only bind, and inside.
#[track_caller]
fn attacked(mode: Mode, home: &str) -> String {
    let scene = Scene::new(mode);
    let policy = scene.policy(&Setup::default()).replace(r#"home = "agent""#, &format!(r#"home = "{home}""#));
    scene.machine.policy(&policy);
    let alice = scene.machine.user("alice");
    for name in [".ssh/id_ed25519", ".kube/config", ".config/gh/hosts.yml", ".bash_history", "elsewhere/kube", "app/x"]
    {
        scene.machine.file(&alice, &alice.home.join(name), 0o600, "secret\n");
    }
    scene.machine.file(&alice, &alice.home.join("notes.txt"), 0o644, "notes\n");
    // Other names for a store: a link to it, and a file that a variable names.
    symlink(alice.home.join(".aws"), alice.home.join("linked")).unwrap();
    symlink(alice.home.join(".ssh/id_ed25519"), alice.home.join("stored")).unwrap();
    let _listeners: Vec<UnixListener> = [".gnupg/S.gpg-agent", "app/server.sock"]
        .map(|name| {
            let place = alice.home.join(name);
            scene.machine.directory(&alice, place.parent().unwrap());
            let listener = UnixListener::bind(&place).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
            listener
        })
        .into();
    let fifo = alice.home.join("app/fifo").display().to_string();
    root(&["mkfifo", "-m", "666", &fifo]);
    // Somebody reads there: a writer would wait otherwise.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let named = |call: Call| call.env("KUBECONFIG", alice.home.join("elsewhere/kube"));
    let words = |call: Call| named(call).run().ends(0).stdout.trim_end().replace('\n', ", ");
    let control = words(outside(&scene, ATTACK));
    assert!(control.contains("changed notes.txt"), "the control: {control}");
    let bwrap = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "bash", "-c", ATTACK];
    let control = words(scene.machine.call("alice", "/usr/bin/bwrap").args(&bwrap));
    for open in [
        "read .aws/credentials", "read elsewhere/kube", "connected .gnupg/S.gpg-agent", "connected app/server.sock",
        "wrote app/fifo",
    ] {
        assert!(control.contains(open), "the control: {open}: {control}");
    }
    let seen = words(inside(&scene, &[], ATTACK));
    let text = fs::read_to_string(alice.home.join("notes.txt")).unwrap();
    assert_eq!(text.matches("more").count(), 1 + seen.matches("changed").count(), "{seen}");
    seen.replace(", more", "")
}

/// DESIGN: a read-only bind does not stop connect(2).
fn a_real_home_that_is_read_only_answers_nobody_and_shows_no_secret(mode: Mode) {
    assert_eq!(attacked(mode, "real-read-only"), promised!(mode));
}

fn a_real_home_answers_nobody_and_shows_no_secret(mode: Mode) {
    assert_eq!(attacked(mode, "real"), promised!(mode));
}
