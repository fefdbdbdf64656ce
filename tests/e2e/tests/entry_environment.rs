//! Entry conditions 22 to 24: the environment that a caller starts the helper with.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::start::{Start, nothing_is_left, pid_of, request};
use agent_aws_harness::{Case, Mode, SOON, Scene, case, suite, until};
use agent_aws_protocol::{CliToHelper, Request};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

const CASES: &[Case] = &[
    case!(no_variable_makes_the_helper_open_a_file).setuid(),
    case!(no_variable_changes_what_is_said_or_done),
    case!(an_environment_of_odd_entries_is_no_obstacle),
    case!(only_listed_variables_reach_the_agent),
    case!(a_value_of_a_mebibyte_starts_nothing_and_the_longest_is_harmless),
    case!(nothing_of_the_callers_environment_reaches_the_broker_of_a_system_source).setuid(),
    case!(a_proxy_or_endpoint_of_the_callers_is_never_called_for_a_system_source).setuid(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Case 22: what the loader, the C library, Rust and others read, each leading into `trap`.
fn hostile(trap: &Path) -> Vec<OsString> {
    let trap = trap.display();
    [
        format!("LD_PRELOAD={trap}/x.so"),
        format!("LD_AUDIT={trap}/x.so"),
        format!("LD_LIBRARY_PATH={trap}"),
        "LD_DEBUG=all".into(),
        format!("LD_DEBUG_OUTPUT={trap}/debug"),
        format!("LD_PROFILE_OUTPUT={trap}"),
        "LD_BIND_NOW=1".into(),
        "GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.perturb=85".into(),
        format!("GCONV_PATH={trap}"),
        format!("LOCPATH={trap}"),
        format!("NLSPATH={trap}/%N"),
        "LANG=../../x".into(),
        "LC_ALL=../../x".into(),
        format!("TZ=:{trap}/zone"),
        format!("TZDIR={trap}"),
        format!("TMPDIR={trap}"),
        format!("HOSTALIASES={trap}/hosts"),
        "RES_OPTIONS=debug".into(),
        "MALLOC_CHECK_=3".into(),
        "MALLOC_TRACE=/tmp/trace".into(),
        "RUST_BACKTRACE=full".into(),
        "RUST_LOG=trace".into(),
        "RUST_MIN_STACK=1".into(),
        format!("BASH_ENV={trap}/bash"),
        format!("ENV={trap}/sh"),
        "IFS=/".into(),
        "PS4=$(id)".into(),
    ]
    .map(OsString::from)
    .to_vec()
}

fn with(mut start: Start, entries: &[OsString]) -> Start {
    start.environment.extend(entries.iter().cloned());
    start
}

/// A directory of Alice's in which every opened file is noticed.
fn trap(scene: &Scene) -> (PathBuf, Inotify) {
    let alice = scene.machine.user("alice");
    let place = scene.machine.project(&alice).join("trap");
    for name in ["x.so", "zone", "hosts", "bash", "sh", "gconv-modules"] {
        scene.machine.file(&alice, &place.join(name), 0o755, "nothing\n");
    }
    let notify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
    notify.add_watch(&place, AddWatchFlags::IN_OPEN | AddWatchFlags::IN_ACCESS | AddWatchFlags::IN_CREATE).unwrap();
    (place, notify)
}

/// Files that were opened in the trap since the last time; the directory itself has no name.
fn opened(notify: &Inotify) -> BTreeSet<OsString> {
    let mut names = BTreeSet::new();
    loop {
        match notify.read_events() {
            Ok(events) => names.extend(events.into_iter().filter_map(|event| event.name)),
            Err(Errno::EAGAIN) => return names,
            Err(e) => panic!("{e}"),
        }
    }
}

/// Case 22, CVE-2014-9680 and CVE-2017-1000366: files of the caller's choice, opened by a process that is root. Without
/// the setuid bit a caller may load into their own process what they like.
fn no_variable_makes_the_helper_open_a_file(mode: Mode) {
    let scene = Scene::new(mode);
    let (place, notify) = trap(&scene);
    let entries = hostile(&place);
    with(Start::program(&scene, "/bin/date", &[]), &entries).run();
    let control = opened(&notify);
    assert!(control.contains(&OsString::from("x.so")) && control.len() > 2, "the control: {control:?}");
    // The agent's shell would read what ENV names, if it came through.
    let answer = with(Start::helper(&scene, &["sh", "-c", "date >/dev/null; echo ran"]), &entries).ask(request(&scene));
    assert_eq!(answer.says(), "ran\n");
    assert_eq!(opened(&notify), BTreeSet::new());
    with(Start::helper(&scene, &[]), &entries).run().ends(2);
    assert_eq!(opened(&notify), BTreeSet::new());
    nothing_is_left(&scene);
}

/// Case 22: the same words and the same end as without; no traces, no backtraces.
fn no_variable_changes_what_is_said_or_done(mode: Mode) {
    let scene = Scene::new(mode);
    let (place, _notify) = trap(&scene);
    // Without privilege the loader's variables are the caller's right and make noise.
    let loaders = |entry: &OsString| entry.as_encoded_bytes().starts_with(b"LD_");
    let entries: Vec<OsString> = hostile(&place).into_iter().filter(|e| mode == Mode::Setuid || !loaders(e)).collect();
    let nobody = || {
        let mut asked = request(&scene);
        asked.identity = agent_aws_protocol::Ask::Named("nothing-like-it".into());
        asked
    };
    let plain = Start::helper(&scene, &["true"]).ask(nobody());
    let other = with(Start::helper(&scene, &["true"]), &entries).ask(nobody());
    assert_eq!(plain.refusal().map(|r| &r.text), other.refusal().map(|r| &r.text), "{other}");
    assert_eq!(plain.output.stderr, other.output.stderr, "{other}");
    let by_hand = Start::helper(&scene, &[]).run();
    let other = with(Start::helper(&scene, &[]), &entries).run();
    assert_eq!((by_hand.code(), by_hand.stderr), (other.code(), other.stderr));
    let variables = |start: Start| start.ask(request(&scene)).says();
    let sorted = ["sh", "-c", "env | grep -v -e ^AGENT_AWS_SESSION -e ^AWS_ROLE_SESSION | sort"];
    assert_eq!(variables(with(Start::helper(&scene, &sorted), &entries)), variables(Start::helper(&scene, &sorted)));
    nothing_is_left(&scene);
}

fn odd_entries() -> Vec<OsString> {
    let mut entries: Vec<OsString> = [
        "no-equals-sign",
        "",
        "=x",
        "==",
        "=",
        "PATH",
        "HOME=/one",
        "HOME=/two",
        "TERM=a",
        "TERM=b",
        "BASH_FUNC_x%%=() { id; }",
        "BASH_FUNC_ls%%=() { echo from-the-caller; }",
        "x=() { :; }; echo from-the-caller",
        "A B=c",
        "LINES=\n\u{1b}[31m",
        "%n=%s",
        "AGENT_AWS_FD=77",
        "AGENT_AWS_WORLD=x",
    ]
    .map(OsString::from)
    .to_vec();
    entries.push(OsString::from_vec(b"\xff\xfe=\xff".to_vec()));
    entries
}

/// Case 23: entries that are no variables, and variables that are there twice.
fn an_environment_of_odd_entries_is_no_obstacle(mode: Mode) {
    let scene = Scene::new(mode);
    let command = ["bash", "-c", "type ls; env"];
    let control = with(Start::program(&scene, "/bin/bash", &["-c", "ls; env"]), &odd_entries()).run();
    assert!(control.stdout.contains("from-the-caller"), "the control: {control}");
    let direct = with(Start::helper(&scene, &command), &odd_entries()).ask(request(&scene)).says();
    let through = with(Start::run_of(&scene, &command), &odd_entries()).run().ends(0).stdout;
    let mut only = Start::helper(&scene, &command);
    only.environment = odd_entries();
    let alone = only.ask(request(&scene)).says();
    let mut none = Start::helper(&scene, &command);
    none.environment.clear();
    let nothing = none.ask(request(&scene)).says();
    for said in [direct, through, alone, nothing] {
        for word in ["from-the-caller", "no-equals-sign", "BASH_FUNC", "=/one", "=/two", "A B", "%n", "FD=77", "WORLD"]
        {
            assert!(!said.contains(word), "{word:?} in\n{said}");
        }
        let names: Vec<&str> = said.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
        let unique: BTreeSet<&&str> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "a name is there twice:\n{said}");
    }
    nothing_is_left(&scene);
}

/// Case 23: a list, not a filter: variables that nobody has heard of do not come through.
fn only_listed_variables_reach_the_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let entries: Vec<OsString> = (0..200).map(|n| OsString::from(format!("UNHEARD_OF_{n}=from-the-caller"))).collect();
    let control = with(Start::program(&scene, "/usr/bin/env", &[]), &entries).run().says();
    assert_eq!(control.matches("from-the-caller").count(), 200);
    for said in [
        with(Start::helper(&scene, &["env"]), &entries).ask(request(&scene)).says(),
        with(Start::run_of(&scene, &["env"]), &entries).run().says(),
    ] {
        assert!(!said.contains("from-the-caller"), "{said}");
    }
    // What is on the list does (TERM), so that the test sees anything at all.
    let term = with(Start::run_of(&scene, &["sh", "-c", "echo $TERM"]), &[]).run().says();
    assert_eq!(term, "dumb");
    nothing_is_left(&scene);
}

/// Case 23: the kernel takes 128 KiB for one string; a listed variable of that size is refused in words.
fn a_value_of_a_mebibyte_starts_nothing_and_the_longest_is_harmless(mode: Mode) {
    let scene = Scene::new(mode);
    let sized = |name: &str, size: usize| OsString::from(format!("{name}={}", "v".repeat(size - name.len() - 2)));
    let mebibyte = Start::helper(&scene, &["true"]).entry(sized("HUGE", 1 << 20)).try_run();
    assert_eq!(mebibyte.map(|o| o.to_string()).map_err(|e| e.raw_os_error()), Err(Some(libc::E2BIG)));
    let longest = 128 * 1024;
    let start = Start::helper(&scene, &["echo", "ran"]).entry(sized("HUGE", longest));
    assert_eq!(start.ask(request(&scene)).says(), "ran\n");
    Start::run_of(&scene, &["true"]).entry(sized("HUGE", longest)).run().ends(0);
    let mut listed = Start::run_of(&scene, &["true"]);
    listed.environment.retain(|entry| !entry.as_encoded_bytes().starts_with(b"TERM="));
    listed.entry(sized("TERM", longest)).run().refused("TERM");
    nothing_is_left(&scene);
}

/// Case 24: what leads an AWS client elsewhere, or gives it other credentials.
fn misleading(url: &str) -> Vec<OsString> {
    let names = [
        "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
        "ALL_PROXY", "all_proxy", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    ];
    let files = [
        "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SDK_LOAD_CONFIG",
    ];
    let values = [
        ("AWS_ACCESS_KEY_ID", "AKIAFROMTHECALLER000"),
        ("AWS_SECRET_ACCESS_KEY", "from-the-caller"),
        ("AWS_SESSION_TOKEN", "from-the-caller"),
        ("AWS_REGION", "from-the-caller"),
        ("AWS_PROFILE", "from-the-caller"),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/from-the-caller"),
        ("NO_PROXY", ""),
    ];
    let named = names.iter().map(|name| format!("{name}={url}/from-the-caller"));
    let files = files.iter().map(|name| format!("{name}=/from-the-caller"));
    let values = values.iter().map(|(name, value)| format!("{name}={value}"));
    named.chain(files).chain(values).map(OsString::from).collect()
}

/// Case 24: seen in the broker itself. Its environment is constructed; an own source adds the caller's.
fn nothing_of_the_callers_environment_reaches_the_broker_of_a_system_source(mode: Mode) {
    let scene = Scene::new(mode);
    let mut asked = request(&scene);
    // Not by a message either: what is for an own source is not for this one.
    let url = b"http://127.0.0.1:9".to_vec();
    asked.own.environment = vec![agent_aws_protocol::EnvVar { name: b"AWS_ENDPOINT_URL_STS".to_vec(), value: url }];
    let mut own = asked.clone();
    own.identity = agent_aws_protocol::Ask::Own("dev".into());
    own.wait = false;
    for (asked, expected) in [(asked, false), (own, true)] {
        let start = with(Start::helper(&scene, &["sleep", "1000"]), &misleading("http://127.0.0.1:9"));
        let talk = start.talk(Request::Run(Box::new(asked))).begun();
        let environment = |name: &str| {
            let bytes = std::fs::read(format!("/proc/{}/environ", pid_of(&scene, name))).unwrap();
            String::from_utf8_lossy(&bytes).replace('\0', "\n")
        };
        let broker = environment("agent-aws-broke");
        // Where the machine keeps its certificates is the helper's own word.
        let constructed = broker.lines().all(|line| line.starts_with("SSL_CERT_FILE=/etc/"));
        assert_eq!(!constructed, expected, "the broker's environment: {broker}");
        assert!(!broker.contains("from-the-caller"), "{broker}");
        let agent = environment("sleep");
        assert!(agent.contains("PATH=") && !agent.contains("from-the-caller"), "{agent}");
        assert_eq!(environment("agent-aws-init"), "");
        talk.say(&CliToHelper::Signal(libc::SIGTERM));
        talk.end();
        nothing_is_left(&scene);
    }
}

/// Case 24: seen from the network. The control is an own source, for which the caller may say where STS is.
fn a_proxy_or_endpoint_of_the_callers_is_never_called_for_a_system_source(mode: Mode) {
    let scene = Scene::new(mode);
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let url = format!("http://{}", trap.local_addr().unwrap());
    let entries = misleading(&url);
    let look = ["sh", "-c", "env; cat ~/.aws/* /etc/agent-aws/* 2>/dev/null; true"];
    let mut start = Start::run_of(&scene, &look);
    start.environment.retain(|entry| !entry.as_encoded_bytes().starts_with(b"AWS_"));
    let said = with(start, &entries).run().says();
    assert!(!said.contains("from-the-caller") && !said.contains(&url), "{said}");
    let direct = with(Start::helper(&scene, &["true"]), &entries).ask(request(&scene));
    direct.says();
    assert!(trap.accept().is_err(), "somebody called the caller's proxy or endpoint");
    let asked = scene.sts.requests();
    assert!(asked.len() >= 2, "{asked:?}");
    let record = format!("{asked:?}");
    assert!(!record.contains("from-the-caller") && !record.contains("AKIAFROMTHECALLER000"), "{record}");
    let own = Start::agent_aws(&scene, &["run", "--no-wait", "--profile", "dev", "--", "sleep", "3"]);
    let mut own = own;
    own.environment.retain(|entry| !entry.as_encoded_bytes().starts_with(b"AWS_ENDPOINT"));
    own.entry(format!("AWS_ENDPOINT_URL_STS={url}")).run();
    let called = until(SOON, || trap.accept().ok());
    assert!(called.is_some(), "the control: not even an own source calls it");
    nothing_is_left(&scene);
}
