//! The FIFO door, for clients to which an inner sandbox forbids sockets: crowds, clients that are killed, floods. Here a
//! filter of the probe's stands for the inner sandbox; real ones are in `nested.rs`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::inside::placed;
use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};

/// The probe of this package.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

const CASES: &[Case] = &[
    case!(without_sockets_the_fifo_is_the_door),
    case!(two_hundred_at_once_are_served_by_the_fifo),
    case!(clients_that_are_killed_at_any_moment_harm_nobody),
    case!(floods_and_a_held_lock_keep_nobody_from_the_other_doors),
    case!(the_ends_of_the_fifo_are_one_way_and_cannot_be_changed),
    case!(a_session_that_has_no_answer_yet_says_so_at_the_fifo),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// Clients for Python: `ask()` is the client without sockets, `by_socket()` the other door. Both say how long it took.
const CLIENTS: &str = r#"
import fcntl, json, os, random, socket, subprocess, sys, threading, time
CLIENT = "/run/agent-aws/agent-aws-credentials"
WITHOUT = [sys.argv[1], "without-sockets"]
def timed(command, **more):
    begun = time.monotonic()
    said = subprocess.run(command, capture_output=True, text=True, **more)
    return said, time.monotonic() - begun
def ask(): return timed(WITHOUT + [CLIENT])
def by_socket():
    begun = time.monotonic()
    s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect("/run/agent-aws/credentials.sock")
    data = b""
    while part := s.recv(65536): data += part
    return data.decode(), time.monotonic() - begun
ANSWER, _ = by_socket()
assert "SecretAccessKey" in ANSWER
def shown(times):
    times = sorted(times)
    return "median %.1f ms, p99 %.1f ms, longest %.1f ms" % tuple(1000 * times[int(len(times) * q)] for q in (0.5, 0.99, 0.9999))
"#;

/// A script with the clients in it, to be run inside with a plain identity.
fn script(scene: &Scene, text: &str) -> Call {
    let machine = &scene.machine;
    let alice = machine.user("alice");
    let place = machine.project(&alice).join("script.py");
    machine.file(&alice, &place, 0o644, format!("{CLIENTS}{text}"));
    scene.run(&[], &["/usr/bin/python3", &place.display().to_string(), &placed(scene, PROBE)])
}

/// What a script says, less its figures, which go to the log.
#[track_caller]
fn says(call: &Call) -> String {
    let said = call.run().says();
    let (figures, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.contains(" ms"));
    eprintln!("{}", figures.join("\n"));
    rest.join("\n")
}

fn without_sockets_the_fifo_is_the_door(mode: Mode) {
    let text = r#"
print(subprocess.run(WITHOUT + ["/usr/bin/python3", "-c", "import socket; socket.socket(socket.AF_UNIX)"], capture_output=True, text=True).stderr.splitlines()[-1])
said, _ = ask()
print(said.returncode, said.stdout == ANSWER, said.stderr == "")
# Where there is no FIFO beside the socket there is no door left, and every door is named.
said, _ = timed(WITHOUT + [CLIENT], env={**os.environ, "AGENT_AWS_SOCKET": "/tmp/s"})
print(said.returncode, said.stdout == "", said.stderr.strip())
for name, command in (("socket", ["/usr/bin/env", CLIENT]), ("FIFO", WITHOUT + [CLIENT])):
    print(name + ", one after the other:", shown([timed(command)[1] for _ in range(200)]))
"#;
    let scene = Scene::new(mode);
    let said = says(&script(&scene, text));
    let [forbidden, given, named] = said.lines().collect::<Vec<_>>().try_into().expect("three lines");
    assert_eq!(forbidden, "PermissionError: [Errno 1] Operation not permitted");
    assert_eq!(given, "0 True True");
    let doors = ["the descriptor in AGENT_AWS_FD: ", "; /tmp/s: Operation not permitted", "; /tmp/request: not there"];
    assert!(named.starts_with("1 True agent-aws-credentials: no door gives"), "{named}");
    assert!(doors.iter().all(|door| named.contains(door)), "{named}");
}

fn two_hundred_at_once_are_served_by_the_fifo(mode: Mode) {
    // All of them wait for the same end of file.
    let text = r#"
gate, hold = os.pipe()
line = ["/bin/sh", "-c", 'read -r line; exec "$0"', CLIENT]
crowd = [subprocess.Popen(WITHOUT + line, stdin=gate, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(200)]
time.sleep(1)
answers, times = [], []
def wait(p):
    answers.append(p.communicate()); times.append(time.monotonic() - begun)
threads = [threading.Thread(target=wait, args=(p,)) for p in crowd]
begun = time.monotonic()
os.close(hold); [t.start() for t in threads]; [t.join() for t in threads]
print(answers.count((ANSWER, "")), [a for a in answers if a != (ANSWER, "")][:3])
print("200 at once:", shown(times))
"#;
    let scene = Scene::new(mode);
    assert_eq!(says(&script(&scene, text)), "200 []");
}

fn clients_that_are_killed_at_any_moment_harm_nobody(mode: Mode) {
    let text = r#"
over = time.monotonic() + 12
killed, times, wrong = [], [], []
def kill():
    while time.monotonic() < over:
        p = subprocess.Popen(WITHOUT + [CLIENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.008)); p.kill()
        # Dead before it was done, or done before it was dead.
        killed.append((p.communicate()[0] == b"", p.returncode))
def work():
    while time.monotonic() < over:
        said, took = ask(); times.append(took)
        if (said.stdout, said.stderr) != (ANSWER, ""): wrong.append(said)
threads = [threading.Thread(target=f) for f in (kill, kill, kill, work, work, work)]
[t.start() for t in threads]; [t.join() for t in threads]
print(wrong[:3], max(times) < 3, killed.count((True, -9)) > 100, len(times) > 100)
print(len(times), "clients beside", killed.count((True, -9)), "killed ones:", shown(times))
"#;
    let scene = Scene::new(mode);
    assert_eq!(says(&script(&scene, text)), "[] True True True");
}

fn floods_and_a_held_lock_keep_nobody_from_the_other_doors(mode: Mode) {
    let text = r#"
def flood(data, seconds, work):
    over, written = time.monotonic() + seconds, [0]
    def write():
        fd = os.open("/run/agent-aws/request", os.O_WRONLY)
        while time.monotonic() < over: written[0] += os.write(fd, data)
    threads = [threading.Thread(target=write) for _ in range(3)]
    [t.start() for t in threads]
    while time.monotonic() < over: work()
    [t.join() for t in threads]
    return written[0] > 100000
def others():
    answer, took = by_socket()
    assert answer == ANSWER and took < 1, took
def all_doors():
    others()
    said, took = ask()
    assert said.stdout == ANSWER, said
for garbage in (b"\xff" * 4096, b"\n" * 4096, b"x" * 31, b"\nGET / HTTP/1.1\n"):
    print("garbage", flood(garbage, 2, all_doors))
# Requests that nobody reads, from clients that ignore the lock.
print("requests", flood(b"\n" + b"7" * 32 + b"\n", 3, others))
all_doors()
fd = os.open("/run/agent-aws/answer", os.O_RDONLY | os.O_NONBLOCK); fcntl.flock(fd, fcntl.LOCK_EX)
said, took = ask()
print("held", said.returncode, "another client inside does not let go of it" in said.stderr, 4 < took < 8)
others()
os.close(fd)
all_doors()
"#;
    let scene = Scene::new(mode);
    let said = says(&script(&scene, text));
    assert_eq!(said, format!("{}requests True\nheld 1 True True", "garbage True\n".repeat(4)));
}

fn the_ends_of_the_fifo_are_one_way_and_cannot_be_changed(mode: Mode) {
    let scene = Scene::new(mode);
    let refused = [
        ("timeout 5 cat /run/agent-aws/request", "Permission denied"),
        ("echo x > /run/agent-aws/answer", "Permission denied"),
        ("chmod 666 /run/agent-aws/request", "Read-only file system"),
        ("rm -f /run/agent-aws/answer", "Read-only file system"),
        ("mv /run/agent-aws/answer /run/agent-aws/other", "Read-only file system"),
        ("mkfifo /run/agent-aws/new", "Read-only file system"),
    ];
    for (line, why) in refused {
        // As root, root may; and the owner may change the mode where it is not read-only.
        let said = scene.sh(&format!("LC_ALL=C; export LC_ALL; {line}")).run();
        assert!(said.code() != 0 && said.stderr.contains(why), "{line}: {said}");
    }
    // The control: FIFOs of one's own.
    let own = "cd /tmp && mkfifo -m 666 answer && (echo x > answer &) && timeout 5 cat answer && chmod 600 answer && rm answer";
    assert_eq!(scene.sh(own).run().says(), "x");
}

/// The same words as at the socket.
fn a_session_that_has_no_answer_yet_says_so_at_the_fifo(mode: Mode) {
    let scene = Scene::with(mode, &Setup::default());
    scene.set_faults(r#"{"hang": true}"#);
    let probe = placed(&scene, PROBE);
    let client = "/run/agent-aws/agent-aws-credentials";
    let line = format!("{client}; {probe} without-sockets {client}");
    let said = scene.run(&["--no-wait"], &["sh", "-c", &line]).run();
    let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains("is being minted")).collect();
    assert!(said.code() == 1 && said.stdout.is_empty() && lines.len() == 2 && lines.first() == lines.last(), "{said}");
}
