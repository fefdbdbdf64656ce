//! Metadata services, this machine's loopback and its own addresses, in twenty ways: which network reaches which.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, outside, placed};
use agent_aws_e2e::ways::{WAYS, serve};
use agent_aws_harness::{Case, Mode, Scene, Setup, case, suite};

/// The program that tries.
const TRIES: &str = env!("CARGO_BIN_EXE_ways");

const CASES: &[Case] = &[
    case!(with_none_and_filtered_no_way_leads_to_the_host).private(),
    case!(with_shared_no_way_leads_to_a_metadata_service).setuid().private(),
    case!(with_shared_and_a_closed_host_no_way_leads_anywhere).setuid().private(),
    case!(an_address_that_is_exchanged_while_it_is_read_gets_nowhere).setuid().private(),
    case!(a_name_server_at_such_an_address_answers_questions_only).setuid().private(),
    case!(shared_is_refused_where_nothing_can_be_guarded_unless_policy_waives_it).setuid().private(),
    case!(without_the_setuid_bit_shared_says_what_is_open).unprivileged(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// The ways that are reached, with what the control outside of any sandbox reaches.
fn reached(scene: &Scene, options: &[&str]) -> (Vec<&'static str>, Vec<&'static str>) {
    let tries = placed(scene, TRIES);
    let names = |said: &str| -> Vec<&'static str> {
        let is = |name: &str| said.lines().any(|line| line == format!("{name} reached"));
        assert!(WAYS.iter().all(|way| said.contains(way.name)), "{said}");
        WAYS.iter().map(|way| way.name).filter(|name| is(name)).collect()
    };
    let control = names(&outside(scene, &tries).run().says());
    (names(&inside(scene, options, &tries).run().says()), control)
}

/// Without the protections of the sandbox all are reached, but for what the kernel itself has not.
fn assert_open(control: &[&str]) {
    let closed: Vec<_> = WAYS.iter().map(|way| way.name).filter(|name| !control.contains(name)).collect();
    let may = ["metadata-mptcp", "metadata-fast-open", "metadata-icmp"];
    assert!(closed.iter().all(|name| may.contains(name)), "outside these are closed too: {closed:?}");
}

fn with_none_and_filtered_no_way_leads_to_the_host(mode: Mode) {
    serve();
    let scene = with(mode, "filtered", "");
    for network in ["none", "filtered"] {
        let (inside, control) = reached(&scene, &["--network", network]);
        assert_open(&control);
        assert_eq!(inside, [""; 0], "{network}");
    }
}

fn with(mode: Mode, network: &str, more: &str) -> Scene {
    let scene = Scene::with(mode, &Setup::default());
    let policy = scene.policy(&Setup::default());
    scene.machine.policy(&policy.replace("network = \"shared\"", &format!("network = \"{network}\"\n{more}")));
    scene
}

fn with_shared_no_way_leads_to_a_metadata_service(mode: Mode) {
    serve();
    let scene = with(mode, "shared", "");
    let (inside, control) = reached(&scene, &[]);
    assert_open(&control);
    let metadata: Vec<_> = inside.iter().filter(|name| name.starts_with("metadata")).collect();
    assert_eq!(metadata, [&""; 0]);
    assert!(inside.contains(&"loopback") && inside.contains(&"own-address"), "{inside:?}");
}

fn with_shared_and_a_closed_host_no_way_leads_anywhere(mode: Mode) {
    serve();
    let scene = with(mode, "shared", "host-loopback = false");
    let (inside, control) = reached(&scene, &[]);
    assert_open(&control);
    assert_eq!(inside, [""; 0]);
}

fn an_address_that_is_exchanged_while_it_is_read_gets_nowhere(mode: Mode) {
    serve();
    let scene = with(mode, "shared", "");
    let script = format!("{} race 5000 169.254.169.254:80 127.0.0.1:80", placed(&scene, TRIES));
    let count = |said: String| said.trim().strip_prefix("reached ").unwrap().parse::<u32>().unwrap();
    assert!(count(outside(&scene, &script).run().says()) > 0, "the race is never won outside");
    assert_eq!(count(inside(&scene, &[], &script).run().says()), 0);
}

fn a_name_server_at_such_an_address_answers_questions_only(mode: Mode) {
    use agent_aws_e2e::inside::root;
    serve();
    let scene = with(mode, "shared", "host-loopback = false");
    let other = std::env::temp_dir().join("resolv.conf");
    std::fs::write(&other, "nameserver 169.254.169.253\n").unwrap();
    root(&["mount", "--bind", other.to_str().unwrap(), "/etc/resolv.conf"]);
    root(&["ip", "address", "replace", "169.254.169.253/32", "dev", "lo"]);
    let server = std::net::UdpSocket::bind("169.254.169.253:53").unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, client)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(b"answer", client);
        }
    });
    let script = "exec 3<>/dev/udp/169.254.169.253/53; echo question >&3; timeout 5 head -c 6 <&3; \
                  timeout 5 bash -c 'exec 3<>/dev/tcp/169.254.169.253/8080' 2>/dev/null && echo open; echo";
    let control = outside(&scene, script).run();
    assert_eq!(control.stdout.trim(), "answeropen", "{control}");
    assert_eq!(inside(&scene, &[], script).run().says(), "answer");
    root(&["umount", "/etc/resolv.conf"]);
}

fn shared_is_refused_where_nothing_can_be_guarded_unless_policy_waives_it(mode: Mode) {
    use agent_aws_e2e::inside::memory_over;
    let scene = with(mode, "shared", "");
    // A machine without control groups.
    memory_over("/sys/fs/cgroup", 0o755);
    inside(&scene, &[], "true").run().refused("metadata services cannot be kept from the agent");
    inside(&scene, &["--network", "none"], "true").run().ends(0);
    let open = scene.policy(&Setup::default());
    scene.machine.policy(&open.replace("network = \"shared\"", "network = \"shared\"\nmetadata = \"unguarded\""));
    inside(&scene, &[], "true").run().ends(0);
}

fn without_the_setuid_bit_shared_says_what_is_open(mode: Mode) {
    let scene = with(mode, "shared", "");
    let output = inside(&scene, &[], "true").run().ends(0);
    assert!(output.stderr.is_empty() || output.stderr.contains("metadata services"), "{output}");
}
