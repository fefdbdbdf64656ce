//! Where records go: a file of root's that nobody else can read or write, without which nothing runs; and a copy to
//! syslog, which may be absent or stuck.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::{inside, memory_over, outside, root};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite, until, within};

const CASES: &[Case] = &[
    case!(the_trail_is_roots_own).private().setuid(),
    case!(the_caller_can_neither_read_nor_change_it).private().setuid(),
    case!(a_trail_that_is_no_file_of_roots_refuses_the_run).private().setuid(),
    case!(a_trail_that_cannot_be_written_refuses_the_run).private().setuid(),
    case!(a_trail_that_fails_later_ends_the_session).private().setuid(),
    case!(a_trail_that_is_rotated_goes_on).private().setuid(),
    case!(syslog_may_be_absent).private().setuid(),
    case!(syslog_gets_a_copy).private().setuid(),
    case!(a_syslog_that_nobody_reads_hangs_nothing).private().setuid(),
    case!(a_syslog_stream_that_nobody_accepts_hangs_nothing).private().setuid(),
];

const DIRECTORY: &str = "/var/log/agent-aws";
const TRAIL: &str = "/var/log/agent-aws/audit.jsonl";
/// A run with a syslog that blocks takes no longer than this, on a busy machine.
const NOT_HUNG: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    suite(CASES)
}

fn the_trail_is_roots_own(mode: Mode) {
    let scene = Scene::new(mode);
    fs::remove_dir_all(DIRECTORY).unwrap();
    scene.sh("true").run().ends(0);
    let facts = |path: &str| fs::metadata(path).map(|f| (f.uid(), f.gid(), f.mode() & 0o7777)).unwrap();
    assert_eq!(facts(TRAIL), (0, 0, 0o600));
    let (uid, gid, mode) = facts(DIRECTORY);
    assert_eq!((uid, gid, mode & 0o027), (0, 0, 0), "{mode:o}");
}

fn the_caller_can_neither_read_nor_change_it(mode: Mode) {
    let scene = Scene::new(mode);
    scene.sh("true").run().ends(0);
    let before = fs::read(TRAIL).unwrap();
    let attempts = format!(
        "for f in 'cat {TRAIL}' 'ls {DIRECTORY}' 'echo x >> {TRAIL}' 'truncate -s 0 {TRAIL}' 'rm {TRAIL}' \
         'mv {DIRECTORY} {DIRECTORY}.old' 'chmod 777 {TRAIL}' 'ln -s /tmp/x {DIRECTORY}/other'; do \
         bash -c \"$f\" > /dev/null && echo \"worked: $f\"; done; true"
    );
    // The control: root can do the first of them.
    assert!(root(&["bash", "-c", "cat /var/log/agent-aws/audit.jsonl"]).contains("start"));
    assert_eq!(outside(&scene, &attempts).run().says(), "");
    assert_eq!(inside(&scene, &[], &attempts).run().says(), "");
    assert!(fs::read(TRAIL).unwrap().starts_with(&before));
}

/// Refused because of the trail; nobody was asked for credentials and nothing ran.
#[track_caller]
fn refused(scene: &Scene, why: &str) {
    let asked = scene.sts.requests().len();
    let before = Instant::now();
    let output = scene.sh("echo it-ran").run().refused("the audit trail cannot be written");
    assert!(before.elapsed() < NOT_HUNG, "{why}\n{output}");
    assert_eq!((output.stdout.as_str(), scene.sts.requests().len()), ("", asked), "{why}\n{output}");
}

fn a_trail_that_is_no_file_of_roots_refuses_the_run(mode: Mode) {
    let scene = Scene::new(mode);
    fs::write("/etc/agent-aws/target", "").unwrap();
    let ways = [
        format!("mkdir {TRAIL}"),
        format!("ln -s /etc/agent-aws/target {TRAIL}"),
        format!("mkfifo {TRAIL}"),
        format!("mknod {TRAIL} c 1 3"),
        format!("touch {TRAIL}; chmod 666 {TRAIL}"),
        format!("touch {TRAIL}; chown alice {TRAIL}"),
        format!("rmdir {DIRECTORY}; ln -s /etc {DIRECTORY}"),
        format!("chmod 777 {DIRECTORY}"),
        format!("chown alice {DIRECTORY}"),
        "chmod 777 /var/log".into(),
    ];
    for way in ways {
        root(&["sh", "-ec", &format!("rm -rf {DIRECTORY}; mkdir -m 750 {DIRECTORY}; chmod 755 /var/log; {way}")]);
        refused(&scene, &way);
    }
    assert_eq!(fs::read("/etc/agent-aws/target").unwrap(), b"");
    root(&["sh", "-ec", &format!("rm -rf {DIRECTORY}; chmod 755 /var/log")]);
    assert_eq!(scene.sh("echo it-ran").run().says(), "it-ran");
}

fn a_trail_that_cannot_be_written_refuses_the_run(mode: Mode) {
    let scene = Scene::new(mode);
    root(&["mount", "-o", "remount,ro", "/var/log"]);
    refused(&scene, "read-only");
    root(&["mount", "-o", "remount,rw", "/var/log"]);
    scene.sh("true").run().ends(0);
    // A full disk.
    root(&["mount", "-t", "tmpfs", "-o", "size=16k,mode=750", "agent-aws-test", DIRECTORY]);
    root(&["sh", "-c", &format!("touch {TRAIL}; cat /dev/zero > {DIRECTORY}/filler; true")]);
    refused(&scene, "full");
    root(&["rm", &format!("{DIRECTORY}/filler")]);
    scene.sh("true").run().ends(0);
    let events: Vec<String> = scene.machine.audit().iter().map(|r| r["event"].to_string()).collect();
    assert_eq!(events, ["\"start\"", "\"issue\"", "\"end\""]);
}

fn a_trail_that_fails_later_ends_the_session(mode: Mode) {
    let scene = Scene::with(mode, &Setup { lifetime: Some(4), ..Setup::default() });
    let mut command = scene.sh("echo begun; read line").command();
    let pipe = Stdio::piped;
    let mut child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    root(&["mount", "-o", "remount,ro", "/var/log"]);
    let ended = until(Duration::from_secs(40), || child.try_wait().unwrap());
    let ended = ended.expect("a session that cannot be recorded goes on");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(ended.code() == Some(125) && said.contains("the audit trail cannot be written"), "{said}");
}

fn a_trail_that_is_rotated_goes_on(mode: Mode) {
    let scene = Scene::new(mode);
    let mut command = scene.sh("echo begun; read line").command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    fs::rename(TRAIL, format!("{TRAIL}.1")).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    within(Duration::from_secs(10), "a new trail", || Path::new(TRAIL).exists());
    let records = scene.machine.audit();
    assert!(records.len() == 1 && records[0]["event"] == "end", "{records:?}");
    assert_eq!(fs::metadata(TRAIL).unwrap().mode() & 0o7777, 0o600);
}

/// A /dev of this trial's own, so that it can have a syslog of its own or none.
fn own_devices() {
    let new = "/opt/agent-aws-test/dev";
    memory_over(new, 0o755);
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let at = format!("{new}/{name}");
        fs::write(&at, "").unwrap();
        root(&["mount", "--bind", &format!("/dev/{name}"), &at]);
    }
    for name in ["pts", "shm"] {
        let at = format!("{new}/{name}");
        fs::create_dir(&at).unwrap();
        root(&["mount", "--bind", &format!("/dev/{name}"), &at]);
    }
    for (name, to) in
        [("fd", "/proc/self/fd"), ("ptmx", "pts/ptmx"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        std::os::unix::fs::symlink(to, format!("{new}/{name}")).unwrap();
    }
    root(&["mount", "--rbind", new, "/dev"]);
    assert!(!Path::new("/dev/log").exists());
}

/// A run that is recorded in the file in time, whatever syslog does.
#[track_caller]
fn runs_in_time(scene: &Scene) {
    let before = Instant::now();
    assert_eq!(scene.sh("echo it-ran").run_within(NOT_HUNG * 2).says(), "it-ran");
    assert!(before.elapsed() < NOT_HUNG, "{:?}", before.elapsed());
    let events: Vec<String> = scene.machine.audit().iter().map(|r| r["event"].to_string()).collect();
    assert!(events.ends_with(&["\"start\"".into(), "\"issue\"".into(), "\"end\"".into()]), "{events:?}");
}

fn everybodys(path: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}

fn syslog_may_be_absent(mode: Mode) {
    let scene = Scene::new(mode);
    own_devices();
    runs_in_time(&scene);
    // A socket whose daemon has died.
    drop(UnixDatagram::bind("/dev/log").unwrap());
    everybodys("/dev/log");
    runs_in_time(&scene);
}

fn syslog_gets_a_copy(mode: Mode) {
    let scene = Scene::new(mode);
    own_devices();
    let syslog = UnixDatagram::bind("/dev/log").unwrap();
    everybodys("/dev/log");
    syslog.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    runs_in_time(&scene);
    scene.agent_aws(&["run", "--as", "absent\n<0>forged", "--", "true"]).run().ends(125);
    let mut buffer = [0; 4096];
    for event in ["start", "issue", "end", "deny"] {
        let length = syslog.recv(&mut buffer).unwrap();
        let said = String::from_utf8(buffer[..length].to_vec()).unwrap();
        // AUTHPRIV (10), notice (5).
        assert!(said.starts_with("<85>") && said.contains("agent-aws-helper"), "{said}");
        assert!(said.contains(&format!("\"event\":\"{event}\"")) && said.contains("\"login\":\"alice\""), "{said}");
        assert!(!said.contains('\n') && length <= 1024, "{said}");
    }
}

fn a_syslog_that_nobody_reads_hangs_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    own_devices();
    let syslog = UnixDatagram::bind("/dev/log").unwrap();
    everybodys("/dev/log");
    let filler = UnixDatagram::unbound().unwrap();
    filler.connect("/dev/log").unwrap();
    filler.set_nonblocking(true).unwrap();
    let sent = (0..100_000).take_while(|_| filler.send(b"<13>filler").is_ok()).count();
    assert!(sent < 100_000, "its queue has no end");
    runs_in_time(&scene);
    drop(syslog);
}

fn a_syslog_stream_that_nobody_accepts_hangs_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    own_devices();
    let syslog = UnixListener::bind("/dev/log").unwrap();
    let shortest = nix::sys::socket::Backlog::new(1).unwrap();
    nix::sys::socket::listen(&syslog, shortest).unwrap();
    everybodys("/dev/log");
    // Connections that nobody accepts, until one more would wait: each in a thread of its own that may block for good.
    let (sender, receiver) = std::sync::mpsc::channel();
    for _ in 0..20 {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let _ = sender.send(UnixStream::connect("/dev/log"));
        });
    }
    let mut kept = Vec::new();
    while let Ok(one) = receiver.recv_timeout(Duration::from_secs(1)) {
        kept.push(one);
    }
    assert!(kept.len() < 20, "its queue has no end");
    runs_in_time(&scene);
    drop(syslog);
}
