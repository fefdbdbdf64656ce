//! The doors: a crowd at each, nobody from outside, and nothing behind them once the session has ended.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::process::ExitCode;

use agent_aws_harness::{Call, Case, Mode, Process, Scene, case, suite, until, within};
use agent_aws_harness::{SOON, processes};

use inside::Inside;

const CASES: &[Case] = &[
    case!(five_hundred_at_once_are_served_at_each_door),
    case!(one_client_that_dawdles_keeps_nobody_waiting),
    case!(a_session_whose_sts_hangs_delays_no_other),
    case!(no_door_takes_a_parameter),
    case!(no_door_is_reached_from_outside).private(),
    case!(the_caller_reaches_no_door_through_the_root_of_their_agent).private().ignored(
        "open: /proc/PID/root of their own agent is the caller's to enter; they get what `agent-aws credentials` prints",
    ),
    case!(the_broker_of_a_system_source_is_out_of_the_callers_reach).setuid(),
    case!(the_source_is_read_by_nobody_but_root).setuid(),
    case!(a_door_that_leaked_gives_nothing_once_the_session_has_ended),
];

fn main() -> ExitCode {
    suite(CASES)
}

const CLIENT: &str = "/run/agent-aws/agent-aws-credentials";

/// The three doors for Python: each asks once and returns what came.
const DOORS: &str = include_str!("parts/doors.py");

/// A script with the doors in it, in the project, to be run inside.
fn script(scene: &Scene, name: &str, text: &str) -> String {
    let machine = &scene.machine;
    let place = machine.project(&machine.user("alice")).join(name);
    machine.file(&machine.user("alice"), &place, 0o644, format!("{DOORS}{text}"));
    place.display().to_string()
}

fn five_hundred_at_once_are_served_at_each_door(mode: Mode) {
    let text = r#"
for door in (at_socket, at_http, at_capability):
    start, answers = threading.Barrier(500), []
    def one():
        start.wait()
        try: answers.append(b"SecretAccessKey" in door())
        except Exception as e: answers.append(e)
    threads = [threading.Thread(target=one) for _ in range(500)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(door.__name__, answers.count(True), [a for a in answers if a is not True][:3])
"#;
    let scene = Scene::new(mode);
    let crowd = script(&scene, "crowd.py", text);
    let said = scene.run(&["--network", "none"], &["/usr/bin/python3", &crowd]).run().says();
    assert_eq!(said, "at_socket 500 []\nat_http 500 []\nat_capability 500 []");
}

fn one_client_that_dawdles_keeps_nobody_waiting(mode: Mode) {
    let text = r#"
idle = [socket.socket(socket.AF_UNIX) for _ in range(300)]
for s in idle: s.connect("/run/agent-aws/credentials.sock")
half = [socket.create_connection(("169.254.170.2", 80), 20) for _ in range(300)]
for s in half: s.sendall(b"GET /credentials HTTP/1.1\r\nHost:")
import time
for door in (at_socket, at_http, at_capability):
    begun = time.monotonic(); got = b"SecretAccessKey" in door()
    print(door.__name__, got, time.monotonic() - begun < 1.0)
"#;
    let scene = Scene::new(mode);
    let dawdle = script(&scene, "dawdle.py", text);
    let said = scene.run(&["--network", "none"], &["/usr/bin/python3", &dawdle]).run().says();
    assert_eq!(said, "at_socket True True\nat_http True True\nat_capability True True");
}

/// Each session has a broker, and each broker its own calls of STS.
fn a_session_whose_sts_hangs_delays_no_other(mode: Mode) {
    let text = r#"
import time
def read():
    begun = time.monotonic(); assert b"SecretAccessKey" in at_socket(); return time.monotonic() - begun
times = sorted(read() for _ in range(300))
print(times[150] < 0.005, times[-1] < 2)
"#;
    let scene = Scene::new(mode);
    let reads = script(&scene, "reads.py", text);
    let mut good = Inside::new(&scene, &[]);
    good.does(CLIENT).well();
    scene.set_faults(r#"{"hang":true}"#);
    let mut hung = scene.run(&[], &["true"]).spawn();
    within(SOON, "the other one has asked STS", || scene.sts.requests().len() > 1);
    assert_eq!(good.does(&format!("/usr/bin/python3 {reads}")).well(), "True True");
    assert_eq!(hung.try_wait().expect("waiting for a child"), None, "the control: it hangs");
    let _ = (hung.kill(), hung.wait());
}

/// Whoever asks for something else gets nothing, or what everybody gets.
fn no_door_takes_a_parameter(mode: Mode) {
    let text = r#"
plain = at_http()
print(plain.split(b"\r\n")[0].decode())
key = at_socket().split(b'"AccessKeyId":"')[1][:20]
for line, headers in (("GET /credentials?role=admin", ""), ("GET /role/admin", ""), ("GET /latest/meta-data/", ""), ("POST /credentials", ""),
                      ("GET /credentials", "Content-Length: 5\r\n"), ("GET /credentials", "Host: rebound.example\r\n")):
    host = "" if "Host" in headers else "Host: 169.254.170.2\r\n"
    got = at_http(f"{line} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\nadmin".encode())
    print(line, headers.strip(), got.split(b" ")[1].decode(), b"SecretAccessKey" in got)
s = socket.socket(socket.AF_UNIX); s.connect("/run/agent-aws/credentials.sock")
try:
    s.sendall(b"admin\n"); print("socket", key in rest(s))
except OSError: print("socket True")
"#;
    let scene = Scene::new(mode);
    let asks = script(&scene, "asks.py", text);
    let said = scene.run(&["--network", "none"], &["/usr/bin/python3", &asks]).run().says();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.first().copied(), Some("HTTP/1.1 200 OK"), "{said}");
    assert_eq!(lines.last().copied(), Some("socket True"), "{said}");
    let refused = lines.get(1..lines.len() - 1).expect("refusals");
    assert!(refused.len() == 6 && refused.iter().all(|line| line.ends_with(" False") && line.contains(" 4")), "{said}");
    for argument in ["admin", "--profile=admin", "--help --as admin"] {
        scene.sh(&format!("{CLIENT} {argument}")).run().ends(2);
    }
}

fn of_user(scene: &Scene, user: &str, script: &str) -> Call {
    scene.machine.call(user, "/bin/sh").args(&["-c", script])
}

/// Neither by path nor by address, nor through a process of somebody else's session.
fn no_door_is_reached_from_outside(mode: Mode) {
    let scene = Scene::new(mode);
    let mut inside = Inside::new(&scene, &["--network", "none"]);
    let http = "/usr/bin/python3 -c 'import urllib.request as u; print(u.urlopen(\"http://169.254.170.2/credentials\", timeout=2).status)'";
    inside.does(&format!("{CLIENT} && {http}")).well();
    for user in ["alice", "bob"] {
        let said = of_user(&scene, user, &format!("ls -A /run/agent-aws/ 2>&1; {http}")).run();
        assert!(said.code() != 0 && !said.stdout.contains("credentials.sock"), "{user}: {said}");
    }
    let agent = agent(&scene);
    let through = format!("ls /proc/{}/root/run/agent-aws/", agent.pid);
    of_user(&scene, "bob", &through).run().ends(2);
    of_user(&scene, "bob", &format!("ls /proc/{}/fd", agent.pid)).run().ends(2);
}

fn the_caller_reaches_no_door_through_the_root_of_their_agent(mode: Mode) {
    let scene = Scene::new(mode);
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let root = format!("/proc/{}/root", agent(&scene).pid);
    let line = format!("AGENT_AWS_SOCKET={root}/run/agent-aws/credentials.sock {root}{CLIENT}");
    of_user(&scene, "alice", &line).run().ends(1);
}

/// The shell of the session, as seen from outside.
fn agent(scene: &Scene) -> Process {
    let alice = scene.machine.user("alice").uid;
    let is = |p: &Process| p.uid == alice && p.command.starts_with("sh -c while IFS= read");
    // The command line of the CLI has the same words, later.
    until(SOON, || processes().into_iter().find(is)).expect("the agent's process")
}

fn the_broker_of_a_system_source_is_out_of_the_callers_reach(mode: Mode) {
    let scene = Scene::new(mode);
    let mut inside = Inside::new(&scene, &[]);
    inside.does(CLIENT).well();
    let all = processes();
    let broker = all.iter().find(|p| p.name.starts_with("agent-aws-broke")).expect("a broker");
    let alice = scene.machine.user("alice").uid;
    assert!(broker.uid != 0 && broker.uid != alice, "{broker:?}");
    let pid = broker.pid;
    let probes = [
        format!("kill -0 {pid}"),
        format!("kill -STOP {pid}"),
        format!("kill -KILL {pid}"),
        format!("cat /proc/{pid}/environ"),
        format!("cat /proc/{pid}/mem"),
        format!("ls /proc/{pid}/fd"),
        format!("ls /proc/{pid}/root/"),
        format!("strace -p {pid} -o /dev/null"),
    ];
    for probe in &probes {
        for user in ["alice", "bob"] {
            let said = of_user(&scene, user, &format!("timeout 5 {probe}")).run();
            assert!(said.code() != 0 && said.code() != 124, "{user}: {probe}: {said}");
        }
    }
    inside.does(CLIENT).well();
    // The same against a process of their own.
    for probe in [&probes[0], &probes[3], &probes[5]] {
        let mine = probe.replace(&pid.to_string(), "$$");
        of_user(&scene, "alice", &mine).run().ends(0);
    }
}

fn the_source_is_read_by_nobody_but_root(mode: Mode) {
    let scene = Scene::new(mode);
    let source = "/etc/agent-aws/sources/workstation";
    assert!(std::fs::read_to_string(source).expect("root may").contains("aws_secret_access_key"));
    for user in ["alice", "bob"] {
        let said = of_user(&scene, user, &format!("cat {source}; ls /etc/agent-aws/sources")).run();
        assert!(said.code() != 0 && said.stdout.is_empty(), "{user}: {said}");
    }
    let said = scene.sh(&format!("cat {source}; ls /etc/agent-aws/sources")).run();
    assert!(said.code() != 0 && said.stdout.is_empty(), "inside: {said}");
    // Nor by making the broker of an own source read it.
    let alice = scene.machine.user("alice");
    let config = "[profile dev]\nregion = eu-west-1\n[profile default]\n";
    scene.machine.file(&alice, &scene.aws("config"), 0o600, config);
    for profile in ["dev", "default"] {
        scene
            .agent_aws(&["run", "--profile", profile, "--", "true"])
            .env("AWS_SHARED_CREDENTIALS_FILE", source)
            .run()
            .ends(125);
    }
}

/// The agent hands its capability and a connection to somebody outside, who asks again when the session is over.
fn a_door_that_leaked_gives_nothing_once_the_session_has_ended(mode: Mode) {
    let take = r#"
listener = socket.socket(socket.AF_UNIX); listener.bind("leak.sock"); os.chmod("leak.sock", 0o777); listener.listen()
print("ready", flush=True)
_, (capability, http), _, _ = socket.recv_fds(listener.accept()[0], 1, 2)
os.environ["AGENT_AWS_FD"] = str(capability); web = socket.socket(fileno=http)
def by_http():
    web.sendall(b"GET /credentials HTTP/1.1\r\nHost: 169.254.170.2\r\n\r\n")
    return web.recv(65536)
for _ in range(2):
    for door in (at_capability, by_http):
        try: print(door.__name__, b"SecretAccessKey" in door(), flush=True)
        except OSError as e: print(door.__name__, False, flush=True)
    open("asked", "w").close(); sys.stdin.readline()
"#;
    let give = r#"
web = socket.create_connection(("169.254.170.2", 80))
s = socket.socket(socket.AF_UNIX); s.connect("leak.sock")
socket.send_fds(s, [b"x"], [int(os.environ["AGENT_AWS_FD"]), web.fileno()])
"#;
    let scene = Scene::new(mode);
    let (take, give) = (script(&scene, "take.py", take), script(&scene, "give.py", give));
    let project = scene.machine.project(&scene.machine.user("alice"));
    let call = scene.machine.call("alice", "/usr/bin/python3").arg(take);
    let mut taker = call.command();
    taker.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut taker = taker.spawn().expect("python");
    within(SOON, "somebody listens", || project.join("leak.sock").exists());
    let mut inside = Inside::new(&scene, &["--network", "none"]);
    inside.does(&format!("/usr/bin/python3 {give}")).well();
    within(SOON, "the leak was used", || project.join("asked").exists());
    inside.does(CLIENT).well();
    assert_eq!(inside.end(), Some(0));
    drop(taker.stdin.take());
    let said = taker.wait_with_output().expect("what it said");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said, "ready\nat_capability True\nby_http True\nat_capability False\nby_http False\n");
}
