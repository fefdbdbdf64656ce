//! Whom an agent can talk to: nobody but the credential door with network `none`, and with `shared` no abstract socket.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, outside, placed};
use agent_aws_harness::{Case, Mode, Scene, case, suite};

/// The probe of this package.
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

const CASES: &[Case] = &[
    case!(without_network_there_is_only_loopback_and_the_door),
    case!(without_network_the_hosts_loopback_is_another),
    case!(with_the_shared_network_the_hosts_loopback_is_there),
    case!(abstract_sockets_of_the_host_are_out_of_reach),
    case!(abstract_sockets_inside_work),
    case!(sockets_of_the_host_in_its_run_and_tmp_are_not_there),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn without_network_there_is_only_loopback_and_the_door(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let script = format!(
        "tail -n +3 /proc/net/dev | cut -d: -f1; echo routes; tail -n +2 /proc/net/route; echo addresses; \
         grep -B1 'host LOCAL' /proc/net/fib_trie | grep -o '[0-9.]*[0-9]$' | sort -u; echo door; \
         {probe} connect 169.254.170.2:80; {probe} connect 192.0.2.1:80; {probe} connect 169.254.169.254:80"
    );
    let output = inside(&scene, &["--network", "none"], &script).run().ends(0);
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    let (links, rest) = words.split_at(words.iter().position(|w| *w == "routes").unwrap());
    assert_eq!(links, ["lo"], "{output}");
    let (_, door) = rest.split_at(rest.iter().position(|w| *w == "door").unwrap());
    assert_eq!(door[..3], ["door", "ok", "ENETUNREACH"], "{output}");
    assert_ne!(door[3], "ok", "{output}");
    let known = ["127.0.0.0", "127.0.0.1", "169.254.0.0", "169.254.170.2"];
    let addresses: Vec<&&str> = rest.iter().filter(|w| w.chars().all(|c| c.is_ascii_digit() || c == '.')).collect();
    assert!(addresses.iter().all(|a| known.contains(a)), "{output}");
    assert!(addresses.contains(&&"169.254.170.2"), "{output}");
}

fn without_network_the_hosts_loopback_is_another(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let (_listener, address) = listener();
    let script = format!("{probe} connect {address}");
    assert_eq!(outside(&scene, &script).run().says(), "ok");
    assert_eq!(inside(&scene, &["--network", "none"], &script).run().says(), "ECONNREFUSED");
}

fn with_the_shared_network_the_hosts_loopback_is_there(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let (_listener, address) = listener();
    let script = format!("{probe} connect {address}");
    assert_eq!(inside(&scene, &["--network", "shared"], &script).run().says(), "ok");
}

fn abstract_sockets_of_the_host_are_out_of_reach(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let name = format!("agent-aws-test-{mode}-{}", scene.sts.url());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!("{probe} abstract {name}");
    assert_eq!(outside(&scene, &script).run().says(), "ok");
    // The network is the host's here, and abstract sockets belong to it: Landlock's scope refuses.
    assert_eq!(inside(&scene, &["--network", "shared"], &script).run().says(), "EPERM");
    assert_eq!(inside(&scene, &["--network", "none"], &script).run().says(), "ECONNREFUSED");
}

fn abstract_sockets_inside_work(mode: Mode) {
    let scene = Scene::new(mode);
    let script = format!(
        "import socket\nname = '\\0agent-aws-own-{}-{mode}'\n\
         s = socket.socket(socket.AF_UNIX); s.bind(name); s.listen()\n\
         c = socket.socket(socket.AF_UNIX); c.connect(name); print('ok')",
        scene.sts.url()
    );
    let call = scene.run(&["--no-wait"], &["/usr/bin/python3", "-c", &script]);
    if std::path::Path::new("/usr/bin/python3").exists() {
        assert_eq!(call.run().says(), "ok");
    }
}

fn sockets_of_the_host_in_its_run_and_tmp_are_not_there(mode: Mode) {
    let scene = Scene::new(mode);
    let probe = placed(&scene, PROBE);
    let mut places = vec![scene.machine.scratch().join("socket")];
    if scene.machine.is_private() {
        places.push("/run/agent-aws-test.socket".into());
    }
    for place in places {
        let _listener = UnixListener::bind(&place).unwrap();
        std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let script = format!("{probe} unix {}", place.display());
        assert_eq!(outside(&scene, &script).run().says(), "ok");
        assert_eq!(inside(&scene, &[], &script).run().says(), "ENOENT");
    }
}
