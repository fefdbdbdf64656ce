//! A session with network `filtered`, as its caller sees it: what is carried, what is refused and said, what comes in and
//! goes out, and what is left when a part of it fails.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::{inside, root};
use agent_aws_e2e::terminal::{Shell, Under};
use agent_aws_harness::{Case, Internet, Mode, Scene, Setup, case, processes, suite, until, within};
use serde_json::Value;

const CASES: &[Case] = &[
    case!(a_name_that_is_allowed_is_reached_and_another_fails_at_once_and_is_told).private(),
    case!(a_refusal_is_said_once_on_the_terminal_and_never_into_a_picture).private(),
    case!(an_option_narrows_and_never_widens).private(),
    case!(literal_addresses_need_a_rule_about_their_network).private(),
    case!(a_private_address_needs_a_rule_whoever_has_it).private(),
    case!(the_door_and_servers_of_the_agents_own_are_there).private(),
    case!(a_port_of_the_host_is_offered_inside_and_no_other_is).private(),
    case!(a_port_of_the_agent_is_offered_outside_where_policy_lets_it).private(),
    case!(the_files_about_names_are_the_sessions_own).private(),
    case!(without_its_gateway_the_session_ends).private(),
    case!(name_servers_that_are_silent_end_nothing).private().limit(90),
    case!(a_gateway_that_is_somebody_else_finds_no_file_and_no_broker).setuid().private(),
    case!(nothing_of_the_network_stays_on_the_host).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A machine with an internet, and the lines of the sandbox that are beside `network = "filtered"`.
fn with(mode: Mode, names: &[&str], lines: &str) -> (Internet, Scene) {
    let internet = Internet::new(names);
    let scene = Scene::new(mode);
    policy(&scene, lines);
    (internet, scene)
}

fn policy(scene: &Scene, lines: &str) {
    let text = scene.policy(&Setup::default());
    scene.machine.policy(&text.replace("network = \"shared\"", &format!("network = \"filtered\"\n{lines}")));
}

/// Answers every connection to port 80 in the internet with its own address.
fn serve(internet: &Internet) {
    internet.inside(|| {
        let listener = TcpListener::bind("[::]:80").or_else(|_| TcpListener::bind("0.0.0.0:80")).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nworld");
            }
        });
    });
}

/// A request without any proxy variable.
fn fetch(url: &str) -> String {
    format!("curl -sS -m 20 --noproxy '*' {url} 2>&1 || echo \" status $?\"")
}

fn log(scene: &Scene) -> Vec<Value> {
    let output = scene.agent_aws(&["sessions", "--log", "--json"]).run().ends(0);
    serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}\n{output}"))
}

fn a_name_that_is_allowed_is_reached_and_another_fails_at_once_and_is_told(mode: Mode) {
    let names = ["one.example.net", "two.example.net", "refused.example.org"];
    let (internet, scene) = with(mode, &names, "allow-names = [\"*.example.net\"]");
    serve(&internet);
    for name in ["one.example.net", "TWO.example.net."] {
        assert_eq!(inside(&scene, &[], &fetch(&format!("http://{name}/"))).run().says(), "world", "{name}");
    }
    let begin = Instant::now();
    let said = inside(&scene, &[], &fetch("http://refused.example.org/")).run().says();
    assert!(said.contains("Could not resolve host") && said.ends_with("status 6"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(15));
    let asked = internet.names.asked();
    assert!(asked.iter().all(|name| name != "refused.example.org"), "{asked:?}");
    assert!(asked.iter().any(|name| name == "one.example.net"), "{asked:?}");
    let rows = log(&scene);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["name"], "refused.example.org");
    assert!(rows[0]["why"].as_str().unwrap().contains("standard"), "{rows:?}");
    if mode == Mode::Setuid {
        let audit = scene.machine.audit();
        let blocked: Vec<_> = audit.iter().filter(|record| record["event"] == "blocked").collect();
        assert_eq!(blocked.len(), 1, "{audit:?}");
        assert_eq!(blocked[0]["name"], "refused.example.org");
    }
    // By the proxy the reason is in the answer.
    let by_proxy = "curl -sS -m 20 -D - -o - -x http://198.18.0.1:3128 http://refused.example.org/";
    let said = inside(&scene, &[], by_proxy).run().says();
    assert!(said.starts_with("HTTP/1.1 403") && said.contains("standard"), "{said}");
}

fn a_refusal_is_said_once_on_the_terminal_and_never_into_a_picture(mode: Mode) {
    let (_internet, scene) = with(mode, &[], "allow-names = [\"*.example.net\"]");
    let mut shell = Shell::open(&scene, Under::AgentAws);
    let ask = "getent hosts refused.example.org";
    shell.line(&format!("$A sh -c '{ask}; {ask}; echo do''ne'"));
    let heard = shell.wait("done") + &shell.prompt(0, 0);
    assert_eq!(heard.matches("agent-aws: blocked refused.example.org").count(), 1, "{heard}");
    // What takes the terminal out of line mode paints a picture, and hears of it at the end.
    shell.line(&format!("$A sh -c 'stty raw -echo; {ask}; sleep 1; echo pain''ted; stty sane'"));
    let picture = shell.wait("painted");
    assert!(!picture.contains("blocked"), "{picture}");
    let after = shell.prompt(0, 0);
    assert_eq!(after.matches("agent-aws: blocked refused.example.org").count(), 1, "{after}");
    shell.hang_up();
}

fn an_option_narrows_and_never_widens(mode: Mode) {
    let names = ["one.example.net", "two.example.net", "other.example.org"];
    let (internet, scene) = with(mode, &names, "allow-names = [\"*.example.net\"]");
    serve(&internet);
    let only_one = ["--allow-name", "one.example.net", "--allow-name", "other.example.org"];
    let reached = |name: &str| inside(&scene, &only_one, &fetch(&format!("http://{name}/"))).run().says() == "world";
    assert!(reached("one.example.net"));
    assert!(!reached("two.example.net"), "it is not narrowed");
    assert!(!reached("other.example.org"), "it is widened");
    inside(&scene, &["--allow-name", "no-such-preset"], "true").run().refused("there is no preset");
    inside(&scene, &["--allow-name", "a b"], "true").run().refused("is not a name to allow");
    let explained = scene.run(&["--explain", "--allow-name", "one.example.net"], &["true"]).run().ends(0).stdout;
    assert!(explained.contains("names: *.example.net"), "{explained}");
    assert!(explained.contains("narrowed to: one.example.net"), "{explained}");
}

fn literal_addresses_need_a_rule_about_their_network(mode: Mode) {
    let (internet, scene) = with(mode, &["one.example.net"], "allow-names = [\"*\"]");
    serve(&internet);
    let address = internet.names.get("one.example.net").into_iter().find(|a| a.is_ipv4()).unwrap();
    let script = fetch(&format!("http://{address}/"));
    let said = inside(&scene, &[], &script).run().says();
    assert!(said.contains("status"), "{said}");
    assert_eq!(log(&scene).len(), 1);
    policy(&scene, &format!("allow-names = [\"{address}/32:80\"]"));
    assert_eq!(inside(&scene, &[], &script).run().says(), "world");
    assert!(inside(&scene, &[], &fetch("http://one.example.net/")).run().says().contains("status 6"));
}

fn a_private_address_needs_a_rule_whoever_has_it(mode: Mode) {
    let (internet, scene) = with(mode, &["inner.example.net"], "allow-names = [\"*\"]");
    // The other end of the cable: private, and no address of this machine.
    internet.names.set("inner.example.net", &["10.200.0.1".parse().unwrap()]);
    serve(&internet);
    let script = fetch("http://inner.example.net/");
    assert!(inside(&scene, &[], &script).run().says().contains("status 6"));
    for rule in ["10.200.0.0/24", "*.example.net"] {
        policy(&scene, &format!("allow-names = [\"*\"]\nallow-private = [\"{rule}\"]"));
        assert_eq!(inside(&scene, &[], &script).run().says(), "world", "{rule}");
    }
    // What is never reached is not reached by such a rule either: this machine's own end of the cable.
    internet.names.set("inner.example.net", &["10.200.0.2".parse().unwrap(), "169.254.169.254".parse().unwrap()]);
    assert!(inside(&scene, &[], &script).run().says().contains("status 6"));
}

fn the_door_and_servers_of_the_agents_own_are_there(mode: Mode) {
    let (_internet, scene) = with(mode, &[], "");
    let script = "curl -sS -m 20 http://169.254.170.2/credentials | grep -c AccessKeyId; \
                  curl -sS -m 5 http://169.254.170.2:81/ 2>/dev/null || echo closed; \
                  python3 - <<'END'\n\
                  import socket\n\
                  for family, at in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n\
                  \x20   server = socket.create_server((at, 8080), family=family)\n\
                  \x20   client = socket.create_connection((at, 8080), 5)\n\
                  \x20   print(server.accept()[1][0])\n\
                  END\n";
    let said = scene.sh(script).run().says();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["1", "closed", "127.0.0.1", "::1"]);
}

fn a_port_of_the_host_is_offered_inside_and_no_other_is(mode: Mode) {
    let (_internet, scene) = with(mode, &[], "local-ports = [4711]");
    for port in [4711, 4712] {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|mut s| drop(s.write_all(b"host\n"))));
    }
    let ask = |host: &str, port: u16| {
        let script = format!("timeout 10 bash -c 'exec 3<>/dev/tcp/{host}/{port}; head -c 4 <&3' 2>/dev/null; echo");
        inside(&scene, &[], &script).run().says()
    };
    assert_eq!(ask("127.0.0.1", 4711), "host");
    assert_eq!(ask("127.0.0.1", 4712), "");
    if mode == Mode::Setuid {
        // Without BPF only ports below 1024 are caught at other addresses.
        assert_eq!(ask("host.internal", 4711), "host");
        assert_eq!(ask("host.internal", 4712), "");
    }
}

fn a_port_of_the_agent_is_offered_outside_where_policy_lets_it(mode: Mode) {
    let (_internet, scene) = with(mode, &[], "publish = [\"4700-4799\"]");
    let server = "python3 -c \"import os, socket\n\
                  server = socket.create_server(('127.0.0.1', 4721))\n\
                  while not os.path.exists('stop'):\n\
                  \x20   client = server.accept()[0]; client.sendall(b'agent'); client.close()\"";
    let project = scene.machine.project(&scene.machine.user("alice"));
    let call = inside(&scene, &["--publish", "4721"], server);
    let session = std::thread::spawn(move || call.run());
    let answers = || {
        let mut said = String::new();
        let stream = TcpStream::connect("127.0.0.1:4721").ok();
        stream.is_some_and(|mut stream| stream.read_to_string(&mut said).is_ok() && said == "agent")
    };
    let reached = until(Duration::from_secs(60), || (answers() || session.is_finished()).then_some(()));
    std::fs::write(project.join("stop"), "").unwrap();
    let ended = until(Duration::from_secs(60), || {
        // Whoever waits for a client must have one more to see that it is to stop.
        answers();
        session.is_finished().then_some(())
    });
    assert!(ended.is_some(), "the session does not end; reached: {reached:?}");
    let output = session.join().unwrap().ends(0);
    assert!(reached.is_some(), "{output}");
    inside(&scene, &["--publish", "5000"], "true").run().refused("--publish 5000");
    let _taken = TcpListener::bind("127.0.0.1:4722").unwrap();
    inside(&scene, &["--publish", "4722"], "true").run().refused("4722");
}

fn the_files_about_names_are_the_sessions_own(mode: Mode) {
    let (_internet, scene) = with(mode, &["one.example.net"], "");
    std::fs::write("/etc/hosts", "127.0.0.1 localhost\n20.1.0.99 secret-name.corp\n").unwrap();
    let said = inside(&scene, &[], "cat /etc/resolv.conf; cat /etc/hosts; getent hosts localhost").run().says();
    assert!(said.starts_with("nameserver 198.18.0.1\n"), "{said}");
    assert!(!said.contains("secret-name") && said.contains("localhost"), "{said}");
    let changed = inside(&scene, &[], "echo x >> /etc/hosts || umount /etc/hosts || mv /etc/hosts /tmp").run();
    assert_ne!(changed.code(), 0);
}

fn gateway() -> Option<i32> {
    processes().into_iter().find(|p| p.command.starts_with("agent-aws-gateway")).map(|p| p.pid)
}

fn without_its_gateway_the_session_ends(mode: Mode) {
    let (internet, scene) = with(mode, &["one.example.net"], "");
    serve(&internet);
    let script = format!("{}; sleep 30; {}", fetch("http://one.example.net/"), fetch("http://one.example.net/"));
    let mut session = inside(&scene, &[], &script);
    session = session.stdin("");
    let child = std::thread::spawn(move || session.run());
    let mut pid = None;
    within(Duration::from_secs(20), "the gateway runs", || {
        pid = gateway();
        pid.is_some()
    });
    std::thread::sleep(Duration::from_millis(1500));
    let begin = Instant::now();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.unwrap()), nix::sys::signal::Signal::SIGKILL).unwrap();
    let output = child.join().unwrap().ends(125);
    assert!(begin.elapsed() < Duration::from_secs(10), "{output}");
    assert!(output.stderr.contains("the gateway ended"), "{output}");
    assert_eq!(output.stdout.matches("world").count(), 1, "{output}");
}

fn name_servers_that_are_silent_end_nothing(mode: Mode) {
    let (internet, scene) = with(mode, &["one.example.net"], "");
    serve(&internet);
    // A server that nobody has: questions are not answered at all.
    std::fs::write("/etc/resolv.conf", "nameserver 20.1.255.254\n").unwrap();
    internet.inside(|| root(&["ip", "route", "add", "blackhole", "20.1.255.254/32"]));
    let script = format!("{}; echo still here", fetch("http://one.example.net/"));
    let said = inside(&scene, &[], &script).run_within(Duration::from_secs(60)).says();
    assert!(said.contains("status") && said.ends_with("still here"), "{said}");
}

/// Reports over the gateway's own channel what it finds: the frame of `Failed`, by hand.
const HOSTILE: &str = r#"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void) {
    char said[900] = "found:"; char frame[1024]; int n = 0;
    for (int fd = 4; fd < 64; fd++) if (fcntl(fd, F_GETFD) >= 0) strcat(said, " a-descriptor");
    const char *files[] = {"/etc/passwd", "/proc/self/status", "/home", "/run", "/tmp", ".", "..", "../../../etc/passwd"};
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = open(files[i], O_RDONLY);
        DIR *d; int entries = 0;
        if (fd < 0) continue;
        if ((d = fdopendir(fd))) { while (readdir(d)) entries++; if (entries <= 2) continue; }
        strcat(said, " "); strcat(said, files[i]);
    }
    if (open("/x", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS) strcat(said, " a-file-to-write");
    const char *sockets[] = {"/run/agent-aws/credentials.sock", "/run/docker.sock", "/dev/log"};
    for (unsigned i = 0; i < 3; i++) {
        struct sockaddr_un a = {.sun_family = AF_UNIX}; strcpy(a.sun_path, sockets[i]);
        if (connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a) == 0) strcat(said, " a-socket");
    }
    if (getuid() == 0 || setuid(0) == 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) strcat(said, " privilege");
    for (int cap = 0; cap < 41; cap++) if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) { strcat(said, " capabilities"); break; }
    unsigned length = 2 + strlen(said); char *at = frame + 8;
    *at++ = 1; if (strlen(said) > 127) { *at++ = strlen(said) | 128; *at++ = strlen(said) >> 7; length++; } else *at++ = strlen(said);
    memcpy(at, said, strlen(said)); n = 8 + length;
    memcpy(frame, &length, 4); frame[4] = 1; frame[5] = 0; frame[6] = 0; frame[7] = 0;
    (void)!write(3, frame, n); sleep(5); return 0;
}
"#;

fn a_gateway_that_is_somebody_else_finds_no_file_and_no_broker(mode: Mode) {
    let (_internet, scene) = with(mode, &[], "");
    let (source, program) = ("/root/hostile.c", scene.machine.libexec().join("agent-aws-gateway"));
    std::fs::write(source, HOSTILE).unwrap();
    let built = Command::new("cc").args(["-static", "-o"]).arg(&program).arg(source).status().expect("cc");
    assert!(built.success(), "cc -static");
    let output = inside(&scene, &[], "true").run().ends(125);
    assert!(output.stderr.contains("network `filtered`: found:"), "{output}");
    let found = output.stderr.split("found:").nth(1).unwrap().lines().next().unwrap_or_default();
    assert_eq!(found.trim(), "", "{output}");
}

fn nothing_of_the_network_stays_on_the_host(mode: Mode) {
    let (internet, scene) = with(mode, &["one.example.net"], "publish = [\"4700-4799\"]\nlocal-ports = [4711]");
    serve(&internet);
    let host = || {
        let namespaces = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path().join("ns/net")).ok());
        let mut namespaces: Vec<_> = namespaces.collect();
        namespaces.sort();
        namespaces.dedup();
        (root(&["ip", "-o", "link"]), root(&["ip", "route", "show", "table", "all"]), namespaces.len())
    };
    let before = host();
    let script = fetch("http://one.example.net/");
    assert_eq!(inside(&scene, &["--publish", "4721"], &script).run().says(), "world");
    within(Duration::from_secs(10), "gateway and plumber are gone", || {
        processes()
            .iter()
            .all(|p| !p.command.starts_with("agent-aws-gateway") && !p.command.starts_with("agent-aws-plumber"))
    });
    within(Duration::from_secs(10), "the host is as before", || host() == before);
}
