//! Where the credentials of an identity of the policy may come from, and whom that must not be open to.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use agent_aws_harness::{BASE_ROLE, Case, Mode, Scene, Setup, TOKEN, case, suite};

const CASES: &[Case] = &[
    case!(a_program_of_the_admins_gives_them_without_knowing_of_the_caller).setuid(),
    case!(a_program_that_others_may_change_is_not_run).setuid(),
    case!(a_token_gives_them_and_is_read_again_at_each_refresh).setuid(),
    case!(a_token_that_others_may_read_is_not_used).setuid(),
    case!(an_instance_gives_them_and_the_agent_cannot_ask_it).setuid(),
    case!(a_container_gives_them_to_whoever_has_its_token).setuid(),
    case!(a_chain_in_the_file_is_followed).setuid(),
    case!(without_the_setuid_bit_no_such_source_is_used).unprivileged().private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

const SIGNER: &str = "/usr/local/libexec/signer";
const TOKEN_FILE: &str = "/etc/agent-aws/sources/token";

/// A scene whose identity has this source, for sessions of so many seconds.
fn with(mode: Mode, source: &str, lifetime: Option<u32>) -> Scene {
    let scene = Scene::with(mode, &Setup { lifetime, ..Setup::default() });
    let policy = scene.policy(&Setup::default());
    let usual = "profile-file = \"/etc/agent-aws/sources/workstation\"\nprofile = \"default\"\n";
    assert!(policy.contains(usual), "{policy}");
    scene.machine.policy(&policy.replace(usual, &format!("{source}\n")));
    scene
}

/// Keys of the user that the scene's usual source has, as a program prints them.
fn printed(scene: &Scene) -> String {
    let keys = fs::read_to_string("/etc/agent-aws/sources/workstation").unwrap();
    let value = |name: &str| {
        let line = keys.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches([' ', '=']).to_owned()
    };
    let _ = scene;
    let (key, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    format!("{{\"Version\":1,\"AccessKeyId\":\"{key}\",\"SecretAccessKey\":\"{secret}\"}}")
}

/// The actions that STS was asked, but for questions who one is.
fn asked(scene: &Scene) -> Vec<String> {
    scene.sts.requests().into_iter().map(|r| r.action).filter(|action| action != "GetCallerIdentity").collect()
}

fn works(scene: &Scene) {
    let client = scene.machine.tool("sts-whoami").display().to_string();
    let said = scene.run(&[], &[&client, &scene.sts.url()]).run().says();
    assert!(said.starts_with(&scene.assumed()), "{said}");
}

/// A program at its place, root's own.
fn signer(scene: &Scene, text: &str) -> PathBuf {
    scene.machine.root_file(Path::new(SIGNER), 0o755, format!("#!/bin/sh\n{text}\n"));
    SIGNER.into()
}

fn a_program_of_the_admins_gives_them_without_knowing_of_the_caller(mode: Mode) {
    let scene = with(mode, &format!("credential-process = [\"{SIGNER}\", \"--for\", \"a b\"]"), None);
    let json = printed(&scene);
    let notes = "/tmp/signer-notes";
    signer(
        &scene,
        &format!(
            "(id -u; echo \"$#:$2\"; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=; ls /proc/self/fd | wc -l) >{notes}\necho '{json}'"
        ),
    );
    works(&scene);
    let notes = fs::read_to_string(notes).unwrap();
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let broker = users.lines().find(|l| l.starts_with("_agent-aws:")).unwrap().split(':').nth(2).unwrap();
    let lines: Vec<&str> = notes.lines().collect();
    assert_eq!(lines[..3], [broker, "2:a b", "PATH=/usr/local/bin:/usr/bin:/bin"], "{notes}");
    assert_eq!(lines.len(), 4, "its environment: {notes}");
    signer(&scene, "echo no-such-thing >&2; exit 7");
    scene.run(&[], &["true"]).run().refused("exit status: 7");
}

fn a_program_that_others_may_change_is_not_run(mode: Mode) {
    let alice_path = "/home/alice/signer";
    for place in [SIGNER, alice_path] {
        let scene = with(mode, &format!("credential-process = [\"{place}\"]"), None);
        let json = printed(&scene);
        signer(&scene, &format!("touch /tmp/ran\necho '{json}'"));
        let path = Path::new(SIGNER);
        if place == alice_path {
            fs::copy(SIGNER, alice_path).unwrap();
            scene.run(&[], &["true"]).run().refused("is not root's own, or others may write to it");
        } else {
            works(&scene);
            fs::remove_file("/tmp/ran").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
            scene.run(&[], &["true"]).run().refused("can be changed by others");
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            chown(path, Some(scene.machine.user("alice").uid), None).unwrap();
            scene.run(&[], &["true"]).run().refused("is not owned by root");
            fs::remove_file(path).unwrap();
            symlink("/bin/echo", path).unwrap();
            scene.run(&[], &["true"]).run().refused("is a symbolic link");
        }
        assert!(!Path::new("/tmp/ran").exists(), "it was run");
    }
}

fn token_source() -> String {
    format!("web-identity-token-file = \"{TOKEN_FILE}\"\nweb-identity-role = \"{BASE_ROLE}\"")
}

fn a_token_gives_them_and_is_read_again_at_each_refresh(mode: Mode) {
    let scene = with(mode, &token_source(), Some(6));
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, TOKEN);
    works(&scene);
    assert_eq!(asked(&scene), ["AssumeRoleWithWebIdentity", "AssumeRole"]);
    let anonymous = scene.sts.requests().into_iter().find(|r| r.action == "AssumeRoleWithWebIdentity").unwrap();
    assert_eq!(anonymous.access_key_id, "");
    // What is there now is what counts: a wrong one is refused, the right one again serves.
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, "stale");
    scene.run(&[], &["true"]).run().refused("InvalidIdentityToken");
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, TOKEN);
    scene.sts.clear_requests();
    let client = scene.machine.tool("sts-whoami").display().to_string();
    let twice = format!("{client} {url} && sleep 9 && {client} {url}", url = scene.sts.url());
    scene.sh(&twice).run().ends(0);
    assert!(asked(&scene).iter().filter(|action| *action == "AssumeRoleWithWebIdentity").count() >= 2);
}

fn a_token_that_others_may_read_is_not_used(mode: Mode) {
    let scene = with(mode, &token_source(), None);
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o644, TOKEN);
    scene.run(&[], &["true"]).run().refused("it must have mode 0600");
    assert!(asked(&scene).is_empty());
}

/// Answers requests at an address of the machine's own.
fn serve(address: &str, answer: impl Fn(&str) -> (u16, String) + Send + 'static) {
    let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = BufReader::new(&stream).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let (status, body) = answer(&head.join("\n").to_ascii_lowercase());
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\
                 x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n",
                body.len()
            );
            let _ = (&stream).write_all((head + &body).as_bytes());
        }
    });
}

/// A session of the machine's role, as metadata services answer it.
fn session(scene: &Scene) -> String {
    let asked = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={BASE_ROLE}&RoleSessionName=i-0123456789&WebIdentityToken={TOKEN}"
    );
    let answer =
        scene.machine.call("alice", "/usr/bin/curl").args(&["-s", "-d", &asked, &scene.sts.url()]).run().says();
    let value = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{answer}"));
        rest.split_once('<').unwrap().0.to_owned()
    };
    scene.sts.clear_requests();
    let member = |name: &str, value: String| format!("\"{name}\":\"{value}\"");
    let members = [
        member("Code", "Success".into()),
        member("Type", "AWS-HMAC".into()),
        member("LastUpdated", "2026-01-01T00:00:00Z".into()),
        member("AccessKeyId", value("AccessKeyId")),
        member("SecretAccessKey", value("SecretAccessKey")),
        member("Token", value("SessionToken")),
        member("Expiration", value("Expiration")),
    ];
    format!("{{{}}}", members.join(","))
}

/// For the machine of this test. Before anything has a thread, which would stay in the other one.
fn a_network_of_its_own() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a network namespace");
    for words in ["link set lo up", "address add 169.254.169.254/32 dev lo"] {
        let words: Vec<&str> = words.split(' ').collect();
        assert!(Command::new("/usr/sbin/ip").args(words).status().unwrap().success());
    }
}

fn an_instance_gives_them_and_the_agent_cannot_ask_it(mode: Mode) {
    a_network_of_its_own();
    let scene = with(mode, "instance-role = true", None);
    let found = session(&scene);
    serve("169.254.169.254:80", move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        match path.as_str() {
            "/latest/api/token" if head.starts_with("put") => (200, "imds-1".into()),
            _ if !head.contains("x-aws-ec2-metadata-token: imds-1") => (401, String::new()),
            "/latest/meta-data/iam/security-credentials/" => (200, "machine".into()),
            "/latest/meta-data/iam/security-credentials/machine" => (200, found.clone()),
            _ => (404, String::new()),
        }
    });
    works(&scene);
    assert_eq!(asked(&scene), ["AssumeRole"]);
    let by = scene.sts.requests().into_iter().find(|r| r.action == "AssumeRole").unwrap();
    assert!(by.caller_arn.is_some_and(|arn| arn.contains("assumed-role/machine/i-0123456789")));
    let ask = "curl -s -m 3 -X PUT http://169.254.169.254/latest/api/token";
    let control = scene.machine.call("alice", "/bin/sh").args(&["-c", ask]).run();
    assert_eq!(control.stdout, "imds-1", "the control: {control}");
    assert_ne!(scene.sh(ask).run().stdout, "imds-1", "the agent has the machine's role");
}

fn a_container_gives_them_to_whoever_has_its_token(mode: Mode) {
    a_network_of_its_own();
    let at = "http://127.0.0.1:8089/v1/credentials";
    let source = format!("container-credentials = \"{at}\"\ncontainer-token-file = \"{TOKEN_FILE}\"");
    let scene = with(mode, &source, None);
    let found = session(&scene);
    serve("127.0.0.1:8089", move |head| match head.contains("authorization: pod-token") {
        true => (200, found.clone()),
        false => (403, String::new()),
    });
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, "pod-token\n");
    works(&scene);
    scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, "other\n");
    scene.run(&[], &["true"]).run().refused("status 403");
}

fn a_chain_in_the_file_is_followed(mode: Mode) {
    let scene = Scene::new(mode);
    let path = Path::new("/etc/agent-aws/sources/workstation");
    let keys = fs::read_to_string(path).unwrap().replace("[default]", "[keys]");
    let chain = format!("[default]\nrole_arn = {BASE_ROLE}\nsource_profile = keys\n{keys}");
    scene.machine.root_file(path, 0o600, &chain);
    works(&scene);
    assert_eq!(asked(&scene), ["AssumeRole", "AssumeRole"]);
}

fn without_the_setuid_bit_no_such_source_is_used(mode: Mode) {
    for source in [format!("credential-process = [\"{SIGNER}\"]"), token_source(), "instance-role = true".into()] {
        let scene = with(mode, &source, None);
        let json = printed(&scene);
        signer(&scene, &format!("touch /tmp/ran; echo '{json}'"));
        scene.machine.root_file(Path::new(TOKEN_FILE), 0o600, TOKEN);
        scene.agent_aws(&["run", "--as", "incident", "--", "true"]).run().refused("needs the setuid helper");
        assert!(asked(&scene).is_empty() && !Path::new("/tmp/ran").exists(), "{source}");
    }
}
