//! Real clients inside, against moto with signatures enforced: each is the assumed role at each door that it can use,
//! and none of them finds a key.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;
#[path = "parts/moto.rs"]
mod moto;
#[path = "parts/relay.rs"]
mod relay;

use std::process::ExitCode;

use agent_aws_harness::{Case, Mode, Setup, Stage, case, suite};

use inside::Inside;
use moto::Moto;
use relay::Relay;

const CASES: &[Case] = &[
    case!(moto_believes_no_wrong_signature),
    case!(each_client_is_the_role_by_credential_process),
    case!(each_client_is_the_role_by_the_container_endpoint),
    case!(the_inherited_descriptor_serves_children_that_keep_it),
    case!(a_chain_of_programs_keeps_the_identity),
    case!(an_alias_is_the_identity_and_any_other_profile_is_nobody),
    case!(no_profile_is_another_identity_at_the_container_endpoint),
    case!(a_dead_proxy_does_not_keep_credentials_away),
    case!(a_cleaned_environment_is_nobody).private(),
    case!(no_file_environment_or_command_line_holds_a_key),
];

fn main() -> ExitCode {
    let deps = Stage::find().ok().and_then(|stage| Some(stage.tools().parent()?.join("test-deps")));
    if deps.is_none_or(|deps| deps.join("venv/bin/moto_server").exists() && deps.join("npm/node_modules").exists()) {
        return suite(CASES);
    }
    let reason = "the real clients could not be had: boto3, awscli, moto and @aws-sdk/client-sts";
    suite(CASES.iter().map(|case| case.ignored(reason)).collect::<Vec<_>>().leak())
}

/// A session in which `$URL` is moto.
fn session(moto: &Moto, options: &[&str]) -> Inside {
    let mut inside = Inside::of(&moto.run(options, &Inside::COMMAND));
    inside.does(&format!("export URL={}", moto.url)).well();
    inside
}

/// The same in a network of its own.
fn session_apart(moto: &Moto, options: &[&str]) -> Inside {
    let relay = Relay::new(&moto.scene.machine, &moto.url);
    let mut inside = session(moto, &[options, &["--network", "none"]].concat());
    relay.begin(&mut inside);
    inside
}

fn moto_believes_no_wrong_signature(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session(&moto, &[]);
    let keys = "AWS_CONFIG_FILE=/dev/null AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wrong";
    for (name, client) in moto.clients() {
        let said = inside.does(&format!("{keys} {client}")).badly();
        assert!(said.contains("InvalidClientTokenId") || said.contains("security token"), "{name}: {said}");
    }
}

fn each_client_is_the_role_by_credential_process(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session(&moto, &[]);
    let other_doors = inside.does("env | grep AWS_CONTAINER").text;
    assert_eq!(other_doors, "", "this is to be the only door");
    for (name, client) in moto.clients() {
        moto.assert_assumed(name, &inside.does(&client).well());
        inside.does(&format!("AWS_CONFIG_FILE=/dev/null; {client}")).badly();
        inside.does("AWS_CONFIG_FILE=/run/agent-aws/config").well();
    }
}

fn each_client_is_the_role_by_the_container_endpoint(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session_apart(&moto, &[]);
    inside.does("export AWS_CONFIG_FILE=/dev/null").well();
    for (name, client) in moto.clients() {
        moto.assert_assumed(name, &inside.does(&client).well());
        let without = format!("(unset AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; {client})");
        inside.does(&without).badly();
    }
}

/// Through the descriptor only: the socket is named wrongly. Python keeps what it is told to keep, node keeps high
/// numbers, and so the JavaScript SDK uses it without knowing.
fn the_inherited_descriptor_serves_children_that_keep_it(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session(&moto, &[]);
    inside.does("export AGENT_AWS_SOCKET=/tmp/nothing").well();
    let client = "/run/agent-aws/agent-aws-credentials";
    let python = |more: &str| {
        format!(
            r#"/usr/bin/python3 -c 'import os, subprocess; subprocess.run(["{client}"], check=True{more})' | grep -o '"SessionToken"'"#
        )
    };
    inside.does(&python(r#", pass_fds=[int(os.environ["AGENT_AWS_FD"])]"#)).well();
    inside.does(&python("")).badly();
    let [.., (name, javascript)] = moto.clients();
    moto.assert_assumed(name, &inside.does(&javascript).well());
    inside.does(&format!("(exec 100>&-; {javascript})")).badly();
}

fn a_chain_of_programs_keeps_the_identity(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session(&moto, &[]);
    let machine = &moto.scene.machine;
    let script = machine.project(&machine.user("alice")).join("chain.js");
    for (name, client) in moto.clients() {
        let python = format!("import os, sys; sys.exit(os.waitstatus_to_exitcode(os.system({client:?})))");
        let chain = format!(
            "const {{ execFileSync }} = require('child_process'); const python = {python:?}; \
             process.stdout.write(execFileSync('/bin/bash', ['-c', '/usr/bin/python3 -c \"$0\"; exit $?', python]))"
        );
        machine.file(&machine.user("alice"), &script, 0o644, chain);
        let said = inside.does(&format!("/usr/bin/node {}", script.display())).well();
        moto.assert_assumed(name, &said);
    }
}

fn an_alias_is_the_identity_and_any_other_profile_is_nobody(mode: Mode) {
    let setup = Setup { identity: "aliases = [\"prod-readonly\"]".into(), ..Setup::default() };
    let moto = Moto::new(mode, &setup);
    let mut inside = session(&moto, &[]);
    let names: &[&str] = match mode {
        Mode::Setuid => &["prod-readonly", "incident"],
        Mode::Unprivileged => &["dev"],
    };
    for (name, client) in moto.clients() {
        for profile in names {
            let said = inside.does(&format!("AWS_PROFILE={profile} {client}")).well();
            moto.assert_assumed(name, &said);
        }
        let said = inside.does(&format!("AWS_PROFILE=administrator {client}")).badly();
        // The JavaScript SDK only says that it found nothing.
        let why = if name.starts_with("JS") { "not load credentials" } else { "(administrator)" };
        assert!(said.contains(why) && !said.contains("arn:"), "{name}: {said}");
    }
}

/// botocore wants the profile to be there. The JavaScript SDK goes on to the endpoint, which takes no name: what it gets
/// is the one identity.
fn no_profile_is_another_identity_at_the_container_endpoint(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session_apart(&moto, &[]);
    for (name, client) in moto.clients() {
        let said = inside.does(&format!("AWS_PROFILE=administrator {client}"));
        match name.starts_with("JS") {
            true => moto.assert_assumed(name, &said.well()),
            false => assert!(said.badly().contains("(administrator)"), "{name}"),
        }
    }
}

fn a_dead_proxy_does_not_keep_credentials_away(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let dead = "http://127.0.0.1:9";
    let proxies = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"].map(|name| format!("{name}={dead}"));
    let mut options: Vec<&str> = proxies.iter().flat_map(|proxy| ["--env", proxy]).collect();
    options.extend(["--env", "NO_PROXY=127.0.0.1"]);
    let mut inside = session_apart(&moto, &options);
    inside.does("export AWS_CONFIG_FILE=/dev/null").well();
    let fetch = r#"/usr/bin/python3 -c 'import os, urllib.request as u; print(len(u.urlopen("http://169.254.170.2" + os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]).read()) > 100)'"#;
    assert_eq!(inside.does(fetch).well(), "True");
    inside.does(&format!("env -u NO_PROXY -u no_proxy {fetch}")).badly();
    for (name, client) in moto.clients() {
        moto.assert_assumed(name, &inside.does(&client).well());
    }
}

/// A program that throws its environment away falls back to nobody, not to the AWS profile `[default]` of the caller's.
fn a_cleaned_environment_is_nobody(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let clean = "env -i PATH=/usr/bin:/bin AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1";
    let outside = |client: &str| {
        let line = format!("export URL={}; {clean} URL=$URL {client}", moto.url);
        moto.scene.machine.call("alice", "/bin/sh").args(&["-c", &line]).run().says()
    };
    let mut inside = session(&moto, &[]);
    for (name, client) in moto.clients() {
        let with_keys = outside(&client);
        assert!(with_keys.ends_with(":user/workstation"), "{name}, outside: {with_keys}");
        let said = inside.does(&format!("{clean} URL=$URL {client}")).badly();
        assert!(!said.contains("arn:"), "{name}: {said}");
    }
}

/// Walks everything that a key might have been left in, and looks for the secrets that it reads from stdin. It prints
/// where it found one.
const SEARCH: &str = r#"
import glob, json, os, stat, sys
answer = json.load(sys.stdin)
secrets = [answer["SecretAccessKey"].encode(), answer["SessionToken"].encode(), bytes.fromhex(sys.argv[1])]
places = ["/run", "/tmp", "/var/tmp", "/dev/shm", "/home", "/etc", os.environ["HOME"], os.getcwd()]
files = [os.path.join(d, f) for place in places for d, _, names in os.walk(place) for f in names]
files += [f for name in ("environ", "cmdline") for f in glob.glob("/proc/[0-9]*/" + name)]
read = 0
for name in files:
    try:
        if not (name.startswith("/proc") or stat.S_ISREG(os.lstat(name).st_mode)): continue
        data = open(name, "rb").read()
    except OSError: continue
    read += 1
    if any(s in data for s in secrets): print("found in", name)
print("read", "many" if read > 50 else read)
"#;

fn no_file_environment_or_command_line_holds_a_key(mode: Mode) {
    let moto = Moto::new(mode, &Setup::default());
    let mut inside = session(&moto, &[]);
    let machine = &moto.scene.machine;
    let alice = machine.user("alice");
    let search = machine.project(&alice).join("search.py");
    machine.file(&alice, &search, 0o644, SEARCH);
    for (name, client) in moto.clients() {
        moto.assert_assumed(name, &inside.does(&client).well());
    }
    // Hexadecimal, or the search would find itself.
    let hex: String = moto.secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let search = format!("/run/agent-aws/agent-aws-credentials | /usr/bin/python3 {} {hex}", search.display());
    assert_eq!(inside.does(&search).well(), "read many");
    // It would have found one.
    inside.does("/run/agent-aws/agent-aws-credentials >/tmp/planted").well();
    inside.does("export PLANTED=\"$(cat /tmp/planted)\"; sh -c 'while sleep 0.2; do :; done' & true").well();
    let said = inside.does(&search).well();
    assert!(said.contains("found in /tmp/planted") && said.contains("/environ"), "{said}");
    machine.file(&alice, &machine.project(&alice).join("of-the-source"), 0o644, &moto.secret);
    let said = inside.does(&format!("rm /tmp/planted; {search}")).well();
    assert!(said.contains("of-the-source"), "{said}");
}
